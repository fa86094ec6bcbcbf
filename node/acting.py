"""Makes the rooms that act outside for the whole cluster: they must know whether they may, and who else could."""

from node.cluster import Cluster
from node.notify.notifier import Notifier
from node.plan import Plan
from node.probe.prober import Prober
from node.push.pusher import Pusher
from node.push.settings import PusherSettings
from node.statsd import Statsd, StatsdSettings
from node.tally import Tally
from raft.proposal import Committed


class _Circumstances:
    """What those who act for the cluster must know before they do."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def is_current(self) -> bool:
        """Say whether this node is on the majority's side and has applied all that was committed."""
        return isinstance(await self._cluster.read_barrier(2.0), Committed)

    def reachable(self) -> tuple[str, ...]:
        """Return the other nodes that are there."""
        return tuple(peer.name for peer in self._cluster.status().peers if peer.connected)


def make_statsd(settings: StatsdSettings, tally: Tally, cluster: Cluster, prober: Prober) -> Statsd:
    """Return what sends the counters by StatsD."""
    return Statsd(
        settings,
        tally,
        lambda: prober.summary().load_factor,
        lambda: cluster.status().role == "leader",
    )


def make_pusher(plan: Plan, cluster: Cluster, tally: Tally) -> Pusher:
    """Return what carries RRsets to other servers."""
    settings = PusherSettings(tsig=plan.tsig, tokens=plan.push_tokens)
    around = _Circumstances(cluster)
    return Pusher(
        plan.node,
        lambda: cluster.state,
        cluster.propose,
        around.is_current,
        settings,
        reachable=around.reachable,
        on_attempt=tally.push_ended,
    )


def make_notifier(plan: Plan, cluster: Cluster) -> Notifier:
    """Return what tells people and programs of events."""
    around = _Circumstances(cluster)
    return Notifier(
        plan.node, lambda: cluster.state, cluster.propose, around.is_current, around.reachable, plan.notify
    )
