"""From the checked tables to the program's values, one section each."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from node.config.addresses import host_of, join, port_of
from node.config.check import build_check
from node.config.fields import ADDRESS_PLACEHOLDER
from node.config.findings import Findings
from node.config.model import ChecksSettings, HealthDefaults, Node, RaftSettings, Token, TsigKey
from node.config.positions import Path as KeyPath
from node.config.schema import ChecksTable, HealthTable, Root, ServiceTable
from node.config.secret import References, Secret
from node.config.validate import Validated
from node.health.check_text import BadCheck
from node.health.service import Check, Endpoint, Service, WhenDown
from node.statsd import StatsdSettings
from node.zone.name import Name, iter_ancestors, to_text

RAFT_PORT, API_PORT, DNS_PORT = 7300, 7380, 53
NODE_PLACEHOLDER = "{node}"
LONE_NODE = "node1"


def build_nodes(root: Root) -> tuple[Node, ...]:
    """Return the members, completed by defaults; a cluster of one on loopback when none are named."""
    if not root.nodes:
        return (_node(root, LONE_NODE, f"127.0.0.1:{RAFT_PORT}", None, "", None),)
    nodes = (
        (_node(root, each.name, each.raft, each.api, each.site, each.bind), each.role) for each in root.nodes
    )
    return tuple(replace(node, role=role) for node, role in nodes)


def _node(root: Root, name: str, raft: str, api: str | None, site: str, bind: str | None) -> Node:
    host = host_of(raft)
    url = api or f"{'https' if root.api.tls else 'http'}://{join(host, API_PORT)}"
    authority = url.partition("://")[2]
    api_default = authority if _is_ip(host_of(authority)) else join(host, port_of(authority))
    return Node(
        name=name,
        raft=raft,
        api=url,
        site=site,
        bind=bind or raft,
        dns=tuple(filled(each, host) for each in dns_listen(root)),
        api_listen=filled(root.api.listen, host) if root.api.listen else api_default,
        dns_tls=tuple(filled(each, host) for each in root.dns.tls_listen),
    )


def dns_listen(root: Root) -> list[str]:
    """Return where DNS is answered: as configured; else on loopback when there are zones, else nowhere."""
    if root.dns.listen is not None:
        return root.dns.listen
    return [f"127.0.0.1:{DNS_PORT}"] if root.zones else []


def filled(listen: str, host: str) -> str:
    """Put the node's own address in for ``{address}``."""
    if not listen.startswith(ADDRESS_PLACEHOLDER):
        return listen
    return join(host, port_of(listen))


def _is_ip(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def default_data_dir(environ: Mapping[str, str]) -> str:
    """Return where a node keeps its log when nobody says: systemd's, the system's or the user's place."""
    if environ.get("STATE_DIRECTORY"):
        return environ["STATE_DIRECTORY"].split(":")[0] + f"/{NODE_PLACEHOLDER}"
    if os.geteuid() == 0:
        return f"/var/lib/quorumdns/{NODE_PLACEHOLDER}"
    state = environ.get("XDG_STATE_HOME") or f"{environ.get('HOME', '/var/lib')}/.local/state"
    return f"{state}/quorumdns/{NODE_PLACEHOLDER}"


def build_raft(root: Root, base: Path, node: str, environ: Mapping[str, str]) -> RaftSettings:
    """Return this node's settings of the log; a relative directory is beside the file."""
    directory = (root.raft.data_dir or default_data_dir(environ)).replace(NODE_PLACEHOLDER, node)
    low, high = root.raft.election_timeout
    return RaftSettings(
        data_dir=base / directory,
        election_timeout_s=(low / 1000, high / 1000),
        heartbeat_s=root.raft.heartbeat / 1000,
        snapshot_entries=root.raft.snapshot_every,
    )


def build_health(table: HealthTable) -> HealthDefaults:
    """Return the defaults; the file names the least share that is up, the program the most that is down."""
    return HealthDefaults(
        interval_ms=table.interval,
        timeout_ms=table.timeout,
        recheck_ms=table.recheck,
        rise=table.rise,
        fall=table.fall,
        fail_open_percent=100 - table.fail_open,
        rule=table.rule,
        flap_limit=None if table.flap_limit is None else table.flap_limit.limit(),
        failback=table.failback,
    )


def build_checks(table: ChecksTable, base: Path) -> ChecksSettings:
    """Return what probing needs of this machine; a relative file is beside the configuration."""
    ca_file = None if table.ca_file is None else base / table.ca_file
    exec_checks = {name: tuple(each.argv) for name, each in table.exec.items()}
    return ChecksSettings(ca_file, tuple(table.references), exec_checks)


def build_statsd(root: Root) -> StatsdSettings | None:
    """Return where metrics go by StatsD, None for nowhere."""
    table = root.statsd
    if table is None:
        return None
    return StatsdSettings(host_of(table.server), port_of(table.server), table.prefix, table.tags)


def build_secret(text: str, path: KeyPath, references: References, findings: Findings) -> Secret | None:
    """Read a reference; None, and a finding, when it is none."""
    try:
        return references.secret(text)
    except ValueError as error:
        findings.error(path, str(error), code="bad-secret")
        return None


def build_tsig(valid: Validated, references: References, findings: Findings) -> list[TsigKey]:
    """Return the TSIG keys."""
    keys = []
    for number, table in enumerate(valid.root.tsig):
        path = valid.path("tsig", number)
        secret = build_secret(table.secret, (*path, "secret"), references, findings)
        if secret is not None:
            keys.append(TsigKey(table.name, table.algorithm, secret, tuple(table.grant)))
    return keys


def build_tokens(root: Root, references: References, findings: Findings) -> list[Token]:
    """Return the tokens of the API."""
    tokens = []
    for number, table in enumerate(root.api.tokens):
        secret = build_secret(table.token, ("api", "tokens", number, "token"), references, findings)
        if secret is not None:
            tokens.append(Token(table.name, secret, tuple(table.scopes)))
    return tokens


def build_services(valid: Validated, findings: Findings) -> list[tuple[Service, KeyPath]]:
    """Return the services with their places in the file."""
    built = []
    health = build_health(valid.root.health)
    for number, table in enumerate(valid.root.services):
        path = valid.path("services", number)
        check = _check(table, path, findings)
        zone = table.zone or _closest_zone(valid, table.fqdn)
        if zone is None:
            fqdn = to_text(table.fqdn)[:-1]
            guess = fqdn.partition(".")[2] or fqdn
            message = f"no zone of this file holds {fqdn}"
            if valid.is_whole("zones") and valid.is_whole("push"):
                findings.error((*path, "fqdn"), message, code="no-zone", suggestion=f'add: zone = "{guess}"')
        if check is not None:
            service = _service(table, check, zone or table.fqdn, health, valid.root.dns.default_ttl)
            built.append((service, path))
    return built


def _check(table: ServiceTable, path: KeyPath, findings: Findings) -> Check | None:
    try:
        return build_check(table.healthcheck)
    except BadCheck as bad:
        keys = (int(key) if key.isdigit() else key for key in bad.key.split("/") if key)
        where: KeyPath = (*path, "healthcheck", *keys)
        findings.error(where, str(bad), code="bad-healthcheck", suggestion=bad.suggestion)
        return None


def _closest_zone(valid: Validated, fqdn: Name) -> Name | None:
    """Return the longest zone, served or pushed, that holds the name."""
    known = {zone.name for zone in valid.root.zones} | {zone for push in valid.root.push for zone in push.zones}
    return next((name for name in iter_ancestors(fqdn) if name in known), None)


def _service(
    table: ServiceTable, check: Check, zone: Name, health: HealthDefaults, default_ttl: int
) -> Service:
    def chosen(own: int | None, default: int) -> int:
        return default if own is None else own

    own_fail_open = None if table.fail_open is None else 100 - table.fail_open
    return Service(
        fqdn=table.fqdn,
        zone=zone,
        check=check,
        endpoints=tuple(
            Endpoint(
                each.address,
                each.name,
                each.priority,
                each.weight,
                tuple(each.probe_from),
                each.probe_address or "",
                each.site,
                tuple(each.tags),
            )
            for each in table.endpoints
        ),
        ttl=chosen(table.ttl, default_ttl),
        interval_ms=chosen(table.interval, health.interval_ms),
        timeout_ms=chosen(table.timeout, health.timeout_ms),
        recheck_ms=chosen(table.recheck, health.recheck_ms),
        rise=chosen(table.rise, health.rise),
        fall=chosen(table.fall, health.fall),
        fail_open_percent=chosen(own_fail_open, health.fail_open_percent),
        mode=table.mode,
        rule=msgspec.structs.replace(
            health.rule if table.rule is None else table.rule, min_voters=table.min_voters
        ),
        when_down=_when_down(table),
        fallback=tuple(table.fallback),
        min_up=table.min_up,
        max_answers=table.max_answers,
        flap_limit=health.flap_limit if table.flap_limit is None else table.flap_limit.limit(),
        failback=table.failback or health.failback,
        ttl_min=table.ttl_min,
        separate_families=table.separate_families,
        selection=table.selection,
    )


def _when_down(table: ServiceTable) -> WhenDown:
    """Return what is published when all is down; who names fallback addresses means these."""
    return table.when_down or ("fallback" if table.fallback else "nodata")
