"""A definition as text in the user's editor: how it is written, opened, read again and kept.

The text is the JSON that ``/v1`` takes, with comments: lines that begin with ``#``, which JSON itself has not.
No line of a JSON document can begin so, because a string holds no line break (RFC 8259 section 7).
"""

import json
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from node.cli.faults import ExitCode, Failure, usage
from node.cli.terminal import printable

Json = dict[str, Any]

TEXT_OCTETS_MAX = 1024 * 1024
NEAR_CHARACTERS_MAX = 60


class BadText(ValueError):
    """The text is no definition; the message says why and where."""


def editor_of(environ: Mapping[str, str], *, is_terminal: bool) -> list[str]:
    """Return the words of the editor's command: VISUAL, EDITOR, or vi on a terminal. Raises ``Failure``."""
    for name in ("VISUAL", "EDITOR"):
        try:
            words = shlex.split(environ.get(name, ""))
        except ValueError as error:
            raise usage(f"{name} cannot be read: {str(error).lower()}", "EDITOR=vi") from None
        if words:
            return words
    if not is_terminal:
        raise usage("there is no terminal and no editor is named", "set VISUAL or EDITOR")
    return ["vi"]


def write_text(value: Json, comments: Iterable[str]) -> str:
    """Write a definition below its comments."""
    return commented(json.dumps(value, indent=2, ensure_ascii=False) + "\n", comments)


def commented(text: str, comments: Iterable[str]) -> str:
    """Put comments on top of a text, in place of those that it has."""
    lines = [line for comment in comments for line in comment.splitlines() or [""]]
    body = [line for line in text.split("\n") if not line.lstrip().startswith("#")]
    return "\n".join([*(f"# {printable(line)}".rstrip() for line in lines), *body])


def read_text(text: str) -> Json | None:
    """Read a definition, None when nothing but comments is left. Raises ``BadText``."""
    lines = ["" if line.lstrip().startswith("#") else line for line in text.split("\n")]
    if not any(line.strip() for line in lines):
        return None
    try:
        text.encode()
        value = json.loads("\n".join(lines), parse_constant=_no_constant)
    except UnicodeEncodeError:
        raise BadText("the text is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise BadText(f"not JSON: {error.msg} near: {_near(lines, error.lineno)}") from None
    except (ValueError, RecursionError) as error:
        raise BadText(f"not JSON that can be sent: {error}") from None
    if not isinstance(value, dict):
        raise BadText('a definition is an object: { "check": ... }')
    return value


def _near(lines: list[str], number: int) -> str:
    """Return the line with this number and the one before: numbers move when comments come on top."""
    words = [line.strip() for line in lines[:number] if line.strip()][-2:]
    return printable(" ".join(word[:NEAR_CHARACTERS_MAX] for word in words))


def is_same(one: Json, other: Json) -> bool:
    """Say whether two definitions are the same, in whatever order their keys stand."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


class Draft:
    """A file with the text that is edited, for its owner alone: a check may carry a password in its headers."""

    def __init__(self, text: str) -> None:
        """Write the file. Raises ``Failure``."""
        self._first = text
        try:
            with tempfile.NamedTemporaryFile(prefix="qdns-edit-", suffix=".json", delete=False) as file:
                self.path = Path(file.name)
        except OSError as error:
            raise _unusable(error) from None
        self.write(text)

    def write(self, text: str) -> None:
        """Put another text in place. Raises ``Failure``."""
        try:
            self.path.write_bytes(text.encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise _unusable(error) from None

    def edit(self, editor: list[str]) -> str:
        """Let the editor have the file, and return what it left. Raises ``Failure``."""
        try:
            code = _run([*editor, str(self.path)])
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise usage(f"the editor {editor[0]} cannot be run: {reason.lower()}", "EDITOR=vi") from None
        if code:
            raise usage(f"the editor {editor[0]} ended with {code}; nothing was changed")
        return self._read()

    def is_untouched(self) -> bool:
        """Say whether the file holds what it held at first, or is gone."""
        try:
            return self._read() == self._first
        except Failure:
            return not self.path.exists()

    def remove(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> str:
        try:
            with self.path.open("rb") as file:
                octets = file.read(TEXT_OCTETS_MAX + 1)
        except OSError as error:
            raise _unusable(error) from None
        if len(octets) > TEXT_OCTETS_MAX:
            raise usage(f"the text is longer than {TEXT_OCTETS_MAX:,} octets; nothing was changed")
        return octets.decode("utf-8", "surrogateescape")


def _run(words: list[str]) -> int:
    """Run the editor to its end; Ctrl-C is its own affair meanwhile. Raises ``OSError``, ``ValueError``."""
    # A handler and not SIG_IGN: a child would inherit that.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.run(words, check=False).returncode  # noqa: S603
    finally:
        signal.signal(signal.SIGINT, before)


def _unusable(error: OSError) -> Failure:
    reason = (error.strerror or str(error)).lower()
    return Failure(f"the text cannot be kept in {error.filename or 'a file'}: {reason}", ExitCode.USAGE)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")
