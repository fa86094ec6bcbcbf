"""Finding the configuration file and parsing its text, with places for what a parser refuses."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli

from node.config.messages import ConfigError, Fault

FILE_BYTES_MAX = 16 * 1024 * 1024
SEARCH = (Path("cluster.toml"), Path("/etc/quorumdns/cluster.toml"))
_AT = re.compile(r" \(at (?:line \d+, column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Source:
    """A configuration's text: the name to show, where relative paths in it start, what it is."""

    name: str
    text: str
    base: Path
    path: Path | None = None
    is_json: bool = False
    note: str = ""
    """What decided that this file is read, worth a line in the log."""


def find(
    path: "Path | str | None", environ: Mapping[str, str], search: Sequence[Path] = SEARCH
) -> tuple[Path, str]:
    """Choose the file: the given one, CONF, or the first of the usual places. Raises ``ConfigError``."""
    if path is not None:
        return Path(path), ""
    if environ.get("CONF"):
        return Path(environ["CONF"]), f"[main] config overridden by envvar CONF: {environ['CONF']}"
    for candidate in search:
        if candidate.is_file():
            return candidate, ""
    looked = ", ".join(str(each) for each in search)
    raise ConfigError(
        [
            Fault(
                f"there is no configuration: no --config, no CONF, and none of {looked}",
                "no-file",
                suggestion="start without one: qdns dev   or write one: qdns init",
            )
        ]
    )


def read(path: Path, note: str = "") -> Source:
    """Read a file, JSON by its name's end and TOML otherwise. Raises ``ConfigError``."""
    try:
        with path.open("rb") as file:
            octets = file.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError([Fault(f"cannot read {path}: {reason}", "unreadable", str(path))]) from None
    if len(octets) > FILE_BYTES_MAX:
        message = f"{path} is larger than {FILE_BYTES_MAX // 1024**2} MiB"
        raise ConfigError([Fault(message, "too-large", str(path))])
    text = _decoded(octets, str(path))
    base = path.absolute().parent
    return Source(str(path), text, base, path, is_json=path.suffix.lower() == ".json", note=note)


def parse_toml(source: Source) -> dict[str, Any]:
    """Parse TOML. Raises ``ConfigError`` with the place of the fault."""
    try:
        return tomli.loads(source.text)
    except tomli.TOMLDecodeError as error:
        said = _AT.sub("", error.msg)
        fault = Fault(
            f"invalid TOML: {said[:1].lower()}{said[1:]}",
            "syntax",
            source.name,
            error.lineno,
            error.colno,
        )
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        fault = Fault(f"invalid TOML: {reason}", "syntax", source.name, 1, 1)
    raise ConfigError([fault], {source.name: source.text})


def normalized(text: str) -> str:
    """Make every line end a newline, as the TOML parser does, so that places agree."""
    return text.replace("\r\n", "\n")


def _decoded(octets: bytes, name: str) -> str:
    try:
        return normalized(octets.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        column = error.start - (octets.rfind(b"\n", 0, error.start) + 1) + 1
        message = f"octet 0x{octets[error.start]:02x} is not UTF-8 text"
        fault = Fault(message, "syntax", name, line, column)
    raise ConfigError([fault], {name: octets.decode("utf-8", "replace")})
