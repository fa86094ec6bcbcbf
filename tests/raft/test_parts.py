"""The parts of the library with defects of their own: what each does wrong, and that none of them is used here.

``test_defects`` holds the defects of the part that is used, and corrected.
"""

import asyncio
import errno
import mmap
import pickle
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pysyncobj.tcp_connection as stock_connection
import pytest
from pysyncobj import SyncObj, SyncObjConf, replicated
from pysyncobj.dns_resolver import DnsCachingResolver
from pysyncobj.encryptor import getEncryptor
from pysyncobj.fast_queue import FastQueue
from pysyncobj.journal import FileJournal, MetaStorer, ResizableFile
from pysyncobj.poller import POLL_EVENT_TYPE
from pysyncobj.serializer import Serializer
from pysyncobj.tcp_connection import CONNECTION_STATE, TcpConnection
from pysyncobj.tcp_server import SERVER_STATE, TcpServer

import raft.link
from raft.errors import RaftError
from raft.identity import peer_node
from raft.link import Link
from raft.proposal import Committed
from raft.replica import Replica
from raft.settings import RaftSettings
from tests.cluster.servers import wait_until
from tests.raft.pocket import Clock, Counter, Node, Recording
from tests.raft.test_journal import small_disk
from tests.raft.test_replica import Recorder, Trio
from tests.sim.run import run_seed

__all__ = ["small_disk"]


@pytest.fixture(name="clock")
def _clock() -> Iterator[Clock]:
    with Clock().installed() as clock:
        yield clock


class FakePoller:
    """Keeps what the library would be called with."""

    def __init__(self) -> None:
        self.callbacks: dict[int, Any] = {}

    def subscribe(self, descriptor: int, callback: Any, _events: int) -> None:
        self.callbacks[descriptor] = callback

    def unsubscribe(self, descriptor: int) -> None:
        self.callbacks.pop(descriptor, None)


# --- files ------------------------------------------------------------------------------------------------


def test_the_librarys_compaction_is_no_step_but_many(tmp_path: Path) -> None:
    """A kill in its middle loses what was to be kept; ours puts a whole file in the place of the old one."""
    journal = FileJournal(str(tmp_path / "stock"))
    for index in range(1, 11):
        journal.add(b"\0x", index, 1)
    write = ResizableFile.write
    calls = 0

    def dies(self: ResizableFile, offset: int, values: bytes) -> None:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise KeyboardInterrupt
        write(self, offset, values)

    with patch.object(ResizableFile, "write", dies), pytest.raises(KeyboardInterrupt):
        journal.deleteEntriesTo(2)
    journal._destroy()
    assert 2 == len(FileJournal(str(tmp_path / "stock")))  # of the 8 that were to stay


@pytest.mark.real
def test_the_librarys_journal_dies_of_a_full_disk(small_disk: Path) -> None:
    """It writes through a mapping, and a mapping has no way to say that there is no space."""
    program = (
        "import sys; from pysyncobj.journal import FileJournal; journal = FileJournal(sys.argv[1])\n"
        "for index in range(1, 2000): journal.add(b'x' * 1000, index, 1)"
    )
    done = subprocess.run([sys.executable, "-c", program, small_disk / "stock"], check=False)
    assert -signal.SIGBUS == done.returncode


def test_the_librarys_journal_is_a_mapping(tmp_path: Path) -> None:
    """What the last test shows where it can make a small disk."""
    journal = FileJournal(str(tmp_path / "stock"))
    assert isinstance(journal._FileJournal__journalFile._ResizableFile__mm, mmap.mmap)


def test_the_library_acknowledges_a_snapshot_that_it_could_not_load(tmp_path: Path, clock: Clock) -> None:
    """Its leader then believes that the follower holds everything."""
    stock = Counter(clock, fullDumpFile=str(tmp_path / "dump"))
    sent = stock.tell(
        "n2", type="append_entries", term=1, commit_index=9, serialized=(b"no snapshot", True, True)
    )
    assert [True] == [each["success"] for _, each in sent if each["type"] == "next_node_idx"]


def test_the_library_makes_its_snapshots_in_the_tick(tmp_path: Path, clock: Clock) -> None:
    """Whatever its size; without a fork, which copies its sockets into the child."""
    stock = Counter(clock, fullDumpFile=str(tmp_path / "dump"))
    stock.append("n2", 1, (1, 0), (b"\0" + pickle.dumps((0, (7,))), 2, 1), commit=2)
    threads: list[int] = []
    with patch.object(Serializer, "serialize", lambda *_: threads.append(threading.get_ident())):
        stock.forceLogCompaction()
        stock.tick()
    assert [threading.get_ident()] == threads


def test_the_library_cannot_make_a_snapshot_of_a_lock(tmp_path: Path, clock: Clock) -> None:
    """It tries again with every tick, and its log never becomes shorter."""
    stock = Counter(clock, fullDumpFile=str(tmp_path / "dump"))
    stock.lock = threading.Lock()
    stock.append("n2", 1, (1, 0), *((b"\0" + pickle.dumps((0, (7,))), index, 1) for index in (2, 3)), commit=3)
    stock.forceLogCompaction()
    for _ in range(5):
        stock.tick()
    assert not (tmp_path / "dump").exists()
    assert 3 == len(stock.hidden("raftLog"))


class Old(SyncObj):
    """A program before its upgrade."""

    @replicated
    def put(self) -> None:
        pass


class New(SyncObj):
    """The same one after it."""

    @replicated
    def add(self) -> None:
        pass

    @replicated
    def put(self) -> None:
        pass


def test_the_library_numbers_methods_by_their_order() -> None:
    """A further method gives the old one's number to another, and journals hold numbers."""
    numbers = []
    for program in (Old, New):
        made = program(Node("n1"), [], SyncObjConf(autoTick=False), transport=Recording())
        numbers.append(made._methodToID["put_v0"])
    assert numbers[0] != numbers[1]


# --- callers ----------------------------------------------------------------------------------------------


def test_the_library_forgets_who_waits_for_a_lost_message(clock: Clock) -> None:
    """What a follower forwards may get lost, and nobody is ever told."""
    stock = Counter(clock)
    stock.append("n2", 1, (1, 0))
    told: list[object] = []
    stock.put(5, callback=lambda *outcome: told.append(outcome))
    sent = stock.tick()
    assert "apply_command" in [each["type"] for _, each in sent]  # and it gets lost
    for _ in range(100):
        stock.append("n2", 1, (1, 0))
        stock.tick(0.1)
    assert [] == told


def test_the_library_fails_a_command_that_it_has_queued(clock: Clock) -> None:
    """Its caller believes that nothing happens, and it does."""

    class FullPipe:
        def notify(self) -> None:
            raise BlockingIOError

    stock = Counter(clock, nodes=1)
    stock.tick(2.0)
    stock._SyncObj__pipeNotifier = FullPipe()
    stock._SyncObj__conf.appendEntriesUseBatch = False
    with pytest.raises(BlockingIOError):
        stock.put(5)
    stock.tick()
    stock.tick()
    assert [5] == stock.values


# --- the wire ---------------------------------------------------------------------------------------------


def stock_pair() -> tuple[TcpConnection, socket.socket, FakePoller, list[Any]]:
    """Return a connection of the library, the other end of its socket, and what it receives."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    poller, received = FakePoller(), []  # type: ignore[var-annotated]
    connection = TcpConnection(poller, socket=ours, onMessageReceived=received.append)
    return connection, theirs, poller, received


def deliver(connection: TcpConnection, poller: FakePoller) -> None:
    poller.callbacks[connection.fileno()](connection.fileno(), POLL_EVENT_TYPE.READ)


def test_the_library_accepts_a_frame_that_is_played_again() -> None:
    """Encrypted and keyed as it may be: within one second a copy is as good as the frame."""
    sender, wire, _, _ = stock_pair()
    receiver, input_, poller, received = stock_pair()
    sender.encryptor = receiver.encryptor = getEncryptor("secret")
    sender.sendRandKey = receiver.recvRandKey = b"key of this connection"
    sender.send("add one")
    frame = wire.recv(10_000)
    for _ in range(3):
        input_.sendall(frame)
        deliver(receiver, poller)
    assert ["add one"] * 3 == received


def test_the_library_holds_whatever_a_stranger_sends() -> None:
    """A frame of two gigabytes may begin before anyone has said who he is."""
    receiver, input_, poller, _ = stock_pair()
    input_.sendall((2**31 - 1).to_bytes(4, "little"))
    for _ in range(100):
        input_.sendall(bytes(50_000))
        deliver(receiver, poller)
    assert len(receiver._TcpConnection__readBuffer) > 5_000_000
    assert CONNECTION_STATE.CONNECTED == receiver.state


def test_the_library_closes_its_port_for_good_when_descriptors_run_out() -> None:
    """One accept that fails is the last one."""

    class Exhausted:
        def accept(self) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        def close(self) -> None:
            pass

    server = TcpServer(FakePoller(), "127.0.0.1", 1, lambda _: None)
    server._TcpServer__socket, server._TcpServer__state = Exhausted(), SERVER_STATE.BINDED
    server._TcpServer__onNewConnection(0, POLL_EVENT_TYPE.READ)
    assert SERVER_STATE.UNBINDED == server._TcpServer__state


def test_the_library_drops_an_idle_connection_with_the_message_that_needs_it() -> None:
    """Followers seldom talk to one another, so the first vote request of an election is lost."""
    clock = Clock()
    with patch.object(stock_connection, "monotonicTime", clock):
        sender, wire, _, _ = stock_pair()
        wire.setblocking(False)
        clock.now_s += 11.0
        sender.send("request_vote")
        assert CONNECTION_STATE.DISCONNECTED == sender.state
        assert b"" == wire.recv(1000)


class Blackhole:
    """A socket whose peer never answers."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_: None

    def connect(self, _address: object) -> None:
        raise BlockingIOError(errno.EINPROGRESS, "in progress")

    def fileno(self) -> int:
        return 99


def test_the_library_dials_until_the_kernel_gives_up() -> None:
    """Nothing of its own ends a dial; ours ends after a while and begins anew."""
    clock = Clock()
    with (
        patch.object(stock_connection, "monotonicTime", clock),
        patch.object(socket, "socket", lambda *_: Blackhole()),
    ):
        dialling = TcpConnection(FakePoller())
        assert dialling.connect("192.0.2.1", 7300)
        clock.now_s += 1000.0
        assert CONNECTION_STATE.CONNECTING == dialling.state


def test_a_dial_of_ours_ends_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that comes back after a while is reached soon, whatever the kernel thinks of the first dial."""
    for name in ("DIAL_MAX_S", "RETRY_MIN_S"):
        monkeypatch.setattr(raft.link, name, 0.02)

    async def run() -> int:
        dials = 0
        enough = asyncio.Event()

        async def dial(_node: object) -> Any:
            nonlocal dials
            dials += 1
            if dials == 3:
                enough.set()
            await asyncio.Event().wait()

        link = Link(peer_node("b", "127.0.0.1:1"), dial, decides=True)
        link.task = asyncio.create_task(link.keep())
        await asyncio.wait_for(enough.wait(), 20)
        link.stop()
        return dials

    assert 3 == asyncio.run(run())


def test_the_library_asks_for_the_wrong_family() -> None:
    """Who prefers IPv6 gets IPv4; and whom a name stands for is asked in the log's thread."""
    resolver = DnsCachingResolver(1, 1)
    resolver.setPreferredAddrFamily("ipv6")
    assert socket.AF_INET == resolver._DnsCachingResolver__preferredAddrFamily


@pytest.mark.parametrize("address", ["localhost:7300", "ns1.example.org:7300"])
def test_a_node_of_ours_has_an_address_and_no_name_to_look_up(address: str) -> None:
    """Nothing is ever resolved."""
    with pytest.raises(RaftError, match="write an IP address and a port"):
        peer_node("b", address)


# --- none of them is here -----------------------------------------------------------------------------------

PARTS: dict[str, list[tuple[Any, str]]] = {
    "journal": [(FileJournal, "__init__"), (ResizableFile, "__init__"), (MetaStorer, "__init__")],
    "snapshots": [
        (Serializer, name)
        for name in ("serialize", "deserialize", "getTransmissionData", "setTransmissionData")
    ],
    "fork": [("os", "fork")],
    "pickles": [("pysyncobj.pickle", "loads"), ("pysyncobj.pickle", "dumps"), ("pickle", "loads")],
    "connections": [(TcpConnection, "__init__"), (TcpServer, "__init__")],
    "names": [(DnsCachingResolver, "resolve"), ("socket", "getaddrinfo")],
    "queue": [(FastQueue, "put_nowait"), ("pysyncobj.pipe_notifier.PipeNotifier", "__init__")],
    "methods": [(SyncObj, "_applyCommand"), (SyncObj, "_SyncObj__doApplyCommand")],
    "membership": [
        (SyncObj, f"_SyncObj__{name}") for name in ("doChangeCluster", "updateClusterConfiguration")
    ],
}


def trapped(part: str) -> ExitStack:
    """Let everything of a part fail until the stack is closed."""

    def trap(*_arguments: object, **_keywords: object) -> None:
        raise AssertionError(f"the library's {part} are used")

    stack = ExitStack()
    for owner, name in PARTS[part]:
        if isinstance(owner, str):
            stack.enter_context(patch(f"{owner}.{name}", trap))
        else:
            stack.enter_context(patch.object(owner, name, trap))
    return stack


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_the_library_is_not_there(part: str) -> None:
    """A cluster lives, dies, compacts and comes back, and nothing of the part is ever called."""
    seed = random.Random(part).randrange(20)
    with trapped(part):
        assert run_seed(seed, 3.0).messages > 0


def test_none_of_the_parts_is_in_a_real_cluster(tmp_path: Path) -> None:
    """The same over real sockets and files."""
    trio = Trio(tmp_path)
    with ExitStack() as stack:
        for part in PARTS:
            stack.enter_context(trapped(part))
        try:
            trio.start()
            for number, name in enumerate([trio.leader(), *trio.followers()]):
                assert isinstance(trio.say(name, str(number)), Committed)
            wait_until(lambda: all(3 == len(each.commands) for each in trio.machines.values()), "all three")
        finally:
            trio.stop()


def test_a_snapshot_of_ours_is_written_by_a_worker(tmp_path: Path) -> None:
    """The log's thread takes hold of an immutable version, and another walks it."""
    threads: dict[str, set[int]] = {"applies": set(), "walks": set()}

    class Watched(Recorder):
        def apply(self, index: int, command: bytes) -> object:
            threads["applies"].add(threading.get_ident())
            return super().apply(index, command)

        def snapshot(self) -> Iterator[bytes]:
            for each in super().snapshot():
                threads["walks"].add(threading.get_ident())
                yield each

    settings = RaftSettings("solo", {"solo": "127.0.0.1:0"}, "127.0.0.1:0", "test", tmp_path, None)
    replica = Replica(replace(settings, snapshot_entries=5), Watched())
    replica.start()
    try:
        for number in range(10):
            replica.propose(b"%d" % number).result(7)
        wait_until(lambda: replica.status().snapshot_index > 1, "a snapshot")
    finally:
        replica.stop()
    assert threads["walks"]
    assert not threads["walks"] & threads["applies"]
