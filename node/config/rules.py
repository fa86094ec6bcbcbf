"""What must hold between keys: the rules that types and ranges cannot say.

Every rule looks at what the schema let through and notes all that it finds, each at its key.
"""

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from node.config.addresses import host_of, is_any, is_loopback, port_of
from node.config.findings import Finding, Findings
from node.config.messages import did_you_mean
from node.config.model import Node, Token
from node.config.positions import Path as KeyPath
from node.config.validate import Validated
from node.config.zones import BuiltZone, report_record
from node.health.service import Service, problem
from node.state.command import (
    ENTRY_BYTES_MAX,
    Entry,
    Member,
    PutService,
    PutTarget,
    PutZone,
    Seed,
    Target,
    encode,
)
from node.state.machine import apply_entry
from node.state.state import Refused, State
from node.zone.name import is_within, to_text
from node.zone.rrset import AAAA, CNAME, A, type_to_text

PROBES_PER_SECOND_MAX = 4_000
"""What one core of a node can do; see the section on probes of the documentation."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The parts of a configuration before anything stands between them and the program."""

    valid: Validated
    nodes: tuple[Node, ...]
    zones: Sequence[BuiltZone]
    services: Sequence[tuple[Service, KeyPath]]
    targets: Sequence[tuple[Target, KeyPath]]
    tokens: Sequence[Token]


def judge(draft: Draft, findings: Findings) -> None:
    """Apply every rule; the state machine has the last word on what an empty cluster is seeded with."""
    for rule in _RULES:
        rule(draft, findings)
    if not findings.has_errors:
        _judge_seed(draft, findings)


# --- nodes -----------------------------------------------------------------------------------------


def _judge_nodes(draft: Draft, findings: Findings) -> None:
    tables = draft.valid.root.nodes
    for key in ("name", "raft", "api"):
        values = [(getattr(each, key), draft.valid.path("nodes", n, key)) for n, each in enumerate(tables)]
        _report_twice(findings, values, f"another node has this {key} already")
    count = len(tables)
    if count and count % 2 == 0 and draft.valid.is_whole("nodes"):
        findings.warning(
            draft.valid.path("nodes", count - 1),
            f"{count} nodes survive the loss of {(count - 1) // 2}, as {count - 1} would",
            code="even-nodes",
            suggestion=f"use an odd number: {count - 1} or {count + 1}",
        )


def _judge_secret(draft: Draft, findings: Findings) -> None:
    """Raft traffic leaves the machine only with a secret."""
    root = draft.valid.root
    if root.cluster.secret is not None or not draft.valid.is_whole("cluster", "secret"):
        return
    for number, table in enumerate(root.nodes):
        for key, address in (("raft", table.raft), ("bind", table.bind)):
            if address is not None and not is_loopback(host_of(address)):
                findings.error(
                    draft.valid.path("nodes", number, key),
                    f"nodes talk over {address}, which is not on loopback, so [cluster] secret is required",
                    code="secret-required",
                    suggestion='add to [cluster]: secret = "file:/etc/quorumdns/raft-secret" '
                    "(openssl rand -hex 32 makes a good one)",
                )
                return


def _judge_api(draft: Draft, findings: Findings) -> None:
    """The API is open without tokens on loopback only."""
    root = draft.valid.root
    if draft.tokens or root.api.tokens or not draft.valid.is_whole("api", "tokens"):
        _report_twice(
            findings,
            [(each.name, ("api", "tokens", n, "name")) for n, each in enumerate(root.api.tokens)],
            "another token has this name already",
        )
        return
    for number, node in enumerate(draft.nodes):
        if is_loopback(host_of(node.api_listen)):
            continue
        path: KeyPath = ("api", "listen")
        if root.api.listen is None:
            path = draft.valid.path("nodes", number, "api" if root.nodes[number].api else "raft")
        findings.error(
            path,
            f"the API listens on {node.api_listen}, which is not on loopback, so [[api.tokens]] are required",
            code="tokens-required",
            suggestion='listen on loopback, or add [[api.tokens]] with name = "admin" and token = "file:..."',
        )
        return


def _judge_listeners(draft: Draft, findings: Findings) -> None:
    """No two listeners of one node on one address and TCP port."""
    for node in draft.nodes:
        taken = {node.bind: "raft", node.api_listen: "the API"}
        if node.bind == node.api_listen:
            path = _node_path(draft, node, "raft")
            findings.error(path, f"{node.name}: raft and the API both listen on {node.bind}", code="conflict")
        for number, listen in enumerate(node.dns):
            if listen in taken:
                message = f"{node.name}: {taken[listen]} listens on {listen} already"
                findings.error(("dns", "listen", number), message, code="conflict")
            taken[listen] = "DNS"


def _node_path(draft: Draft, node: Node, key: str) -> KeyPath:
    names = [each.name for each in draft.valid.root.nodes]
    return draft.valid.path("nodes", names.index(node.name), key) if node.name in names else ("nodes",)


def _judge_timers(draft: Draft, findings: Findings) -> None:
    raft = draft.valid.root.raft
    low, high = raft.election_timeout
    if low >= high:
        findings.error(
            ("raft", "election_timeout"), "the election timeout goes from a shorter to a longer time"
        )
    if raft.heartbeat * 2 > low:
        findings.error(
            ("raft", "heartbeat"),
            f"a heartbeat every {raft.heartbeat} ms is too rare for an election timeout of {low} ms",
            suggestion="at most half of the shortest election timeout",
        )


# --- zones and services ------------------------------------------------------------------------------


def _judge_zones(draft: Draft, findings: Findings) -> None:
    values = [
        (each.name, draft.valid.path("zones", n, "name")) for n, each in enumerate(draft.valid.root.zones)
    ]
    _report_twice(findings, values, "this zone stands in the file already")


def _judge_services(draft: Draft, findings: Findings) -> None:
    tables = enumerate(draft.valid.root.services)
    values = [(each.fqdn, draft.valid.path("services", n, "fqdn")) for n, each in tables]
    _report_twice(findings, values, "another service has this name already")
    known = {zone.command.zone for zone in draft.zones} | {
        zone for target, _ in draft.targets for zone in target.zones
    }
    for service, path in draft.services:
        if not is_within(service.fqdn, service.zone):
            message = f"{to_text(service.fqdn)} is not inside the zone {to_text(service.zone)}"
            findings.error((*path, "zone"), message, code="outside-zone")
        elif service.zone not in known and _says(draft, path, "zone") and not draft.valid.dropped:
            message = f"the zone {to_text(service.zone)} is neither in [[zones]] nor in a [[push]]"
            findings.warning((*path, "zone"), f"{message}: nobody sees this service", code="unused")
        _judge_endpoints(draft, service, path, findings)
        _judge_times(draft, service, path, findings)


def _judge_endpoints(draft: Draft, service: Service, path: KeyPath, findings: Findings) -> None:
    addresses = [(each.address, (*path, "endpoints", n, "address")) for n, each in enumerate(service.endpoints)]
    _report_twice(findings, addresses, "this address stands in the service already")
    names = [node.name for node in draft.nodes]
    for number, endpoint in enumerate(service.endpoints):
        for position, name in enumerate(endpoint.probe_from):
            if name not in names and draft.valid.is_whole("nodes"):
                where = (*path, "endpoints", number, "probe_from", position)
                suggestion = did_you_mean(name, names)
                findings.error(
                    where, f'there is no node "{name}"', code="unknown-reference", suggestion=suggestion
                )
    if not service.endpoints:
        findings.warning((*path, "endpoints"), "a service without endpoints has no records", code="unused")


def _judge_times(draft: Draft, service: Service, path: KeyPath, findings: Findings) -> None:
    """A probe must be over before the next one is due."""
    if service.timeout_ms >= service.interval_ms:
        own = next((each for each in ("timeout", "interval") if _says(draft, path, each)), None)
        findings.error(
            ("health", "timeout") if own is None else (*path, own),
            f"the timeout of {service.timeout_ms} ms must be shorter than the interval of "
            f"{service.interval_ms} ms",
            code="timeout",
        )
        return
    repeated = {"an address stands twice among the endpoints", "the service's name is not inside its zone"}
    sentence = problem(service)
    if sentence and sentence not in repeated:
        findings.error(path, f"{to_text(service.fqdn)}: {sentence}")


def _says(draft: Draft, path: KeyPath, key: str) -> bool:
    """Say whether a service sets a key itself."""
    tables = draft.valid.root.services
    number = draft.valid.numbers["services"].index(int(path[1]))
    return getattr(tables[number], key) is not None


def _judge_load(draft: Draft, findings: Findings) -> None:
    """All probes must fit into their intervals."""
    rate = sum(len(each.endpoints) * 1000 / each.interval_ms for each, _ in draft.services)
    if rate > PROBES_PER_SECOND_MAX:
        findings.warning(
            ("health", "interval"),
            f"every node would have to probe {rate:.0f} times a second; about {PROBES_PER_SECOND_MAX} is "
            "what one can do in time",
            code="load",
            suggestion="use longer intervals, or probe_from to share the work",
        )


def _judge_static_records(draft: Draft, findings: Findings) -> None:
    """The addresses of a service's name are the service's alone."""
    owners = {service.fqdn for service, _ in draft.services}
    for zone in draft.zones:
        for (name, type_), place in zone.places.items():
            if name in owners and type_ in (A, AAAA, CNAME):
                text = f"{to_text(name)} {type_to_text(type_)} belongs to the service of this name"
                report_record(findings, zone, place, text)


# --- push ---------------------------------------------------------------------------------------------


def _judge_targets(draft: Draft, findings: Findings) -> None:
    values = [(target.name, (*path, "name")) for target, path in draft.targets]
    _report_twice(findings, values, "another push target has this name already")
    for target, path in draft.targets:
        own = next((node for node in draft.nodes if _answers(node, target.server)), None)
        if own is not None:
            message = (
                f"{target.server} is where {own.name} answers DNS: a push there would go round in a circle"
            )
            findings.error((*path, "server"), message, code="loop")
        useful = target.what == "all" or any(service.zone in target.zones for service, _ in draft.services)
        if not useful and not draft.valid.dropped:
            findings.warning((*path, "zones"), "no service is in these zones: nothing is pushed", code="unused")


def _answers(node: Node, server: str) -> bool:
    """Say whether a node answers DNS at this address."""
    for listen in node.dns:
        same_family = (
            ipaddress.ip_address(host_of(listen)).version == ipaddress.ip_address(host_of(server)).version
        )
        everywhere = is_any(host_of(listen)) and same_family and host_of(server) == host_of(node.raft)
        if port_of(listen) == port_of(server) and (host_of(listen) == host_of(server) or everywhere):
            return True
    return False


def _judge_tsig(draft: Draft, findings: Findings) -> None:
    tables = enumerate(draft.valid.root.tsig)
    values = [(each.name.lower().rstrip("."), draft.valid.path("tsig", n, "name")) for n, each in tables]
    _report_twice(findings, values, "another key has this name already")


# --- the seed -----------------------------------------------------------------------------------------


def _judge_seed(draft: Draft, findings: Findings) -> None:
    """Try the seed on an empty state, step by step, as a cluster would."""
    members = tuple(Member(each.name, each.raft, each.api, each.site) for each in draft.nodes)
    state = State(members=members)
    steps: list[tuple[PutZone | PutService | PutTarget, KeyPath]] = [
        *((zone.command, zone.path) for zone in draft.zones),
        *((PutService(service), path) for service, path in draft.services),
        *((PutTarget(target), path) for target, path in draft.targets),
    ]
    for step, path in steps:
        applied = apply_entry(state, state.index + 1, Entry(step, at_ms=0))
        state = applied.state
        if isinstance(applied.result, Refused):
            detail = applied.result.detail.removesuffix("; nothing was changed")
            findings.items.append(Finding(path, detail, "refused", applied.result.hint, at="key"))
    _judge_size(draft, members, findings)


def _judge_size(draft: Draft, members: tuple[Member, ...], findings: Findings) -> None:
    """The seed is one entry of the log."""
    seed = Seed(
        members,
        tuple(zone.command for zone in draft.zones),
        tuple(service for service, _ in draft.services),
        tuple(target for target, _ in draft.targets),
    )
    size = len(encode(Entry(seed, at_ms=0)))
    if size > ENTRY_BYTES_MAX:
        biggest = max(draft.zones, key=lambda each: len(msgspec.msgpack.encode(each.command)), default=None)
        findings.error(
            biggest.path if biggest else ("services",),
            f"zones and services are {size // 1024} KiB together, {ENTRY_BYTES_MAX // 1024} KiB can be seeded at once",
            code="too-large",
            suggestion="leave big zones' records out of the file and import them: qdns zone import",
        )


def _report_twice(findings: Findings, values: Iterable[tuple[object, KeyPath]], message: str) -> None:
    seen: set[object] = set()
    for value, path in values:
        if value is not None and value in seen:
            findings.error(path, message, code="duplicate")
        seen.add(value)


_RULES: tuple[Callable[[Draft, Findings], None], ...] = (
    _judge_nodes,
    _judge_secret,
    _judge_api,
    _judge_listeners,
    _judge_timers,
    _judge_zones,
    _judge_services,
    _judge_load,
    _judge_static_records,
    _judge_targets,
    _judge_tsig,
)
