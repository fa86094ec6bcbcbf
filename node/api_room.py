"""What the HTTP API knows of this node: the log, the other rooms' summaries, and who may ask."""

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


def api_context(
    plan: Plan,
    cluster: Cluster,
    dns: DnsRoom,
    prober: Prober,
    pusher: Pusher,
    notifier: Notifier,
    vitals: Vitals,
    tally: Tally,
    served: ServedZones,
    facts: FileFacts,
) -> ApiContext:
    """Return the context: the rooms' own values, in the shapes that the API shows."""

    def pushes() -> tuple[PushProgress, ...]:
        return tuple(PushProgress(row.target, row.wanted, row.detail, row.behind_s) for row in pusher.status())

    async def push_diff(target: str) -> tuple[PushChange, ...]:
        try:
            found = await pusher.diff(target)
        except PushError as error:
            raise PushUnreadable(str(error)) from None
        return tuple(
            PushChange(zone, each.name, each.type, each.before, each.after) for zone, each in found or ()
        )

    def receivers() -> tuple[ReceiverRow, ...]:
        return tuple(ReceiverRow(row.name, row.kind, row.place, row.progress) for row in notifier.status())

    async def test_receiver(name: str) -> str | None:
        try:
            return await notifier.test(name, f"a test of {name} by {plan.node}")
        except NotAccepted as error:
            raise NotTold(str(error)) from None

    def probes() -> ProbeSummary:
        summary = prober.summary()
        return ProbeSummary(
            running=True,
            endpoints=summary.endpoints,
            late=summary.overdue,
            late_percent=summary.late_percent,
            delay_ms=summary.schedule_delay_ms,
            load=summary.load_factor,
            isolated=summary.is_isolated,
            done=summary.probes,
            failed=summary.failures,
            started_late=summary.started_late,
        )

    def trust() -> TrustSummary:
        status = cluster.status()
        own = status.certificate
        refusals = dict(status.refusals)
        if own is None:
            return TrustSummary(refusals=refusals)
        return TrustSummary(int(own.ends_at_s * 1000), own.problem, refusals)

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
        dns_addresses=lambda: dns.server.addresses,
        peer_urls=plan.peer_urls,
        configured=plan.configured,
        change_nodes=cluster.change_nodes,
        node_token=plan.node_token,
        tokens=facts.tokens,
        config_hash=lambda: facts.config_hash,
        api_ca=plan.api.ca,
        dev=plan.dev,
        pushes=pushes,
        push_diff=push_diff,
        receivers=receivers,
        test_receiver=test_receiver,
        probes=probes,
        vitals=vitals.look,
        tally=tally,
        log_level=level,
        set_log_level=set_level,
        answers=dns.answer_counts,
        restoring=lambda: not cluster.state.seeded and plan.restore is not None,
        lease_left_s=served.clock.left_s,
        trust=trust,
        explain=explain,
        explain_at=explain_at,
        refresh_target=pusher.refresh,
        hear=prober.hear,
        series=prober.history.cells,
    )
