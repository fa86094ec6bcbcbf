"""What needs a person: found in the status' own rows, the worst first, each with the next step. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from node.api.context import ReplicaView, Token
from node.api.names import plain
from node.api.operation_notes import find_notes, is_maintained
from node.api.token_problems import find_token_problems
from node.api.trust_problems import find_trust_problems
from node.api.views import Row, moment
from node.counted import counted
from node.formats import holding_back, newest_read
from node.state.events import time_of
from node.state.state import ServiceState, State
from node.zone.name import sort_key

LAG_ENTRIES_MAX = 100
"""A node this far behind is told of; less is ordinary traffic."""
UNDECIDED_INTERVALS = 5
LATE_PERCENT_MAX = 1.0
"""A greater share of late probes is told of; a pause now and then is ordinary."""
STALE_S_MAX = 10.0
"""A replica that has heard no leader for longer is told of."""
PUSH_PATIENCE_MS = 5_000
_SEVERITIES = ("critical", "warning", "note")


@dataclass(frozen=True, slots=True)
class Found:
    """What the problems are looked for in."""

    state: State
    replica: ReplicaView
    now_ms: int
    own: Row
    nodes: list[Row]
    services: list[Row]
    pushes: list[Row]
    receivers: list[Row]
    configured: Mapping[str, str] = field(default_factory=dict)
    """Where each node's log listens by this node's configuration."""
    tokens: Sequence[Token] = ()
    """Of this node's configuration."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that needs a person."""

    code: str
    severity: Literal["critical", "warning", "note"]
    text: str
    next: tuple[str, ...] = ()
    since_at: str | None = None


def find_problems(found: Found) -> list[Problem]:
    """Return the problems, critical ones first, and last what is as somebody wanted it."""
    problems = [
        *_digest_problems(found),
        *_restore_problems(found),
        *_quorum_problems(found),
        *_node_problems(found),
        *_format_problems(found),
        *(Problem(*told) for told in find_trust_problems(found.own["name"], found.nodes)),
        *(Problem(*told) for told in find_token_problems(found.state, found.tokens, found.now_ms)),
        *_member_problems(found),
        *_service_problems(found),
        *_push_problems(found),
        *_receiver_problems(found),
    ]
    return sorted(problems, key=lambda each: _SEVERITIES.index(each.severity))


def health_of(problems: list[Problem]) -> str:
    """Return the one word for the cluster."""
    if any(each.severity == "critical" for each in problems):
        return "critical"
    return "degraded" if any(each.severity == "warning" for each in problems) else "healthy"


def _digest_problems(found: Found) -> Iterator[Problem]:
    """Two nodes with the same index must have the same state."""
    by_index: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in found.nodes:
        if row["state_digest"] and row["applied_index"] is not None:
            by_index[row["applied_index"]][row["state_digest"]].append(row["name"])
    for index, digests in by_index.items():
        if len(digests) > 1:
            sides = " and ".join(", ".join(names) for names in digests.values())
            text = f"the states of {sides} differ at index {index}: they no longer agree on what is in DNS"
            yield Problem("digest_mismatch", "critical", text, ("qdns", "status", "-o", "wide"))


def _restore_problems(found: Found) -> Iterator[Problem]:
    restoring = found.state.restoring
    if restoring is not None:
        pieces = counted(restoring.next, "piece")
        text = f"a backup is being restored, {restoring.source}: {pieces} so far, nothing is served yet"
        yield Problem("restoring", "critical", text, ("qdns", "status", "--watch"))


def _format_problems(found: Found) -> Iterator[Problem]:
    """Some nodes were upgraded and others not: what is new waits for these."""
    newest = newest_read(found.nodes)
    holders = holding_back(newest, found.nodes) if newest > found.state.format else ()
    if holders:
        text = f"format {newest} of the log is held back at {found.state.format} by {', '.join(holders)}"
        yield Problem("format_held_back", "warning", text, ("qdns", "nodes", "-o", "wide"))


def _quorum_problems(found: Found) -> Iterator[Problem]:
    replica = found.replica
    answers = f"answering DNS from commit {found.own['applied_index']}, writes are refused"
    if not replica.has_quorum:
        reached = 1 + sum(1 for peer in replica.peers if peer.connected)
        members = 1 + len(replica.peers)
        text = f"no quorum: this node is in contact with {reached} of {members} nodes; {answers}"
        yield Problem("no_quorum", "critical", text, ("qdns", "node", "list"))
    elif replica.leader is None:
        text = f"no leader: an election is going on; {answers}"
        yield Problem("no_leader", "critical", text, ("qdns", "status", "--watch"))


def _node_problems(found: Found) -> Iterator[Problem]:
    for row in found.nodes:
        name = row["name"]
        show = ("qdns", "node", "show", name)
        if row["state"] == "unreachable":
            yield Problem("node_unreachable", "warning", _unreachable_text(row), show, row.get("since_at"))
            continue
        if row["state"] == "starting":
            yield Problem("node_starting", "warning", f"{name} is starting and answers SERVFAIL", show)
        if row is not found.own and row["quorum"] is False and found.replica.has_quorum:
            yield Problem("node_isolated", "warning", f"{name} is cut off from the other nodes", show)
        if (row["lag_entries"] or 0) > LAG_ENTRIES_MAX:
            yield Problem("node_lags", "warning", f"{name} is {row['lag_entries']} entries behind", show)
        yield from _probe_problems(name, row["probes"] or {}, show)


def _probe_problems(name: str, probes: Mapping[str, Any], show: tuple[str, ...]) -> Iterator[Problem]:
    """Tell of a node that probes too late or cannot probe, or that nothing answers."""
    late, percent = probes.get("late", 0), probes.get("late_percent", 0.0)
    if late or percent > LATE_PERCENT_MAX:
        are = "is" if late == 1 else "are"
        said = f"{counted(late, 'probe')} of {name} {are} overdue, {percent:g} % begin late"
        if not late:
            said = f"{percent:g} % of the probes of {name} begin late"
        text = f"{said}, by up to {probes.get('delay_ms', 0)} ms (load {probes.get('load', 0):.2f}): its votes come late"
        yield Problem("probes_late", "warning", text, show)
    if probes.get("isolated"):
        text = f"{name} reaches nothing of what it probes: it takes its own network for dead and does not vote"
        yield Problem("probes_isolated", "warning", text, show)
    stale = probes.get("stale", 0)
    if stale:
        text = f"{name} has had no result of {stale} endpoints for too long: it does not vote on them"
        yield Problem("probes_stale", "warning", text, show)


def _member_problems(found: Found) -> Iterator[Problem]:
    """Tell of nodes that do not come together, of old answers, and of a configuration that says otherwise."""
    for row in found.nodes:
        stale_s = row["stale_s"]
        if row["part"] == "replica" and stale_s is not None and stale_s > STALE_S_MAX:
            text = f"{row['name']} has not heard a leader for {stale_s:.0f} s: its answers are that old"
            yield Problem("replica_stale", "warning", text, ("qdns", "node", "show", row["name"]))
    yield from _drift(found)
    differences = _differences(found)
    if differences:
        text = f"the configuration of {found.own['name']} and the cluster differ: {'; '.join(differences)}"
        yield Problem("config_differs", "warning", text, ("qdns", "node", "list"))


def _drift(found: Found) -> Iterator[Problem]:
    """Tell of nodes whose files say otherwise than those of most."""
    by_hash: dict[str, list[str]] = defaultdict(list)
    for row in found.nodes:
        if row.get("config_hash"):
            by_hash[row["config_hash"]].append(row["name"])
    if len(by_hash) > 1:
        sides = sorted(by_hash.values(), key=len)
        text = f"the configuration files of {' and '.join(', '.join(each) for each in sides)} differ in what all share"
        yield Problem("config_drift", "warning", text, ("qdns", "config", "show"))


def _differences(found: Found) -> list[str]:
    """Say how the configured nodes differ from the log's; the log's are in force."""
    state = found.state
    if not found.configured or not state.members:
        return []
    voters = {member.name: member.raft for member in state.members}
    others = {each.member.name: each.member.raft for each in state.learners}
    known = voters | others
    extra = [f"{name} is configured and no node of it" for name in found.configured if name not in known]
    missing = [f"{name} is a node of it and not configured" for name in voters if name not in found.configured]
    moved = [
        f"{name} is configured at {address} and reached at {known[name]}"
        for name, address in found.configured.items()
        if known.get(name, "") not in ("", address)
    ]
    return [*extra, *missing, *moved]


def _unreachable_text(row: Row) -> str:
    since = f" since {row['since_at'][11:19]} UTC" if row.get("since_at") else ""
    return f"{row['name']} is unreachable{since} ({row['error']})"


def _service_problems(found: Found) -> Iterator[Problem]:
    for row, known in zip(found.services, _services(found.state), strict=True):
        for code, told, next_, since_at in find_notes(row):
            yield Problem(code, "note", told, next_, since_at)
        if is_maintained(row):
            continue
        fqdn = row["fqdn"]
        judged = [each for each in row["endpoints"] if each["override"] is None]
        down = [each for each in judged if each["verdict"] == "down"]
        show = ("qdns", "service", "show", fqdn)
        if known.is_down:
            text = f"{fqdn} is down: every endpoint is ({len(down)} of {len(judged)})"
            kept = f"; {_standing(row)}"
            yield Problem("service_down", "critical", text + kept, show, _latest(down))
        elif row["fail_open"]:
            text = f"{fqdn}: {len(down)} of {len(judged)} endpoints are down, all are kept (fail-open)"
            yield Problem("fail_open", "warning", text, show, _latest(down))
        else:
            yield from (_withdrawn(found, known, each) for each in down)
        yield from _undecided(found, row, known)


def _standing(row: Row) -> str:
    """Say what is in DNS of a service that is down."""
    addresses = {each["address"] for each in row["endpoints"]}
    if not row["published"]:
        return "it has no records in DNS"
    if not addresses.issuperset(row["published"]):
        return "its fallback addresses are in DNS"
    whole = len(row["published"]) == len(addresses)
    return "all of them are kept in DNS" if whole else f"{len(row['published'])} of them are kept in DNS"


def _services(state: State) -> list[ServiceState]:
    return [state.services[fqdn] for fqdn in sorted(state.services, key=sort_key)]


def _latest(rows: list[Row]) -> str | None:
    return max((row["since_at"] for row in rows if row["since_at"]), default=None)


def _withdrawn(found: Found, known: ServiceState, endpoint: Row) -> Problem:
    fqdn = plain(known.service.fqdn)
    against = sum(1 for vote in endpoint["votes"] if not vote["up"])
    voters = len(endpoint["probe_from"]) or len(found.state.members)
    text = f"{fqdn} {endpoint['address']} is withdrawn: {against} of {voters} nodes say down"
    return Problem("endpoint_down", "warning", text, ("qdns", "service", "show", fqdn), endpoint["since_at"])


def _undecided(found: Found, row: Row, known: ServiceState) -> Iterator[Problem]:
    """Tell of endpoints that should long have had a majority."""
    service = known.service
    patience_ms = UNDECIDED_INTERVALS * max(service.interval_ms, service.timeout_ms)
    defined_ms = time_of(found.state, known.index)
    if found.now_ms - defined_ms < patience_ms:
        return
    judged = (each for each in row["endpoints"] if each["override"] is None)
    open_ = [each["address"] for each in judged if each["verdict"] == "undecided"]
    if open_:
        text = f"{row['fqdn']}: no majority yet on {', '.join(open_)}; published until there is one"
        show = ("qdns", "service", "show", row["fqdn"])
        yield Problem("undecided", "warning", text, show, moment(defined_ms))


def _push_problems(found: Found) -> Iterator[Problem]:
    for row in found.pushes:
        if row["state"] == "held":
            release = ("qdns", "push", "release", row["target"])
            text = f"push {row['target']} is held: {row['held']}; look first: qdns push diff {row['target']}"
            yield Problem("push_held", "critical", text, release, moment(time_of(found.state, row["wanted"])))
        if row["state"] not in ("behind", "failing"):
            continue
        show = ("qdns", "push", "show", row["target"])
        waiting_ms = found.now_ms - time_of(found.state, row["wanted"])
        if row["state"] == "failing":
            text = f"push {row['target']} fails: {row['detail']}"
            yield Problem("push_failing", "warning", text, show, moment(time_of(found.state, row["wanted"])))
        elif waiting_ms > PUSH_PATIENCE_MS:
            text = f"push {row['target']} is behind: plan {row['plan']} stands, {row['wanted']} is wanted"
            yield Problem("push_behind", "warning", text, show, moment(time_of(found.state, row["wanted"])))


def _receiver_problems(found: Found) -> Iterator[Problem]:
    """Tell of who is to be told of events and does not take them."""
    for row in found.receivers:
        if row["state"] == "failing":
            tries = f"{row['failures']} tries in a row" if row["failures"] > 1 else "a try"
            text = f"receiver {row['receiver']} is told nothing: {tries} failed, the last by {row['node']}: {row['detail']}"
            yield Problem("receiver_failing", "warning", text, ("qdns", "notify", "test", row["receiver"]))
