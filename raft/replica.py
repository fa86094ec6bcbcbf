"""A replica with a thread of its own: proposals in from any thread, applied entries out to the machine.

The thread owns an event loop with the transport and the core; nothing else touches them. A proposal on a
follower travels to the leader once and is never repeated by itself: when its fate cannot be told, it is
``Unknown``. ``Committed`` resolves after the entry was applied on this node.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import structlog

from raft.admission import Admission
from raft.driver import Driver
from raft.errors import EXIT_DISK_FAULT, RaftError
from raft.machine import StateMachine
from raft.membership import Change
from raft.pending import Pending
from raft.proposal import NotCommitted
from raft.settings import RaftSettings
from raft.status import PeerStatus, ReplicaStatus

logger = structlog.get_logger()

PROPOSED_OCTETS_MAX = 32 * 1024 * 1024
"""Octets of commands on their way into the log through this node: less than a connection holds back at most, as all
of them may be held until there is a leader and go to it at once."""


class Replica:
    """The replicated log as the rest of a node sees it; safe to call from any thread."""

    def __init__(
        self,
        settings: RaftSettings,
        machine: StateMachine,
        *,
        on_fatal: Callable[[int], object] = lambda _code: None,
    ) -> None:
        self._settings = settings
        self._machine = machine
        self._on_fatal = on_fatal
        self._admission = Admission(settings.proposals_max, PROPOSED_OCTETS_MAX)
        self._lock = threading.Lock()
        """Held to give the log's thread something to do, and to end that: nothing is given to a thread that ends."""
        self._calls: list[Callable[[Driver], object]] = []
        """What the log's thread was given since it last looked: many cost one wake-up."""
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._driver: Driver | None = None
        self._started: Future[None] = Future()

    def start(self) -> None:
        """Read what is on disk, listen, and join the cluster. Raises ``RaftError`` with a sentence."""
        self._thread = threading.Thread(target=self._run, name="raft", daemon=True)
        self._thread.start()
        self._started.result()  # a large state takes its time, and a fault ends this

    def stop(self, timeout_s: float = 5.0) -> None:
        """Hand leadership over, write what is owed to the disk, and end the thread."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None or not thread.is_alive():
            return
        self._call(lambda driver: driver.stop(time.monotonic() + timeout_s / 2))
        thread.join(timeout_s)

    def propose(self, command: bytes, timeout_s: float = 5.0) -> Pending:
        """Bring a command into the log; what is returned gets its outcome within the timeout."""
        pending = Pending()
        if len(command) > self._settings.proposal_bytes_max:
            limit = self._settings.proposal_bytes_max
            pending.settle(
                NotCommitted("too-large", f"{len(command)} octets are more than the {limit} allowed")
            )
        else:
            self._bring(pending, len(command), lambda driver: driver.propose(command, pending, timeout_s))
        return pending

    def read_barrier(self, timeout_s: float = 5.0) -> Pending:
        """Wait until this node has applied all that was committed anywhere when this was called."""
        pending = Pending()
        self._bring(pending, 0, lambda driver: driver.read_barrier(pending, timeout_s))
        return pending

    def change_members(self, change: Change, timeout_s: float = 10.0) -> Pending:
        """Have the leader change who belongs to the cluster; ``NotCommitted("refused")`` says why it will not."""
        pending = Pending()
        self._bring(pending, len(change.note), lambda driver: driver.change_members(change, pending, timeout_s))
        return pending

    def reload(self) -> None:
        """Read certificates and the list of refused ones again, and close what they do not allow any more."""
        self._call(lambda driver: driver.reload())

    def status(self) -> ReplicaStatus:
        """Return what is known now; an immutable value."""
        driver = self._driver
        return driver.status if driver is not None else _before_start(self._settings)

    def silent_s(self) -> float | None:
        """Return for how long the log's thread has not gone round, in seconds; None before it began."""
        driver = self._driver
        return None if driver is None else driver.silent_s

    def _bring(self, pending: Pending, octets: int, act: "Callable[[Driver], object]") -> None:
        """Let the log's thread decide what becomes of it, unless too much waits for that already."""
        refused = self._admission.enter(pending, octets)
        if refused is None and not self._call(act):
            refused = NotCommitted("stopped", "this node's log is not running")
        if refused is not None:
            pending.settle(refused)

    def _call(self, act: "Callable[[Driver], object]") -> bool:
        """Let the log's thread do something soon; False when there is no such thread any more."""
        with self._lock:
            if self._loop is None or self._driver is None:
                return False
            self._calls.append(act)
            if len(self._calls) == 1:
                self._loop.call_soon_threadsafe(self._take_calls, self._loop, self._driver)
            return True

    def _take_calls(self, loop: asyncio.AbstractEventLoop, driver: Driver) -> None:
        with self._lock:
            calls, self._calls = self._calls, []
        for call in calls:
            try:
                call(driver)
            except Exception as error:
                loop.call_exception_handler({"message": "A call of the log failed", "exception": error})

    def _run(self) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._drive(loop))
        except RaftError as error:
            self._failed(error)
        except Exception as error:
            logger.exception("raft.failed")
            self._failed(error)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    async def _drive(self, loop: asyncio.AbstractEventLoop) -> None:
        driver = Driver(self._settings, self._machine, loop)
        try:
            driver.open()
            self._driver, self._loop = driver, loop
            self._started.set_result(None)
            await driver.run()
        finally:
            with self._lock:
                self._loop = None
            await driver.close()

    def _failed(self, error: Exception) -> None:
        if not self._started.done():
            self._started.set_exception(error)
            return
        logger.error("raft.ended", detail=str(error))
        self._on_fatal(error.exit_code if isinstance(error, RaftError) else EXIT_DISK_FAULT)


def _before_start(settings: RaftSettings) -> ReplicaStatus:
    return ReplicaStatus(
        node=settings.node,
        role="follower",
        leader=None,
        term=0,
        commit_index=0,
        applied_index=0,
        last_index=0,
        snapshot_index=0,
        log_bytes=0,
        has_quorum=False,
        ready=False,
        members=tuple(settings.members),
        peers=(),
    )


__all__ = ["PeerStatus", "Replica", "ReplicaStatus"]
