"""rrdnsd's JSON configuration, read as it is (documented keys of versions 0.1 and after).

It becomes the data of a ``cluster.toml`` that keeps that program's behaviour: a probe a second, one
datapoint decides, fail-open only when it was asked for. Keys that begin with an underscore are comments, at
any depth.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NoReturn

from pydantic import Field, ValidationError

from node.config.addresses import host_of, join, port_of
from node.config.fields import NodeAddress, Table
from node.config.findings import Finding, Findings, locate
from node.config.messages import ConfigError, Fault, path_text
from node.config.positions import Index
from node.config.positions import Path as KeyPath
from node.config.source import Source
from node.config.validate import describe
from node.zone.name import BadName, from_text

RAFT_PORT_OFFSET = 1000
CREDENTIALS = "rrdnsd:update_credentials"
_LOG_LEVELS = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "warn": "warning",
    "error": "error",
    "off": "error",
}
_ALGORITHMS = ("hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512")
_INTERVAL = Annotated[int, Field(ge=100, le=86_400_000)]


class ServiceObject(Table):
    """One of ``services``."""

    fqdn: str
    healthcheck: str
    ipaddrs: list[str]
    ttl: int
    zone: str
    probe_interval_ms: _INTERVAL | None = None


class ApiObject(Table):
    """``api``."""

    enabled: bool = True


class RootObject(Table):
    """The whole file."""

    conf_version: Literal[1]
    local_node: str = ""
    nodes: Annotated[list[NodeAddress], Field(min_length=1)]
    nodes_protocol: Literal["http", "https"] = "http"
    probe_interval_ms: _INTERVAL = 1000
    services: list[ServiceObject]
    update_method: Literal["nsupdate", "knsupdate"] = "nsupdate"
    update_credentials: str = ""
    update_resolvers: list[str] = Field(default_factory=list)
    enable_fail_open: bool = False
    loglevel: Literal["trace", "debug", "info", "warn", "error", "off"] = "info"
    api: ApiObject = ApiObject()


@dataclass(frozen=True, slots=True)
class Foreign:
    """Data in the shape of ``cluster.toml``, and what only a foreign format brings along."""

    data: dict[str, Any]
    inline: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Secrets that stood in the file, by the reference that stands for them in ``data``."""
    local_node: str = ""
    warnings: tuple[Fault, ...] = ()
    comments: Mapping[str, str] = field(default_factory=dict)
    """The texts of the file's own comment keys, top level only."""


def read(source: Source) -> Foreign:
    """Read rrdnsd's JSON. Raises ``ConfigError`` with places in the JSON."""
    given = _parsed(source)
    data = _without_comments(given)
    findings = Findings()
    try:
        root = RootObject.model_validate(data)
    except ValidationError as error:
        findings.items += [describe(detail, data, RootObject) for detail in error.errors(include_url=False)]
        _refuse(source, findings)
    tsig = _tsig(root, findings)
    if any(port_of(each) + RAFT_PORT_OFFSET > 65_535 for each in root.nodes):
        findings.error(("nodes",), f"raft uses the port {RAFT_PORT_OFFSET} above, which must be at most 65535")
    if findings.has_errors:
        _refuse(source, findings)
    inline = {CREDENTIALS: root.update_credentials.rpartition(":")[2].encode()} if tsig else {}
    comments = {key: text for key, text in given.items() if key.startswith("_") and isinstance(text, str)}
    return Foreign(_data(root, tsig), inline, root.local_node, tuple(_warnings(root, source)), comments)


def translated(item: Finding, name: str) -> Finding:
    """Give a finding about the data of ``read`` its path in the JSON."""
    path = json_path(item.path)
    message = item.message
    prefix = f"{path_text(item.path)}: "
    if message.startswith(prefix):
        message = f"{path_text(path)}: {message.removeprefix(prefix)}"
    suggestion = item.suggestion
    if item.code in ("secret-required", "tokens-required"):
        suggestion = f"JSON has no key for it; convert the file: qdns config import {name} > cluster.toml"
    return dataclasses.replace(item, path=path, message=message, suggestion=suggestion)


def json_path(path: KeyPath) -> KeyPath:
    """Return the path in the JSON of what stands at a path of ``Foreign.data``."""
    match path:
        case ("nodes", int(number), *_):
            return ("nodes", number)
        case ("services", int(number), "endpoints", int(position), *_):
            return ("services", number, "ipaddrs", position)
        case ("services", int(number), "endpoints", *_):
            return ("services", number, "ipaddrs")
        case ("services", int(number), "interval" | "timeout" | "recheck", *_):
            return ("services", number, "probe_interval_ms")
        case ("services", int(number), str(key), *_):
            return ("services", number, key)
        case ("push", int(number), *_):
            return ("update_resolvers", number)
        case ("tsig", *_):
            return ("update_credentials",)
        case ("health", *_):
            return ("probe_interval_ms",)
        case ("log", *_):
            return ("loglevel",)
    return ()


def _parsed(source: Source) -> dict[str, Any]:
    def refuse_constant(word: str) -> NoReturn:
        raise ValueError(f"{word} is not JSON")

    line, column = 1, 1
    try:
        given = json.loads(source.text, parse_constant=refuse_constant)
        message = "an rrdnsd configuration is a JSON object in braces"
    except json.JSONDecodeError as error:
        given, line, column, message = None, error.lineno, error.colno, f"invalid JSON: {error.msg.lower()}"
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        given, message = None, f"invalid JSON: {reason}"
    if isinstance(given, dict):
        return given
    raise ConfigError([Fault(message, "syntax", source.name, line, column)], {source.name: source.text})


def _without_comments(value: Any) -> Any:
    """Drop every key that begins with an underscore, at any depth."""
    if isinstance(value, dict):
        return {key: _without_comments(inner) for key, inner in value.items() if not key.startswith("_")}
    return [_without_comments(inner) for inner in value] if isinstance(value, list) else value


def _refuse(source: Source, findings: Findings) -> NoReturn:
    index = Index(source.text, is_json=True)
    raise ConfigError(locate(findings.items, index, source.name), {source.name: source.text})


def _tsig(root: RootObject, findings: Findings) -> list[dict[str, Any]]:
    """Read ``[algorithm:]name:secret``, the way both programs take a key."""
    if not root.update_credentials:
        return []
    *before, name, _ = (
        ["", *root.update_credentials.split(":")] if ":" in root.update_credentials else ["", "", ""]
    )
    algorithm = before[-1] if len(before) == 2 else "hmac-sha256"
    try:
        from_text(name)
        if len(before) <= 2 and algorithm in _ALGORITHMS:
            return [{"name": name, "algorithm": algorithm, "secret": CREDENTIALS}]
    except BadName:
        pass
    findings.error(
        ("update_credentials",),
        f'for {root.update_method} this is a TSIG key; write "hmac-sha256:name-of-the-key:secret-in-base64"',
        code="bad-secret",
    )
    return []


def _data(root: RootObject, tsig: list[dict[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {
        "cluster": {"name": "rrdnsd"},
        "nodes": [_node(number, each, root) for number, each in enumerate(root.nodes, start=1)],
        "dns": {"listen": []},
        "health": {
            **_times(root.probe_interval_ms),
            "rise": 1,
            "fall": 1,
            "fail_open": "50%" if root.enable_fail_open else "0%",
        },
        "services": [_service(each) for each in root.services],
        "log": {"level": _LOG_LEVELS[root.loglevel]},
    }
    zones = list(dict.fromkeys(each.zone for each in root.services))
    push = [_push(server, zones, root, tsig) for server in root.update_resolvers if zones]
    return data | ({"push": push} if push else {}) | ({"tsig": tsig} if tsig else {})


def _node(number: int, address: str, root: RootObject) -> dict[str, Any]:
    raft = join(host_of(address), port_of(address) + RAFT_PORT_OFFSET)
    return {"name": f"n{number}", "raft": raft, "api": f"{root.nodes_protocol}://{address}"}


def _times(interval_ms: int) -> dict[str, str]:
    """A probe is over before the next one is due; with one datapoint there is nothing to recheck sooner."""
    return {"interval": f"{interval_ms}ms", "timeout": f"{interval_ms // 2}ms", "recheck": f"{interval_ms}ms"}


def _service(each: ServiceObject) -> dict[str, Any]:
    service: dict[str, Any] = {
        "fqdn": each.fqdn,
        "zone": each.zone,
        "ttl": each.ttl,
        "healthcheck": each.healthcheck,
        "endpoints": each.ipaddrs,
    }
    return service | ({} if each.probe_interval_ms is None else _times(each.probe_interval_ms))


def _push(server: str, zones: list[str], root: RootObject, tsig: list[dict[str, Any]]) -> dict[str, Any]:
    push = {
        "type": "rfc2136",
        "server": server,
        "zones": zones,
        "method": root.update_method,
        "max_withdrawal": "100%",
    }
    return push | ({"tsig": tsig[0]["name"]} if tsig else {})


def _warnings(root: RootObject, source: Source) -> list[Fault]:
    command = f"qdns config import {source.name} > cluster.toml"
    texts = [
        ("this is an rrdnsd configuration; cluster.toml can say more", "foreign", f"convert it: {command}")
    ]
    if not root.api.enabled:
        texts.append(("api.enabled is false, but the API stays on: nodes and qdns use it", "api", ""))
    return [
        Fault(text, code, source.name, suggestion=suggestion, level="warning")
        for text, code, suggestion in texts
    ]
