"""Master files as the command line finds them: which zone one is of, and what it includes."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from node.cli.faults import ExitCode, Failure, usage
from node.counted import counted

if TYPE_CHECKING:
    from node.zone.master_file import Contents
    from node.zone.name import Name

FILE_OCTETS_MAX = 256 * 1024 * 1024
FACTS_MAX = 50
_ORIGIN = re.compile(r"^\$ORIGIN[ \t]+(\S+\.)[ \t]*(?:;.*)?\r?$", re.MULTILINE | re.IGNORECASE)
_INCLUDE = re.compile(r"^\s*\$INCLUDE\b", re.MULTILINE | re.IGNORECASE)
_RECORD = re.compile(r"^[^\s;$]", re.MULTILINE)
_ENDINGS = (".zone", ".db", ".txt", ".dns", ".hosts")


def read_text(path: Path) -> str:
    """Read a file as text. Raises ``Failure``."""
    try:
        with path.open("rb") as opened:
            octets = opened.read(FILE_OCTETS_MAX + 1)
        if len(octets) > FILE_OCTETS_MAX:
            raise Failure(f"{path} is larger than {FILE_OCTETS_MAX >> 20} MiB", ExitCode.CONFIG)
        return octets.decode()
    except OSError as error:
        raise usage(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError as error:
        raise Failure(f"{path} is not UTF-8 text at octet {error.start}", ExitCode.CONFIG) from None


def zone_of(path: Path, text: str, given: str | None) -> str:
    """Return the zone that a file is of: as given, by its first $ORIGIN, or by its name. Raises ``Failure``."""
    if given:
        return given.rstrip(".") or "."
    match, record = _ORIGIN.search(text), _RECORD.search(text)
    if match is not None and (record is None or match.start() < record.start()):
        return match[1].rstrip(".") or "."
    name = path.name
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    name = name.removeprefix("db.")
    if "." in name:
        return name
    raise usage(f"{path} does not say which zone it is of", f"qdns zone import ZONE {path}")


def has_includes(text: str) -> bool:
    """Say whether a file asks for others."""
    return _INCLUDE.search(text) is not None


def parse_file(path: Path, text: str, origin: "Name", default_ttl: int) -> "Contents":
    """Read a master file with what it includes from below its own directory. Raises ``Failure`` with every bad line."""
    from node.zone.master_file import BadMasterFile, parse

    try:
        return parse(text, origin, default_ttl, file=str(path), include=_Includes(path))
    except BadMasterFile as bad:
        raise bad_lines(
            path, [f"{each.place.file}:{each.place.line}: {each.text}" for each in bad.problems]
        ) from None


def bad_lines(path: Path, lines: list[str]) -> Failure:
    """Return the failure that shows the bad lines of a file."""
    more = len(lines) - FACTS_MAX
    shown = lines[:FACTS_MAX] + ([f"and {more} more"] if more > 0 else [])
    count = counted(len(lines), "line")
    return Failure(
        f"{path} is no zone that can be taken: {count}; nothing was changed", ExitCode.CONFIG, facts=shown
    )


class _Includes:
    """Reads what $INCLUDE names, in the file's own directory and below it alone."""

    def __init__(self, path: Path) -> None:
        self._base = path.resolve().parent

    def __call__(self, name: str) -> str:
        if "\0" in name:
            raise OSError(0, "a file's name cannot hold a NUL")
        wanted = (self._base / name).resolve()
        if not wanted.is_relative_to(self._base):
            raise OSError(0, f"it lies outside of {self._base}")
        with wanted.open("rb") as opened:
            octets = opened.read(FILE_OCTETS_MAX + 1)
        if len(octets) > FILE_OCTETS_MAX:
            raise OSError(0, f"it is larger than {FILE_OCTETS_MAX >> 20} MiB")
        return octets.decode()
