"""Builds a node from its plan, starts it room by room, and stops it in reverse.

This is the one file that knows all rooms. None of them knows another: what they call of each other
is handed to them here.
"""

import asyncio
import contextlib
import dataclasses
import importlib.metadata
import resource
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from node.acting import make_notifier, make_pusher, make_statsd
from node.api.peers import Peers
from node.api.server import ApiError
from node.api.status import peer_urls
from node.api_plan import FileFacts
from node.api_port import ApiPort
from node.api_room import Rooms, api_context
from node.cluster import Cluster, now_ms
from node.config import Config
from node.demo import ADDRESSES, Demo
from node.dns.listen import ListenFailed
from node.dns.self_check import SelfCheck
from node.dns_room import DnsRoom
from node.duties import Duties
from node.interpreter import keep_pauses_short
from node.lease_clock import LeaseClock
from node.observe import configure_logging, log_events, tell_repeats
from node.parting import Parting, taken_over, with_sockets
from node.plan import DevSettings, Plan, StartError, dev_plan, plan_of
from node.probe.prober import Prober
from node.reload import Reloader
from node.restore import CannotRestore, Restorer, checked, claim, may_seed, release
from node.served import ServedZones
from node.service_manager import ServiceManager
from node.state.command import Seed
from node.state.state import Changed, State
from node.status_line import status_line
from node.tally import Tally
from node.vitals import Vitals
from raft.errors import RaftError

logger = structlog.get_logger()

DISTRIBUTION = "quorumdns"
DESCRIPTORS = 65_536
SEED_PATIENCE_S = 3.0
"""So long an empty cluster waits for nodes that do not answer: one of them may have a backup to restore."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a started node tells of itself."""

    dns: tuple[str, ...]
    api: str
    lines: tuple[str, ...]
    """For people: where it is and what to try."""


Ready = Callable[[RunInfo], None]


@dataclass(frozen=True, slots=True)
class RestoreWish:
    """The backup that an empty cluster is to begin with, and the name of its cluster when that is another one."""

    path: Path
    of: str | None = None


def run(
    config: Config,
    *,
    ready: Ready | None = None,
    restore: RestoreWish | None = None,
    takeover: bool = False,
) -> int:
    """Run the node that the configuration describes until SIGTERM or SIGINT; return the exit code.

    With ``takeover`` it takes the place of the process that runs this node now, if there is one.
    """
    configure_logging(config.log.level, config.log.format)

    def plan() -> Plan:
        made = _with_restore(plan_of(config), restore)
        return taken_over(made) if takeover else made

    return _run(plan, None, ready, Reloader(config))


def _with_restore(plan: Plan, wish: RestoreWish | None) -> Plan:
    """Check the backup and claim the data directory for it. Raises ``StartError``."""
    if wish is None:
        return plan
    try:
        backup = checked(wish.path, plan.cluster, wish.of)
        if plan.raft.data_dir is not None:
            claim(plan.raft.data_dir, backup)
    except CannotRestore as error:
        raise StartError(str(error)) from None
    return dataclasses.replace(plan, restore=backup)


def run_dev(settings: DevSettings, *, ready: Ready | None = None) -> int:
    """Run one node without a configuration, on loopback; return the exit code."""
    configure_logging("info", "console")
    demo = Demo() if settings.with_demo else None
    seed = Seed((), (demo.zone(),), (demo.service(),)) if demo else None
    return _run(lambda: dev_plan(settings, seed), demo, ready)


def _run(
    plan: Callable[[], Plan], demo: Demo | None, ready: Ready | None, reloader: Reloader | None = None
) -> int:
    _raise_descriptor_limit()
    keep_pauses_short()
    try:
        refuse_shared_environment()
        return asyncio.run(_serve(plan(), demo, ready, reloader))
    except (StartError, RaftError) as error:
        logger.error("node.refused", detail=str(error))
        return error.exit_code
    except (ListenFailed, ApiError, OSError) as error:
        logger.error("node.refused", detail=str(error))
        return 3


def _raise_descriptor_limit() -> None:
    """Take what the system allows: a thousand probes in flight need more than the usual 1,024 descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(plan: Plan, demo: Demo | None, ready: Ready | None, reloader: Reloader | None) -> int:
    """Run the node until a signal says stop or its log breaks."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def end(exit_code: int) -> None:
        if not ended.done():
            ended.set_result(exit_code)

    for which in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(which, end, 0)
    manager = ServiceManager()
    plan = with_sockets(plan, manager.inherited)
    for note in plan.notes:
        logger.info("config.note", detail=note)
    async with _running(plan, demo, end, reloader, manager) as info:
        logger.info("node.started", node=plan.node, dns=list(info.dns), api=info.api)
        manager.started(f"{plan.node}: DNS on {', '.join(info.dns)}, API at {info.api}")
        if ready is not None:
            ready(info)
        exit_code = await ended
        manager.stopping()
        logger.info("node.stopping", node=plan.node)
    return exit_code


@contextlib.asynccontextmanager
async def _running(
    plan: Plan,
    demo: Demo | None,
    end: Callable[[int], None],
    reloader: Reloader | None,
    manager: ServiceManager,
) -> AsyncIterator[RunInfo]:
    """Start every room in order; stop them in reverse, whatever happened."""
    async with contextlib.AsyncExitStack() as stack:
        parting = Parting(end)
        stack.push_async_callback(parting.close)
        if demo is not None:
            await demo.start()
            stack.push_async_callback(demo.stop)
        rooms = await _deciding_and_answering(stack, plan, end, manager)
        facts = FileFacts(plan.api)
        context = api_context(plan, rooms, facts)
        api = ApiPort(plan.api, context, facts)
        _follow(rooms)
        for room in (rooms.prober, rooms.pusher, rooms.notifier, api):
            await room.start()
            stack.push_async_callback(room.stop)
        peers = Peers(lambda: peer_urls(context), plan.node_token, plan.api.ca)
        stack.callback(peers.close)
        for work in _works(plan, rooms, peers, end, manager):
            stack.push_async_callback(_cancelled, asyncio.create_task(work))
        if reloader is not None:
            reloader.listen(rooms.dns.reload, api.reload, rooms.cluster.reload_certificates, manager.reloading)
        if plan.dns.directory is not None:
            parting.offer(rooms.dns, plan.dns.directory)
        yield _info(plan, demo, rooms.dns.server.addresses, api.url)


async def _deciding_and_answering(
    stack: contextlib.AsyncExitStack, plan: Plan, end: Callable[[int], None], manager: ServiceManager
) -> Rooms:
    """Start the log and DNS, and make the rooms that act by what the log decides, which are not started."""
    loop = asyncio.get_running_loop()
    tally = Tally(plan.node)
    cluster = Cluster(
        plan.raft,
        lambda code: loop.call_soon_threadsafe(end, code),
        on_applied=tally.apply_times.add,
    )
    await cluster.start()
    stack.push_async_callback(cluster.stop)
    served = ServedZones(cluster, LeaseClock(time.monotonic))
    cluster.subscribe(served.state_changed)
    served.state_changed(cluster.state, None)
    dns = _dns_room(plan, cluster, served)
    await dns.start()
    manager.keep(dns.server.listening)
    served.subscribe(dns.publish)
    served.watch(dns.hold_leases)
    stack.push_async_callback(dns.stop)
    server = dns.server
    prober = Prober(
        plan.node,
        lambda: cluster.state,
        cluster.propose,
        plan.prober,
        on_probe=tally.probe_ended,
    )
    pusher, notifier = make_pusher(plan, cluster, tally), make_notifier(plan, cluster)
    checker = SelfCheck(lambda: server.addresses, lambda: min(cluster.state.zones, default=None))
    stack.push_async_callback(checker.close)
    return Rooms(cluster, dns, prober, pusher, notifier, Vitals(cluster, checker, prober), tally, served)


def _works(
    plan: Plan, rooms: Rooms, peers: Peers, end: Callable[[int], None], manager: ServiceManager
) -> Iterator[Coroutine[Any, Any, None]]:
    """Yield what goes on for as long as the node runs, beside its rooms."""
    cluster = rooms.cluster
    yield _duties(plan, cluster, peers).run()
    if plan.restore is not None:
        yield _restore(plan, cluster, end)
    yield rooms.served.run()
    yield tell_repeats()
    if plan.statsd is not None:
        yield make_statsd(plan.statsd, rooms.tally, cluster, rooms.prober).run()
    yield manager.watch(rooms.vitals.reason_to_restart)
    yield manager.tell(lambda: status_line(cluster.state, cluster.status()))


def _duties(plan: Plan, cluster: Cluster, peers: Peers) -> Duties:
    """Return what the leader does; what it must know of the others it reads in their status rows."""

    async def rows() -> dict[str, Mapping[str, Any] | None]:
        return {name: answer.row for name, answer in (await peers.rows()).items()}

    async def may(leading_s: float) -> bool:
        """Seed the cluster only while no node has a backup to restore."""
        if plan.restore is not None:
            return False
        found = may_seed(await rows())
        return leading_s >= SEED_PATIENCE_S if found is None else found

    async def reads() -> dict[str, int | None]:
        return {
            name: row.get("reads_format") if row is not None else None for name, row in (await rows()).items()
        }

    return Duties(cluster, lambda: plan.seed, plan.duties, may_seed=may, reads=reads)


async def _restore(plan: Plan, cluster: Cluster, end: Callable[[int], None]) -> None:
    """Bring the backup into the log, and end the node when that cannot be."""
    assert plan.restore is not None
    try:
        await Restorer(cluster, plan.restore, plan.seed.members, now_ms).run()
        if plan.raft.data_dir is not None:
            release(plan.raft.data_dir)
    except CannotRestore as error:
        logger.error("node.refused", detail=str(error))
        end(3)


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _dns_room(plan: Plan, cluster: Cluster, served: ServedZones) -> DnsRoom:
    def is_leader() -> bool:
        status = cluster.status()
        return status.ready and status.role == "leader"

    ready = _Ready(cluster)
    return DnsRoom(
        plan.dns,
        lambda: served.zones,
        lambda: cluster.state,
        ready,
        is_leader,
        lambda: cluster.status().has_quorum,
        cluster.propose,
        served,
    )


class _Ready:
    """Whether this node may say what does not exist: once true it stays so."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._seen = False

    def __call__(self) -> bool:
        if not self._seen:
            self._seen = self._cluster.state.seeded and self._cluster.status().ready
        return self._seen


def _follow(rooms: Rooms) -> None:
    """Let the rooms that act on the State know of its changes."""

    def changed(state: State, what: Changed | None) -> None:
        del state
        rooms.dns.state_changed(what)
        if what is None or what.services:
            rooms.prober.services_changed(None if what is None else what.services)
        rooms.pusher.state_changed(None if what is None else what.services)
        if what is None or what.events:
            rooms.notifier.state_changed()
        if what is not None and rooms.cluster.status().ready:
            rooms.tally.committed(what.events)
            log_events(what.events)

    rooms.cluster.subscribe(changed)


def _info(plan: Plan, demo: Demo | None, dns: tuple[str, ...], api: str) -> RunInfo:
    first = dns[0] if dns else "nowhere"
    host, _, port = first.rpartition(":")
    lines = [
        "one node, quorum of 1, data " + (f"in {plan.raft.data_dir}" if plan.raft.data_dir else "in memory"),
        f"DNS        {', '.join(dns)}",
        f"status     {api}/",
        f"API        curl -XPUT {api}/v2/keys/helix/com/example/foo/A -d value=123.123.123.123",
        f"           dig foo.example.com. @{host} -p {port}",
    ]
    if demo is not None:
        lines += [
            f"demo       dig www.demo.test @{host} -p {port}",
            f"           three little web servers; break one: curl -XPOST http://{ADDRESSES[0]}:{demo.port}/fail",
            f"           and mend it:                          curl -XPOST http://{ADDRESSES[0]}:{demo.port}/mend",
        ]
    lines.append("Ctrl-C stops everything.")
    return RunInfo(dns, api, tuple(lines))


def refuse_shared_environment() -> None:
    """Refuse to start where another distribution owns our import names. Raises ``StartError``."""
    owners = importlib.metadata.packages_distributions()
    for package in ("node", "raft"):
        strangers = sorted(set(owners.get(package, [])) - {DISTRIBUTION})
        if strangers:
            raise StartError(
                f"the distribution {strangers[0]} in this environment owns the import name {package!r} too; "
                f"install {DISTRIBUTION} into an environment of its own (a venv, pipx, uv tool install)"
            )


__all__ = ["DevSettings", "RunInfo", "refuse_shared_environment", "run", "run_dev"]
