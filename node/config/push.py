"""[[push]]: from its tables to the targets of the log, and to this node's tokens, which never go there."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from node.config.addresses import host_of, is_loopback, join, port_of
from node.config.findings import Findings
from node.config.messages import did_you_mean
from node.config.model import PushToken
from node.config.positions import Path as KeyPath
from node.config.schema import PushTable
from node.config.secret import References
from node.config.validate import Validated
from node.state.pushes import Target

DNS_PORT = 53


@dataclass(frozen=True, slots=True)
class _Kind:
    """Which keys a type of target takes beside those that all have."""

    needs: tuple[str, ...]
    takes: tuple[str, ...] = ()


_API = _Kind(needs=("token",), takes=("url",))
_KINDS = {
    "rfc2136": _Kind(needs=("server",), takes=("tsig", "method", "fence")),
    "powerdns": _Kind(needs=("url", "token")),
}
_HINTS = {
    "server": 'add: server = "192.0.2.53:53"',
    "url": 'add: url = "https://pdns.example.net:8081"',
    "token": 'add: token = "file:/etc/quorumdns/secrets/NAME"; also "env:NAME" and "credential:NAME"',
}
_SPECIAL: tuple[Literal["server", "url", "token", "tsig", "method", "fence"], ...] = (
    "server",
    "url",
    "token",
    "tsig",
    "method",
    "fence",
)


def build_targets(valid: Validated, findings: Findings) -> list[tuple[Target, KeyPath]]:
    """Return the push targets with their places in the file; names that nobody gave are made."""
    names = names_of(valid.root.push)
    built = []
    for number, (table, name) in enumerate(zip(valid.root.push, names, strict=True)):
        path = valid.path("push", number)
        if _is_complete(table, path, valid, findings):
            _judge_key(table, path, valid, findings)
            _judge_url(table, path, findings)
            built.append((_target(table, name), path))
    return built


def build_push_tokens(valid: Validated, references: References, findings: Findings) -> list[PushToken]:
    """Return where this node finds the token of each target that has one."""
    tokens = []
    names = names_of(valid.root.push)
    for number, (table, name) in enumerate(zip(valid.root.push, names, strict=True)):
        if table.token is None:
            continue
        path = valid.path("push", number, "token")
        try:
            tokens.append(PushToken(name, references.secret(table.token), path))
        except ValueError as error:
            findings.error(path, str(error), code="bad-secret")
    return tokens


def names_of(tables: Sequence[PushTable]) -> list[str]:
    """Return each target's name: its own, or that of its server, with a number behind it when that is taken."""
    taken = {each.name for each in tables if each.name}
    names = []
    for table in tables:
        name = table.name or next(each for each in _candidates(table) if each not in taken)
        taken.add(name)
        names.append(name)
    return names


def _candidates(table: PushTable) -> Iterator[str]:
    name: str = table.type
    if table.server is not None:
        host, port = host_of(table.server), port_of(table.server)
        name = host if port == DNS_PORT else join(host, port)
    yield name
    yield from (f"{name}#{count}" for count in itertools.count(2))


def _is_complete(table: PushTable, path: KeyPath, valid: Validated, findings: Findings) -> bool:
    """Note the keys that the type needs and those that it does not know; say whether it has what it needs."""
    kind = _KINDS.get(table.type, _API)
    missing = [key for key in kind.needs if getattr(table, key) is None and valid.is_whole(*path, key)]
    for key in missing:
        message = f'a push of type "{table.type}" needs the key "{key}"'
        findings.error((*path, "type"), message, code="missing-key", suggestion=_HINTS[key])
    for key in _SPECIAL:
        if key in table.model_fields_set and key not in (*kind.needs, *kind.takes):
            message = f'a push of type "{table.type}" has no use for the key "{key}"'
            suggestion = f"its own keys: {', '.join((*kind.needs, *kind.takes))}"
            findings.error((*path, key), message, code="unused-key", suggestion=suggestion)
    return all(getattr(table, key) is not None for key in kind.needs)


def _judge_key(table: PushTable, path: KeyPath, valid: Validated, findings: Findings) -> None:
    keys = [each.name for each in valid.root.tsig]
    if table.tsig and table.tsig not in keys and valid.is_whole("tsig"):
        findings.error(
            (*path, "tsig"),
            f'there is no [[tsig]] key named "{table.tsig}"',
            code="unknown-reference",
            suggestion=did_you_mean(table.tsig, keys) or "add a [[tsig]] table with this name",
        )


def _judge_url(table: PushTable, path: KeyPath, findings: Findings) -> None:
    """A token in clear over the network is worth a word."""
    parts = urlsplit(table.url or "")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        findings.warning(
            (*path, "url"),
            "everybody on the way can read the token that is sent to this url",
            code="clear-token",
            suggestion="use https, or an address of a network that is yours alone",
        )


def _target(table: PushTable, name: str) -> Target:
    return Target(
        name=name,
        kind=table.type,
        server=table.server or "",
        zones=tuple(table.zones),
        what=table.what,
        tsig=table.tsig or "",
        method=table.method,
        url=table.url or "",
        token=name if table.token is not None else "",
        min_interval_ms=table.min_interval,
        own=table.own,
        fence=table.fence,
        withdrawal_percent_max=table.max_withdrawal,
    )
