"""From rrdnsd's JSON to the text of a ``cluster.toml``, checked by reading it back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import tomli

from node.config.addresses import host_of, is_loopback
from node.config.messages import ConfigError
from node.config.reader import load_source
from node.config.rrdnsd import CREDENTIALS, Foreign, read
from node.config.source import Source
from node.config.toml_text import toml_value

_ABOUT = {
    "nodes": "rrdnsd's port is the API's here; the nodes talk to each other on the port 1000 above.",
    "dns": "This cluster pushes and answers no DNS itself; to change that, add [[zones]] and listen here.",
    "health": "One bad probe decides, as in rrdnsd. Steadier: leave this table out (fall 3, rise 2, fail_open 50%).",
    "push": "Whatever changes is also written there.",
}


@dataclass(frozen=True, slots=True)
class Converted:
    """A configuration that was converted, and what did not go into it."""

    text: str
    """The text of ``cluster.toml``."""
    local_node: str
    """What to set LOCAL_NODE to on this machine; empty when the JSON does not say."""
    credentials: bytes | None = field(default=None, repr=False)
    """What belongs into the secret file that ``text`` refers to, mode 0600; None when there is none."""
    to_provide: tuple[str, ...] = ()
    """Environment variables that ``text`` refers to and somebody must set."""


def convert(source: Source, credentials_file: str = "update-credentials") -> Converted:
    """Convert rrdnsd's JSON. Raises ``ConfigError`` when it is not valid.

    ``credentials_file`` is where ``update_credentials`` will be, relative to the ``cluster.toml``.
    """
    foreign = read(source)
    _check(source, with_json=True)
    data = _with_references(foreign, credentials_file)
    text = _document(data, foreign, source.name)
    _check(Source("cluster.toml", text, source.base), with_json=False)
    if tomli.loads(text) != data:
        raise AssertionError("the converted configuration does not read back as what was written")
    variables = tuple(re.findall(r'"env:([A-Z_]+)"', text))
    return Converted(text, foreign.local_node, foreign.inline.get(CREDENTIALS), variables)


def _check(source: Source, *, with_json: bool) -> None:
    """Load what goes in and what comes out; JSON may lack what it has no key for."""
    try:
        load_source(source, {}, node="n1")
    except ConfigError as error:
        codes = ("secret-required", "tokens-required") if with_json else ()
        faults = [each for each in error.faults if each.level == "error" and each.code not in codes]
        if faults:
            raise ConfigError(faults, error.sources) from None


def _with_references(foreign: Foreign, credentials_file: str) -> dict[str, Any]:
    """Put references in for secrets, and add those that the program wants off loopback."""
    data = dict(foreign.data)
    if foreign.inline:
        data["tsig"] = [{**key, "secret": f"file:{credentials_file}"} for key in data["tsig"]]
    if not all(is_loopback(host_of(each["raft"])) for each in data["nodes"]):
        data["cluster"] = {**data["cluster"], "secret": "env:QDNS_RAFT_SECRET"}
        data["api"] = {"tokens": [{"name": "admin", "token": "env:QDNS_ADMIN_TOKEN"}]}
    return data


def _document(data: Mapping[str, Any], foreign: Foreign, name: str) -> str:
    lines = [f"# Converted from {name}, which configured rrdnsd."]
    for key, text in foreign.comments.items():
        lines += [f"# {key.lstrip('_')}: {line}" for line in text.splitlines()]
    if foreign.local_node:
        lines.append(f"# On this machine the environment must say LOCAL_NODE={foreign.local_node}")
    for section, value in data.items():
        lines.append("")
        lines += [f"# {_ABOUT[section]}"] if section in _ABOUT else []
        lines += _tables(section, value)
    return "".join(f"{_printable(line)}\n" for line in lines)


def _tables(section: str, value: Any) -> list[str]:
    """Write one table, or a list of tables with a blank line between them."""
    if isinstance(value, dict) and all(_is_tables(inner) for inner in value.values()) and value:
        return [line for key, inner in value.items() for line in _tables(f"{section}.{key}", inner)]
    if not _is_tables(value):
        return [f"[{section}]", *_pairs(value)]
    lines: list[str] = []
    for table in value:
        lines += [*([""] if lines else []), f"[[{section}]]", *_pairs(table)]
    return lines


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _pairs(table: Mapping[str, Any]) -> list[str]:
    width = max(map(len, table))
    return [f"{key:<{width}} = {toml_value(value)}" for key, value in table.items()]


def _printable(line: str) -> str:
    """Take out of a comment what TOML does not allow there; texts are escaped already."""
    return re.sub(r"[\x00-\x08\x0a-\x1f\x7f]", " ", line)
