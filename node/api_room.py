"""What the HTTP API knows of this node: the log, the other rooms' summaries, and who may ask."""

from dataclasses import dataclass
from functools import partial

from node.api.context import (
    ApiContext,
    NotTold,
    ProbeSummary,
    PushChange,
    PushProgress,
    PushUnreadable,
    ReceiverRow,
    TrustSummary,
)
from node.api_plan import FileFacts
from node.cluster import Cluster, now_ms
from node.dns.explain import explain, explain_at
from node.dns_room import DnsRoom
from node.notify.notice import NotAccepted
from node.notify.notifier import Notifier
from node.observe import level, set_level
from node.plan import Plan
from node.probe.prober import Prober
from node.push.errors import PushError
from node.push.pusher import Pusher
from node.served import ServedZones
from node.tally import Tally
from node.version import version
from node.vitals import Vitals


@dataclass(frozen=True, slots=True)
class Rooms:
    """What a running node is made of, beside the API."""

    cluster: Cluster
    dns: DnsRoom
    prober: Prober
    pusher: Pusher
    notifier: Notifier
    vitals: Vitals
    tally: Tally
    served: ServedZones


def api_context(plan: Plan, rooms: Rooms, facts: FileFacts) -> ApiContext:
    """Return the context: the rooms' own values, in the shapes that the API shows."""
    cluster, prober, pusher = rooms.cluster, rooms.prober, rooms.pusher
    return ApiContext(
        state=lambda: cluster.state,
        propose=cluster.propose,
        read_barrier=cluster.read_barrier,
        wait_applied=cluster.wait_applied,
        replica=cluster.status,
        subscribe=cluster.subscribe,
        digest=cluster.digest,
        now_ms=now_ms,
        node=plan.node,
        cluster=plan.cluster,
        version=version(),
        started_at_ms=now_ms(),
        dns_addresses=lambda: rooms.dns.server.addresses,
        peer_urls=plan.peer_urls,
        configured=plan.configured,
        change_nodes=cluster.change_nodes,
        node_token=plan.node_token,
        tokens=facts.tokens,
        config_hash=lambda: facts.config_hash,
        api_ca=plan.api.ca,
        dev=plan.dev,
        pushes=partial(_pushes, pusher),
        push_diff=partial(_push_diff, pusher),
        receivers=partial(_receivers, rooms.notifier),
        test_receiver=partial(_test_receiver, rooms.notifier, plan.node),
        probes=partial(_probes, prober),
        vitals=rooms.vitals.look,
        tally=rooms.tally,
        log_level=level,
        set_log_level=set_level,
        answers=rooms.dns.answer_counts,
        restoring=lambda: not cluster.state.seeded and plan.restore is not None,
        lease_left_s=rooms.served.clock.left_s,
        trust=partial(_trust, cluster),
        explain=explain,
        explain_at=explain_at,
        refresh_target=pusher.refresh,
        hear=prober.hear,
        series=prober.history.cells,
    )


def _pushes(pusher: Pusher) -> tuple[PushProgress, ...]:
    return tuple(PushProgress(row.target, row.wanted, row.detail, row.behind_s) for row in pusher.status())


async def _push_diff(pusher: Pusher, target: str) -> tuple[PushChange, ...]:
    try:
        found = await pusher.diff(target)
    except PushError as error:
        raise PushUnreadable(str(error)) from None
    return tuple(PushChange(zone, each.name, each.type, each.before, each.after) for zone, each in found or ())


def _receivers(notifier: Notifier) -> tuple[ReceiverRow, ...]:
    return tuple(ReceiverRow(row.name, row.kind, row.place, row.progress) for row in notifier.status())


async def _test_receiver(notifier: Notifier, node: str, name: str) -> str | None:
    try:
        return await notifier.test(name, f"a test of {name} by {node}")
    except NotAccepted as error:
        raise NotTold(str(error)) from None


def _probes(prober: Prober) -> ProbeSummary:
    summary = prober.summary()
    return ProbeSummary(
        running=True,
        endpoints=summary.endpoints,
        late=summary.overdue,
        late_percent=summary.late_percent,
        delay_ms=summary.schedule_delay_ms,
        load=summary.load_factor,
        isolated=summary.is_isolated,
        stale=summary.stale,
        done=summary.probes,
        failed=summary.failures,
        started_late=summary.started_late,
    )


def _trust(cluster: Cluster) -> TrustSummary:
    status = cluster.status()
    own = status.certificate
    refusals = dict(status.refusals)
    if own is None:
        return TrustSummary(refusals=refusals)
    return TrustSummary(int(own.ends_at_s * 1000), own.problem, refusals)
