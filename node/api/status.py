"""The whole picture of ``/v1/status``: this node's row, the others', services, pushes, problems. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from node.api.context import ApiContext, PeerView, ProbeSummary, PushProgress, ReplicaView
from node.api.message import PeerAnswer
from node.api.names import plain
from node.api.problems import Found, find_problems, health_of
from node.api.trust_problems import trust_row
from node.api.views import Row, moment, push_rows, receiver_row, service_row
from node.formats import holding_back, newest_read
from node.state.state import State
from node.zone.name import sort_key


def local_row(context: ApiContext) -> Row:
    """Return what this node says of itself; other nodes fetch it to build their picture."""
    replica = context.replica()
    index, digest = context.digest()
    applied = max(index, replica.applied_index)  # an entry without a command changes no State
    probes = context.probes()
    return {
        **_named(context.state(), context.node),
        "role": replica.role,
        "leader": replica.leader,
        "quorum": replica.has_quorum,
        "state": "ready" if replica.ready else "starting",
        "term": replica.term,
        "commit_index": replica.commit_index,
        "applied_index": applied,
        "lag_entries": max(0, replica.commit_index - applied),
        "state_digest": digest,
        "version": context.version,
        "started_at": moment(context.started_at_ms),
        "dns": list(context.dns_addresses()),
        "format": context.state().format,
        "reads_format": context.reads_format,
        "restoring": context.restoring(),
        "config_hash": context.config_hash(),
        "probes": _probe_row(probes),
        "answers": dict(context.answers()),
        "stale_s": None if replica.stale_s is None else round(replica.stale_s, 3),
        "error": None,
        **trust_row(context.trust(), context.now_ms()),
    }


def _probe_row(probes: ProbeSummary) -> Row:
    return {
        "running": probes.running,
        "endpoints": probes.endpoints,
        "late": probes.late,
        "late_percent": probes.late_percent,
        "delay_ms": probes.delay_ms,
        "load": probes.load,
        "isolated": probes.isolated,
        "stale": probes.stale,
    }


def build(context: ApiContext, answers: Mapping[str, PeerAnswer]) -> Row:
    """Return the status document from this node's view and what the others answered."""
    state, replica, own = context.state(), context.replica(), local_row(context)
    nodes = _node_rows(context, state, replica, own, answers)
    services = [service_row(state.services[fqdn]) for fqdn in sorted(state.services, key=sort_key)]
    pushes = push_rows(state, _by_target(context.pushes()))
    told = [receiver_row(each) for each in context.receivers()]
    found = Found(
        state, replica, context.now_ms(), own, nodes, services, pushes, told, context.configured, context.tokens
    )
    problems = find_problems(found)
    zones = (state.zones[name] for name in sorted(state.zones, key=sort_key))
    return {
        "cluster": context.cluster,
        "health": health_of(problems),
        "node": context.node,
        "leader": replica.leader,
        "term": replica.term,
        "quorum": replica.has_quorum,
        "commit_index": replica.commit_index,
        "applied_index": own["applied_index"],
        "state_digest": own["state_digest"],
        "format": _format(state, nodes),
        "nodes": nodes,
        "services": services,
        "pushes": pushes,
        "zones": [
            {"zone": plain(zone.name), "serial": zone.serial, "rrsets": zone.rrset_count} for zone in zones
        ],
        "problems": [
            {"code": each.code, "severity": each.severity, "text": each.text, "since_at": each.since_at}
            | {"next": list(each.next)}
            for each in problems
        ],
    }


def _format(state: State, nodes: list[Row]) -> Row:
    """Return which format of commands is allowed, which one any node reads, and who holds that back."""
    newest = max(state.format, newest_read(nodes))
    holders = holding_back(newest, nodes) if newest > state.format else ()
    return {"present": state.format, "newest": newest, "held_back_by": list(holders)}


def _by_target(progress: Sequence[PushProgress]) -> Mapping[str, PushProgress]:
    return {each.target: each for each in progress}


def _named(state: State, name: str) -> Row:
    learner = next((each for each in state.learners if each.member.name == name), None)
    member = (
        learner.member
        if learner is not None
        else next((each for each in state.members if each.name == name), None)
    )
    return {
        "name": name,
        "part": learner.role if learner is not None else "voter",
        "site": member.site if member is not None else "",
        "api": member.api if member is not None else "",
    }


def _node_rows(
    context: ApiContext,
    state: State,
    replica: ReplicaView,
    own: Row,
    answers: Mapping[str, PeerAnswer],
) -> list[Row]:
    """Return one row a node, in the cluster's order; a silent one is a row that says why."""
    names = node_names(context, state)
    peers = {peer.name: peer for peer in (*replica.peers, *replica.learners)}
    commit = max([replica.commit_index, *(_number(answer, "commit_index") for answer in answers.values())])
    rows = []
    for name in names:
        answer = answers.get(name, PeerAnswer(error="its API address is not known here"))
        if name == context.node:
            row = own | {"lag_entries": max(0, commit - own["applied_index"]), "clock_offset_s": None}
        elif answer.row is None:
            row = _silent_row(context, _named(state, name), answer.error, peers.get(name), commit)
        else:
            row = _peer_row(_named(state, name), answer.row, commit) | {"clock_offset_s": answer.clock_offset_s}
        rows.append(row)
    return rows


def peer_urls(context: ApiContext) -> dict[str, str]:
    """Return where the other nodes' APIs are: as the State says, else as the configuration does."""
    state = context.state()
    nodes = (*state.members, *(each.member for each in state.learners))
    known = {each.name: context.peer_urls.get(each.name, each.api) for each in nodes}
    urls = known or context.peer_urls
    return {name: url for name, url in urls.items() if url and name != context.node}


def node_names(context: ApiContext, state: State) -> list[str]:
    """Return the nodes of the cluster, as the log says; before it says anything, as the configuration does."""
    known = (*(member.name for member in state.members), *(each.member.name for each in state.learners))
    return list(dict.fromkeys((*(known or context.peer_urls), context.node)))


def _number(answer: PeerAnswer, key: str) -> int:
    value = answer.row.get(key) if answer.row is not None else None
    return value if isinstance(value, int) else 0


def _peer_row(named: Row, row: Mapping[str, Any], commit: int) -> Row:
    """Take a peer's own row, with the lag measured against the newest commit anyone knows of."""
    applied = row.get("applied_index")
    lag = max(0, commit - applied) if isinstance(applied, int) else None
    return _EMPTY | dict(row) | named | {"lag_entries": lag}


def _silent_row(context: ApiContext, named: Row, error: str, peer: PeerView | None, commit: int) -> Row:
    """Say what is known of a node whose API does not answer."""
    row = _EMPTY | named | {"state": "unreachable", "error": error}
    if peer is None:
        return row
    since_s = peer.last_contact_s
    if peer.connected:
        row["error"] = f"{error}; its log is connected"
    elif since_s is not None:
        row["since_at"] = moment(context.now_ms() - int(since_s * 1000))
    if peer.match_index is not None:
        row |= {"commit_index": peer.match_index, "lag_entries": max(0, commit - peer.match_index)}
    return row


_EMPTY: Row = {
    "name": "",
    "site": "",
    "api": "",
    "part": "voter",
    "role": None,
    "leader": None,
    "quorum": None,
    "state": "unreachable",
    "term": None,
    "commit_index": None,
    "applied_index": None,
    "lag_entries": None,
    "state_digest": None,
    "version": None,
    "started_at": None,
    "dns": [],
    "format": None,
    "reads_format": None,
    "restoring": False,
    "config_hash": "",
    "probes": None,
    "answers": {},
    "stale_s": None,
    "error": None,
    "certificate": None,
    "refusals": {},
    "clock_offset_s": None,
}
