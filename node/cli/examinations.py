"""What ``qdns doctor`` looks at, one function a subject; each yields findings and raises nothing."""

import os
import resource
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from node.cli.addresses import segment
from node.cli.faults import Failure
from node.cli.session import Session
from node.counted import counted

if TYPE_CHECKING:
    from node.config import Config

Json = dict[str, Any]
Verdict = Literal["ok", "warning", "critical", "skipped"]

ASK_S = 2.0
CLOCK_OFFSET_MAX_S = 5.0
DESCRIPTORS_MIN = 4_096
FREE_OCTETS_MIN = 512 * 1024 * 1024
_RESERVED = ("test", "example", "invalid", "localhost", "internal", "local")
ZONES_MAX = 20
"""So many zones are asked for on each node."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look came to."""

    subject: str
    verdict: Verdict
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at: the session, the configuration if one was found, and the status if a node answered."""

    session: Session
    config: "Config | None" = None
    status: Json | None = None


def examine_configuration(session: Session) -> "tuple[Config | None, list[Finding]]":
    """Read the configuration that is found; return it, None without, and what is to say of it."""
    from node.cli.addresses import config_path
    from node.cli.certificate_check import certificate_faults
    from node.config import ConfigError, load

    path = config_path(session.settings.config, session.environ)
    if path is None:
        return None, [Finding("configuration", "skipped", "there is none here", "qdns doctor -c FILE")]
    try:
        config = load(path, session.environ, None, needs_node=False)
    except ConfigError as error:
        text = f"{path}: {counted(len(error.faults), 'fault')}, the first: {error.faults[0].message}"
        return None, [Finding("configuration", "critical", text, f"qdns config check -c {path}")]
    faults = (*certificate_faults(config, session.environ), *config.warnings)
    found = [
        Finding(
            "configuration", "critical" if each.level == "error" else "warning", each.message, each.suggestion
        )
        for each in faults
    ]
    return config, found or [Finding("configuration", "ok", f"{path} is as it should be")]


def examine_machine(patient: Patient) -> Iterator[Finding]:
    """Look at what a node needs of this machine."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = hard == resource.RLIM_INFINITY or hard >= DESCRIPTORS_MIN
    text = f"a process may open {'any number of' if hard == resource.RLIM_INFINITY else hard} files"
    yield Finding(
        "files", "ok" if enough else "warning", text, "" if enough else "LimitNOFILE=65536, or ulimit -n"
    )
    config = patient.config
    if config is None or config.node_source == "unknown":
        yield Finding(
            "data directory", "skipped", "it is not known which node this machine is", "LOCAL_NODE=NAME"
        )
        return
    yield _data_directory(config)


def _data_directory(config: "Config") -> Finding:
    folder = config.raft.data_dir
    if not folder.exists():
        return Finding("data directory", "warning", f"{folder} is not there: this node has never run here")
    if not os.access(folder, os.R_OK | os.X_OK):
        return Finding("data directory", "skipped", f"{folder} is another user's", "run it as that user")
    free = shutil.disk_usage(folder).free
    text = f"{folder}: {free // (1024 * 1024):,} MiB free".replace(",", " ")
    is_low = free < FREE_OCTETS_MIN
    return Finding(
        "data directory", "critical" if is_low else "ok", text, "make room before it is full" if is_low else ""
    )


def examine_cluster(patient: Patient) -> Iterator[Finding]:
    """Pass on what the cluster says of itself."""
    status = patient.status
    if status is None:
        return
    nodes = status["nodes"]
    ready = sum(each["state"] == "ready" for each in nodes)
    leader = status["leader"] or "nobody"
    good = status["quorum"] and status["leader"]
    text = f"{leader} leads, {ready} of {len(nodes)} nodes are ready"
    yield Finding("quorum", "ok" if good else "critical", text, "" if good else "qdns status")
    for each in status["problems"]:
        verdict: Verdict = each["severity"] if each["severity"] in ("critical", "warning") else "ok"
        yield Finding("cluster", verdict, each["text"], " ".join(each["next"]))
    versions = {each["version"] for each in nodes if each["version"]}
    if len(versions) > 1:
        yield Finding(
            "versions", "warning", f"the nodes run {', '.join(sorted(versions))}", "qdns nodes -o wide"
        )
    elif versions:
        yield Finding("versions", "ok", f"all nodes that answer run {versions.pop()}")


def examine_nodes(patient: Patient) -> Iterator[Finding]:
    """Reach each node from here: its API, its clock, the port of its log."""
    status = patient.status
    if status is None:
        return
    raft = {each.name: each.raft for each in patient.config.nodes} if patient.config is not None else {}
    for row in status["nodes"]:
        name = row["name"]
        if row["api"]:
            yield from _api(patient.session, name, row["api"])
        if name in raft:
            yield _port(f"log of {name}", raft[name])


def _api(session: Session, name: str, url: str) -> Iterator[Finding]:
    begun_s = time.time()
    try:
        answer = session.client.at(url).get("/v1/status", scope="local")
    except Failure as failure:
        reason = failure.facts[0].partition("  ")[2] if failure.facts else failure.message
        yield Finding(
            f"API of {name}", "warning", f"{url}: {reason}", "is the address right, and open from here?"
        )
        return
    middle_s = (begun_s + time.time()) / 2
    yield Finding(f"API of {name}", "ok", f"{url} answers")
    clock_ms = answer.get("clock_ms")
    if isinstance(clock_ms, int):
        offset_s = clock_ms / 1000 - middle_s
        is_off = abs(offset_s) > CLOCK_OFFSET_MAX_S
        text = f"{abs(offset_s):.1f} s {'ahead of' if offset_s > 0 else 'behind'} this machine's"
        yield Finding(
            f"clock of {name}", "warning" if is_off else "ok", text, "set both by NTP" if is_off else ""
        )


def _port(subject: str, address: str) -> Finding:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=ASK_S):
            return Finding(subject, "ok", f"{address} is open")
    except OSError as error:
        reason = (
            "no answer in time" if isinstance(error, TimeoutError) else (error.strerror or str(error)).lower()
        )
        return Finding(
            subject, "warning", f"{address}: {reason}", "nodes need it among them, this machine may not"
        )


def examine_dns(patient: Patient) -> Iterator[Finding]:
    """Ask every node for every zone, over UDP and TCP, and compare the serials."""
    status = patient.status
    if status is None:
        return
    zones = [each["zone"] for each in status["zones"]]
    serials: dict[str, dict[str, int | None]] = {zone: {} for zone in zones[:ZONES_MAX]}
    for row in status["nodes"]:
        if row["dns"]:
            yield from _answers(row["name"], row["dns"][0], serials)
    for zone, by_node in serials.items():
        known = {serial for serial in by_node.values() if serial is not None}
        if len(known) > 1:
            told = ", ".join(f"{name} {serial}" for name, serial in by_node.items())
            yield Finding(
                f"zone {zone}",
                "warning",
                f"the nodes answer different serials: {told}",
                "look again; then: qdns status",
            )
    if len(zones) > ZONES_MAX:
        yield Finding("zones", "skipped", f"{len(zones) - ZONES_MAX} more zones were not asked for")


def _answers(name: str, server: str, serials: dict[str, dict[str, int | None]]) -> Iterator[Finding]:
    from node.cli.asking import ask, serial_of

    question = next(iter(serials), "version.bind")
    for protocol, tcp in (("UDP", False), ("TCP", True)):
        row = ask(server, f"{question}.", "SOA", ASK_S, tcp=tcp)
        if row["error"]:
            yield Finding(
                f"DNS of {name}",
                "critical",
                f"{server} over {protocol}: {row['error']}",
                "is it open from here?",
            )
            return
    refused = []
    for zone, by_node in serials.items():
        by_node[name] = serial_of(server, zone, ASK_S)
        if by_node[name] is None:
            refused.append(zone)
    if refused:
        text = f"{server} has no answer for {', '.join(refused)}"
        yield Finding(f"DNS of {name}", "critical", text, f"qdns query {refused[0]} SOA @{name}")
    else:
        yield Finding(
            f"DNS of {name}", "ok", f"{server} answers over UDP and TCP for {counted(len(serials), 'zone')}"
        )


def examine_zones(patient: Patient) -> Iterator[Finding]:
    """Look for what is wrong within the zones, and whether the world is sent to these name servers."""
    status = patient.status
    if status is None:
        return
    for zone in [each["zone"] for each in status["zones"]][:ZONES_MAX]:
        try:
            checked = patient.session.client.get(f"/v1/zones/{segment(zone)}/check")
        except Failure as failure:
            yield Finding(f"zone {zone}", "skipped", failure.message)
            continue
        yield from _within(zone, checked)
        yield _delegation(zone, patient.session)


def _within(zone: str, checked: Mapping[str, Any]) -> Iterator[Finding]:
    items = checked.get("items", [])
    for each in items[:3]:
        yield Finding(f"zone {zone}", "warning", str(each.get("text") or each), f"qdns zone check {zone}")
    if not items:
        yield Finding(f"zone {zone}", "ok", "nothing is wrong within it")


def _delegation(zone: str, session: Session) -> Finding:
    from node.cli.asking import nameservers_of

    if zone.rpartition(".")[2] in _RESERVED:
        return Finding(
            f"delegation of {zone}", "skipped", "nobody is sent anywhere for a reserved name (RFC 6761)"
        )
    own = session.client.get(f"/v1/zones/{segment(zone)}").get("nameservers", [])
    subject = f"delegation of {zone}"
    told = nameservers_of(zone, ASK_S)
    if told is None:
        return Finding(subject, "skipped", "the resolver of this machine does not tell")
    if not told:
        return Finding(
            subject, "warning", "the world is sent nowhere for it", "have it delegated at the registrar"
        )
    missing = sorted({each.rstrip(".").lower() for each in own} - told)
    if missing:
        return Finding(
            subject, "warning", f"the world is not sent to {', '.join(missing)}", "compare with the registrar's"
        )
    return Finding(subject, "ok", f"the world is sent to {', '.join(sorted(told))}")


def examine_targets(patient: Patient) -> Iterator[Finding]:
    """Look at the push targets."""
    for row in (patient.status or {}).get("pushes", []):
        good = row["state"] in ("synced", "idle", "paused")
        detail = f": {row['detail']}" if row.get("detail") else ""
        hint = "" if good else f"qdns push show {row['target']}"
        yield Finding(f"push {row['target']}", "ok" if good else "warning", f"{row['state']}{detail}", hint)


EXAMINATIONS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    examine_machine,
    examine_cluster,
    examine_nodes,
    examine_dns,
    examine_zones,
    examine_targets,
)
