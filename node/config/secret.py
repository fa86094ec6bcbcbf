"""Secrets: the configuration holds references, the values are read when somebody needs them.

``env:NAME`` is an environment variable, ``file:/path`` a file that only its owner can read,
``credential:NAME`` a file below ``$CREDENTIALS_DIRECTORY`` (systemd's LoadCredential=).
"""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SECRET_BYTES_MAX = 64 * 1024
_REFERENCE = re.compile(r"(env|file|credential):(.+)")
_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,255}")


class SecretError(Exception):
    """A secret cannot be read; the message names the reference, never a value."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A reference to a secret. ``repr`` and ``str`` never show a value."""

    reference: str
    value: bytes | None = field(default=None, repr=False)
    """Set only where a foreign configuration file held the secret itself (rrdnsd's JSON)."""

    def __str__(self) -> str:
        return self.reference

    def path(self, environ: Mapping[str, str] = os.environ) -> Path | None:
        """Return the file that holds the secret, None when no file does. Raises ``SecretError``."""
        return None if self.value is not None else path_of(self, environ)

    def read(self, environ: Mapping[str, str] = os.environ) -> bytes:
        """Return the secret, a trailing newline taken off. Raises ``SecretError``."""
        if self.value is not None:
            return self.value
        kind, _, rest = self.reference.partition(":")
        value = _from_environment(rest, environ) if kind == "env" else _from_file(self, environ)
        if not value:
            raise SecretError(f"the secret {self.reference} is empty")
        return value


@dataclass(frozen=True, slots=True)
class References:
    """How references become secrets: where relative files are, and what a foreign file held itself."""

    base: Path
    inline: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def secret(self, text: str) -> Secret:
        """Read a reference. Raises ``ValueError`` with a sentence."""
        if text in self.inline:
            return Secret(text, self.inline[text])
        match = _REFERENCE.fullmatch(text)
        if match is None:
            raise ValueError(
                'a secret is never written here; refer to it as "env:NAME", "file:/path" or "credential:NAME"'
            )
        kind, rest = match[1], match[2]
        if "\x00" in rest or (kind != "file" and not _NAME.fullmatch(rest)):
            raise ValueError(f"{rest!r} cannot be the name of a secret")
        return Secret(f"file:{self.base / rest}" if kind == "file" else text)


def mode_problem(secret: Secret, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return a sentence that says why a secret's file is too open, or None; a missing file is None."""
    try:
        path = path_of(secret, environ)
        return None if path is None else _too_open(secret, path.stat())
    except (OSError, SecretError):
        return None


def path_of(secret: Secret, environ: Mapping[str, str]) -> Path | None:
    """Return where the secret's file is, None for one that is in no file. Raises ``SecretError``."""
    kind, _, rest = secret.reference.partition(":")
    if kind == "file":
        return Path(rest)
    if kind != "credential":
        return None
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise SecretError(
            f"the secret {secret.reference} needs systemd's LoadCredential= ($CREDENTIALS_DIRECTORY is not set)"
        )
    return Path(directory) / rest


def _from_environment(name: str, environ: Mapping[str, str]) -> bytes:
    if name not in environ:
        raise SecretError(f"the environment variable {name} is not set (secret env:{name})")
    return environ[name].encode("utf-8", "surrogateescape").rstrip(b"\r\n")


def _from_file(secret: Secret, environ: Mapping[str, str]) -> bytes:
    path = path_of(secret, environ)
    if path is None:
        raise SecretError(f"{secret.reference} is not a reference to a file")
    try:
        with path.open("rb") as file:
            problem = _too_open(secret, os.fstat(file.fileno()))
            if problem:
                raise SecretError(problem)
            value = file.read(SECRET_BYTES_MAX + 1)
    except OSError as error:
        raise SecretError(f"cannot read the secret {secret.reference}: {error.strerror}") from None
    if len(value) > SECRET_BYTES_MAX:
        raise SecretError(f"the secret {secret.reference} is larger than {SECRET_BYTES_MAX // 1024} KiB")
    return value.rstrip(b"\r\n")


def _too_open(secret: Secret, status: os.stat_result) -> str | None:
    """Judge a ``file:`` secret by its mode; a credential's is systemd's business."""
    mode = stat.S_IMODE(status.st_mode)
    if not secret.reference.startswith("file:") or not stat.S_ISREG(status.st_mode) or not mode & 0o077:
        return None
    path = secret.reference.removeprefix("file:")
    return f"{path} is a secret but others can read it (mode {mode:04o}); run: chmod 600 {path}"
