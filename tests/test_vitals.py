"""The health endpoints tell the truth of a real node: each of its parts is broken in turn."""

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import requests

from node.cluster import Cluster
from node.dns.fast import is_supported
from node.dns.self_check import PATIENCE_S, SelfCheck
from node.probe.prober import Prober, ProberSettings
from node.service_manager import ServiceManager
from node.state.command import Member, Seed
from node.vitals import Vitals
from node.zone.name import from_text
from raft.settings import RaftSettings
from tests.cluster.servers import wait_until
from tests.process import Process
from tests.push.lab import until
from tests.state.conftest import service

ALONE = RaftSettings(
    node="ns1", members={"ns1": "127.0.0.1:0"}, bind="127.0.0.1:0", cluster="one", data_dir=None, secret=None
)


class Answerer:
    """A socket that answers what it is asked, while it is told to."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.questions: list[bytes] = []
        self.answers = True
        self.lost = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.socket.getsockname()[1]}"

    def read(self) -> None:
        data, client = self.socket.recvfrom(512)
        self.questions.append(data)
        if self.lost:
            self.lost -= 1
        elif self.answers:
            self.socket.sendto(data[:2] + b"\x84" + data[3:], client)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_reader(self.socket, self.read)
        try:
            yield
        finally:
            loop.remove_reader(self.socket)
            self.socket.close()


def test_our_own_dns_gets_a_real_question() -> None:
    """What answers is found well in one round; a lost datagram is asked for once more; a mute socket is told of."""

    async def main() -> None:
        server, mute = Answerer(), Answerer()
        mute.answers = False
        async with server.running(), mute.running():
            check = SelfCheck(lambda: (server.address,), lambda: from_text("example.org"))
            server.lost = 1
            assert () == await check.silent()
            assert b"\x07example\x03org\x00\x00\x06\x00\x01" == server.questions[0][12:]
            asked = len(server.questions)
            assert [(), ()] == list(await asyncio.gather(check.silent(), check.silent()))
            assert asked == len(server.questions)
            both = SelfCheck(lambda: (server.address, mute.address), lambda: None)
            begun = asyncio.get_running_loop().time()
            assert (mute.address,) == await both.silent()
            assert asyncio.get_running_loop().time() - begun < PATIENCE_S + 0.5
            gone = SelfCheck(lambda: ("127.0.0.1:9",), lambda: None)
            assert ("127.0.0.1:9",) == await gone.silent()
            for each in (check, both, gone):
                await each.close()

    asyncio.run(main())


def test_a_log_that_stands_still_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """One entry holds the log's thread up: nothing else shows it, and it is over when the entry is."""
    monkeypatch.setattr("node.vitals.LOG_SILENT_S_MAX", 0.2)
    holding, held = threading.Event(), threading.Event()

    async def main() -> None:
        cluster = Cluster(ALONE, lambda _: None)
        prober = Prober("ns1", lambda: cluster.state, cluster.propose, ProberSettings())
        check = SelfCheck(tuple, lambda: None)
        vitals = Vitals(cluster, check, prober)
        assert {"raft": "the log has not begun", "probes": "the prober does not run"}.items() <= {
            each.part: each.problem for each in await vitals.look()
        }.items()
        await cluster.start()
        await prober.start()
        try:
            await cluster.propose(Seed((Member("ns1"),)))
            assert "" == await vitals.reason_to_restart()
            assert not any(each.problem for each in await vitals.look())
            original = cluster._machine.apply

            def stand_still(index: int, command: bytes) -> object:
                held.set()
                holding.wait(20)
                return original(index, command)

            monkeypatch.setattr(cluster._machine, "apply", stand_still)
            task = asyncio.create_task(cluster.propose(Seed((Member("ns1"),))))
            await asyncio.to_thread(held.wait, 10)
            await asyncio.sleep(0.3)
            assert (await vitals.reason_to_restart()).startswith("the log has stood still for")
            holding.set()
            await task
            await until(lambda: (cluster.silent_s() or 0) < 0.1, "the log goes round again", 5)
            assert "" == await vitals.reason_to_restart()
        finally:
            holding.set()
            await prober.stop()
            await cluster.stop()
            await check.close()

    asyncio.run(main())


def test_a_prober_that_stops_is_told_of() -> None:
    """Both when its tasks have ended and when it does not keep its schedule."""
    clock = [0.0]

    async def main() -> None:
        cluster = Cluster(ALONE, lambda _: None)
        await cluster.start()
        await cluster.propose(Seed((Member("ns1"),), (), (service("192.0.2.1", "192.0.2.2"),)))

        async def probe(*_: object) -> object:
            await asyncio.Event().wait()
            return None

        prober = Prober(
            "ns1",
            lambda: cluster.state,
            cluster.propose,
            ProberSettings(),
            run=probe,  # type: ignore[arg-type]
            clock_s=lambda: clock[0],
        )
        check = SelfCheck(tuple, lambda: None)
        vitals = Vitals(cluster, check, prober)
        await prober.start()
        await asyncio.sleep(0.05)
        assert "" == (await vitals.look())[2].problem
        for task in prober._tasks[:1]:
            task.cancel()
        await asyncio.sleep(0)
        clock[0] = 60.0
        assert "the prober does not run" == (await vitals.look())[2].problem
        prober._tasks = prober._tasks[1:]
        assert "2 of 2 endpoints are overdue to be probed" == (await vitals.look())[2].problem
        assert "" == await vitals.reason_to_restart()
        await prober.stop()
        await cluster.stop()
        await check.close()

    asyncio.run(main())


@pytest.mark.real
@pytest.mark.skipif(not is_supported(), reason="answerers want Linux on x86-64")
def test_a_real_node_whose_answerer_hangs_says_so(tmp_path: Path) -> None:
    """SIGSTOP of the process that answers: not ready within a second or two; SIGCONT mends it."""
    with Process(tmp_path, '[dns]\nlisten = ["127.0.0.1:{port}"]\nanswerers = 1\n') as node:
        base = f"http://127.0.0.1:{node.api}"

        def codes() -> list[int]:
            return [
                requests.get(base + path, timeout=5).status_code for path in ("/healthz", "/readyz", "/health")
            ]

        wait_until(lambda: codes() == [200, 200, 200], "the node is well")
        (pid,) = answerers(node)
        os.kill(pid, signal.SIGSTOP)
        try:
            wait_until(lambda: codes() == [503, 503, 503], "it says that it does not answer")
            text = requests.get(base + "/readyz", timeout=5).text
            assert f"[-]node not ok: no answer from 127.0.0.1:{node.port}\n" in text
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: codes() == [200, 200, 200], "the node is well again")


def answerers(node: Process) -> list[int]:
    """Return the processes that answer for a node."""
    assert node.process is not None
    children = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children").read_text().split()
    return [int(each) for each in children if b"answerer" in Path(f"/proc/{each}/cmdline").read_bytes()]


def test_the_watchdog_hears_while_the_node_is_well(tmp_path: Path) -> None:
    """A node with something wrong keeps silent until it is right again."""
    problems = ["", "the log has stood still for 9 s", ""]

    async def main() -> list[bytes]:
        async def problem() -> str:
            return problems.pop(0) if problems else "enough"

        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(tmp_path / "notify"))
            manager.setblocking(False)
            environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000"}
            watching = asyncio.create_task(ServiceManager(environ).watch(problem))
            await until(lambda: not problems, "all was looked at", 5)
            await asyncio.sleep(0.05)
            watching.cancel()
            heard = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    heard.append(manager.recv(100))
            return heard

    assert [b"WATCHDOG=1"] * 2 == asyncio.run(main())
    other = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "30000", "WATCHDOG_PID": "1"}
    asyncio.run(asyncio.wait_for(ServiceManager(other).watch(None), 20))  # type: ignore[arg-type]
    assert {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}.isdisjoint(other)
