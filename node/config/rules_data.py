"""Rules on what the cluster is seeded with: [[zones]], [[services]], [[push]], [[tsig]]."""

import ipaddress

from node.config.addresses import host_of, is_any, port_of
from node.config.draft import Draft
from node.config.findings import Findings
from node.config.messages import did_you_mean
from node.config.model import Node
from node.config.positions import Path as KeyPath
from node.config.zones import report_record
from node.health.service import Service, problem
from node.zone.name import is_within, to_text
from node.zone.rrset import AAAA, CNAME, A, type_to_text

PROBES_PER_SECOND_MAX = 4_000
"""What one core of a node can do; see the section on probes of the documentation."""


def _judge_zones(draft: Draft, findings: Findings) -> None:
    values = [
        (each.name, draft.valid.path("zones", n, "name")) for n, each in enumerate(draft.valid.root.zones)
    ]
    findings.twice(values, "this zone stands in the file already")


def _judge_services(draft: Draft, findings: Findings) -> None:
    tables = enumerate(draft.valid.root.services)
    values = [(each.fqdn, draft.valid.path("services", n, "fqdn")) for n, each in tables]
    findings.twice(values, "another service has this name already")
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
        _judge_commands(draft, service, path, findings)


def _judge_endpoints(draft: Draft, service: Service, path: KeyPath, findings: Findings) -> None:
    addresses = [(each.address, (*path, "endpoints", n, "address")) for n, each in enumerate(service.endpoints)]
    findings.twice(addresses, "this address stands in the service already")
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


def _judge_commands(draft: Draft, service: Service, path: KeyPath, findings: Findings) -> None:
    """What an exec check runs stands in this file: it is never replicated."""
    known = list(draft.valid.root.checks.exec)
    for check in (service.check, *(part.check for part in service.check.parts)):
        if check.command and check.command not in known and draft.valid.is_whole("checks"):
            findings.error(
                (*path, "healthcheck"),
                f'there is no command "{check.command}"',
                code="unknown-reference",
                suggestion=did_you_mean(check.command, known)
                or f"add a table [checks.exec.{check.command}] with argv",
            )


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


def _judge_targets(draft: Draft, findings: Findings) -> None:
    values = [(target.name, (*path, "name")) for target, path in draft.targets]
    findings.twice(values, "another push target has this name already")
    for target, path in draft.targets:
        own = next((node for node in draft.nodes if target.server and answers_at(node, target.server)), None)
        if own is not None:
            message = (
                f"{target.server} is where {own.name} answers DNS: a push there would go round in a circle"
            )
            findings.error((*path, "server"), message, code="loop")
        useful = target.what == "all" or any(service.zone in target.zones for service, _ in draft.services)
        if not useful and not draft.valid.dropped:
            findings.warning((*path, "zones"), "no service is in these zones: nothing is pushed", code="unused")


def answers_at(node: Node, server: str) -> bool:
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
    values = [(each.name, draft.valid.path("tsig", n, "name")) for n, each in tables]
    findings.twice(values, "another key has this name already")


DATA_RULES = (
    _judge_zones,
    _judge_services,
    _judge_load,
    _judge_static_records,
    _judge_targets,
    _judge_tsig,
)
