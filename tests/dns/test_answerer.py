"""Answerers as processes: what they answer, and that nothing but their own end stops them."""

import asyncio
import contextlib
import gc
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog.testing

from node.dns import answerer_link, answerer_process, native, supervisor
from node.dns import answerer_stats as stats
from node.dns.fast import FastDns, is_supported
from node.dns.listen import ListenFailed
from node.dns.respond import Client, Send, respond
from node.dns.server import DnsServer, DnsSettings
from node.dns.supervisor import SupervisorSettings
from node.state.state import Changed
from node.zone.name import Name, from_text
from node.zone.rrset import RRset, make
from node.zone.zone import Replacement, Zone, with_changes
from tests.dns.tables import is_native, packet
from tests.dns.zones import UDP, view, zones
from tests.ports import free_port

pytestmark = [
    pytest.mark.skipif(not is_supported(), reason="the fast path wants Linux on x86-64"),
    pytest.mark.usefixtures("reader"),
]

ZONE = "www A 192.0.2.1\nal CNAME www\n" + "".join(f"h{number} A 192.0.2.7\n" for number in range(50))
WWW = from_text("www.example.")


class Control:
    """A control process's part in a test: zones, and what is handed up."""

    def __init__(self, directory: Path, *, answerers: int = 1, ready: bool = True) -> None:
        self.zones: dict[Name, Zone] = zones({"example.": ZONE})
        self.ready = ready
        self.handed_up: list[bytes] = []
        self.fast = FastDns(
            SupervisorSettings(directory, answerers, orphan_life_s=30, compiled=is_native()),
            lambda: view(self.zones, ready=self.ready),
            self.answer,
        )

    def answer(self, query: bytes, address: str) -> bytes | None:
        """Answer what is handed up."""
        self.handed_up.append(query)
        outcome = respond(query, Client(address, "udp"), view(self.zones, ready=self.ready))
        return outcome.packet if isinstance(outcome, Send) else None

    def put(self, rrset: RRset) -> None:
        """Change an RRset as the log would."""
        apex = from_text("example.")
        self.zones = {apex: with_changes(self.zones[apex], [Replacement(rrset.name, rrset.type, rrset)], 2)}
        self.fast.publish(self.zones, Changed(names=((apex, rrset.name), (apex, apex)), zones=(apex,)))


def free_address() -> str:
    """Find a free UDP port."""
    return f"127.0.0.1:{free_port()}"


@asynccontextmanager
async def running(control: Control, address: str) -> AsyncIterator[socket.socket]:
    """Run answerers; yield a client's socket."""
    await control.fast.start((address,))
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setblocking(False)
    host, _, port = address.rpartition(":")
    client.connect((host, int(port)))
    try:
        yield client
    finally:
        client.close()
        await control.fast.stop()


async def ask(client: socket.socket, query: bytes, timeout_s: float = 5.0) -> bytes:
    """Send a query and wait for its answer."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, query)
    return await asyncio.wait_for(loop.sock_recv(client, 4096), timeout_s)


async def until(condition: Callable[[], Awaitable[bool]], timeout_s: float = 30.0) -> None:
    """Wait for a condition with a deadline."""
    deadline = time.monotonic() + timeout_s
    while not await condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)


async def until_answers(client: socket.socket, query: bytes, expected: bytes) -> None:
    """Wait until a query gets this answer."""

    async def is_there() -> bool:
        return await ask(client, query) == expected

    await until(is_there)


def expected_of(control: Control, query: bytes) -> bytes:
    """Return what ``respond`` says."""
    outcome = respond(query, UDP, view(control.zones))
    assert isinstance(outcome, Send)
    return outcome.packet


def test_questions_are_answered_in_another_process(tmp_path: Path) -> None:
    """Plain questions never reach the control process once the table is there."""

    async def scenario() -> None:
        control = Control(tmp_path)
        async with running(control, free_address()) as client:
            query = packet(WWW, 1)
            await until_answers(client, query, expected_of(control, query))
            control.handed_up.clear()
            for name, type_ in ((WWW, 28), (from_text("al.example."), 1), (from_text("no.example."), 1)):
                question = packet(name, type_, edns=1232)
                assert expected_of(control, question) == await ask(client, question)
            assert [] == control.handed_up
            answered = {(type_, rcode): count for type_, rcode, count in stats.answers(control.fast.counts())}
            assert 1 == answered["AAAA", "NOERROR"]
            assert 1 == answered["A", "NXDOMAIN"]
            assert is_native() == (stats.events(control.fast.counts())["native"] > 0)

    asyncio.run(scenario())


def test_what_is_no_plain_question_is_handed_up(tmp_path: Path) -> None:
    """CHAOS, options and other opcodes are answered by the control process, from the same address."""

    async def scenario() -> None:
        control = Control(tmp_path)
        async with running(control, free_address()) as client:
            query = packet(WWW, 1)
            await until_answers(client, query, expected_of(control, query))
            control.handed_up.clear()
            chaos = struct.pack("!6H", 9, 0, 1, 0, 0, 0) + from_text("id.server.") + struct.pack("!HH", 16, 3)
            notify = struct.pack("!6H", 9, 0x2000, 1, 0, 0, 0) + WWW + struct.pack("!HH", 6, 1)
            nsid = packet(WWW, 1, edns=1232)[:-2] + b"\x00\x04\x00\x03\x00\x00"
            for odd in (chaos, notify, nsid):
                assert expected_of(control, odd) == await ask(client, odd)
            assert [chaos, notify, nsid] == control.handed_up

    asyncio.run(scenario())


def test_nothing_is_denied_before_the_node_is_ready(tmp_path: Path) -> None:
    """Until the first table is there every question is answered SERVFAIL."""

    async def scenario() -> None:
        control = Control(tmp_path, ready=False)
        async with running(control, free_address()) as client:
            query = packet(WWW, 1)

            async def answers() -> bool:
                try:
                    return (await ask(client, query, 0.2))[3] & 15 == 2
                except TimeoutError:
                    return False

            await until(answers)
            control.ready = True
            await until_answers(client, query, expected_of(control, query))

    asyncio.run(scenario())


def test_a_change_shows_at_once_in_every_answerer(tmp_path: Path) -> None:
    """One store publishes; what was cached of the name is forgotten, the rest stays."""

    async def scenario() -> None:
        control = Control(tmp_path, answerers=2)
        address = free_address()
        async with running(control, address) as client:
            query, other = packet(WWW, 1), packet(from_text("al.example."), 1)
            await until_answers(client, query, expected_of(control, query))
            clients = [client]
            host, _, port = address.rpartition(":")
            for _ in range(16):
                each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                each.setblocking(False)
                each.connect((host, int(port)))
                clients.append(each)
            for number in range(20):
                control.put(make(WWW, 1, 300, [bytes((192, 0, 2, number + 10))]))
                for each in clients:
                    assert expected_of(control, query) == await ask(each, query)
                    assert expected_of(control, other) == await ask(each, other)
            for each in clients[1:]:
                each.close()

    asyncio.run(scenario())


def test_a_killed_answerer_is_replaced_and_its_queue_served(tmp_path: Path) -> None:
    """The socket is the control process's too: what waited in it is answered by the successor within a second."""

    async def scenario() -> None:
        control = Control(tmp_path)
        async with running(control, free_address()) as client:
            query = packet(WWW, 1)
            await until_answers(client, query, expected_of(control, query))
            for _ in range(3):
                pid = control.fast.seats[0].pid
                os.kill(pid, signal.SIGKILL)
                began = time.monotonic()
                assert expected_of(control, query) == await ask(client, query)
                assert time.monotonic() - began < 2.5
                assert pid != control.fast.seats[0].pid

    asyncio.run(scenario())


def test_files_that_change_leave_no_sockets_to_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A successor that reads newer files of the same formats serves: an update lies there before it is taken over."""

    async def scenario() -> None:
        control = Control(tmp_path)
        async with running(control, free_address()) as client:
            query = packet(WWW, 1)
            await until_answers(client, query, expected_of(control, query))
            formats = answerer_link.version().rpartition(".")[0]
            monkeypatch.setattr(answerer_link, "version", lambda: f"{formats}.00000000")
            os.kill(control.fast.seats[0].pid, signal.SIGKILL)
            await until_answers(client, query, expected_of(control, query))

    asyncio.run(scenario())


def test_a_library_that_fits_later_is_taken_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade writes one file after the other: whoever starts in between says that Python answers, and looks again."""
    if not is_native():
        pytest.skip("no compiled reader is looked for")
    package = Path(answerer_process.__file__).parents[1]
    shutil.copytree(package, tmp_path / "node")
    monkeypatch.setattr(answerer_process, "__file__", str(tmp_path / "node" / "dns" / "answerer_process.py"))
    monkeypatch.setattr(supervisor, "_PING_INTERVAL_S", 0.05)
    library = tmp_path / "node" / "dns" / native.LIBRARY.name
    fits = library.read_bytes()
    library.write_bytes(fits.replace(native.checksum().encode(), b"0" * 64))

    async def scenario() -> None:
        control = Control(tmp_path / "meeting")
        async with running(control, free_address()) as client:
            query = packet(WWW, 1)
            await until_answers(client, query, expected_of(control, query))
            assert control.fast.counts()[stats.NATIVE] == 0
            fresh = library.with_suffix(".new")
            fresh.write_bytes(fits)
            fresh.replace(library)

            async def is_taken() -> bool:
                assert await ask(client, query) == expected_of(control, query)
                return control.fast.counts()[stats.NATIVE] > 0 and "answerer.reader_taken" in events()

            await until(is_taken)

    def events() -> list[str]:
        return [line["event"] for line in lines if line["event"].startswith("answerer.reader")]

    with structlog.testing.capture_logs() as lines:
        asyncio.run(scenario())
    assert events() == ["answerer.reader_refused", "answerer.reader_taken"]


def test_a_taken_address_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """The message says where and why; nothing stays behind."""

    async def scenario() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            control = Control(tmp_path)
            with pytest.raises(ListenFailed, match=f"127.0.0.1:{other.getsockname()[1]}.*another program"):
                await control.fast.start((f"127.0.0.1:{other.getsockname()[1]}",))
        assert not any(seat.pid for seat in control.fast.seats)
        first = Control(tmp_path)
        async with running(first, free_address()):
            with pytest.raises(ListenFailed, match="in use by another running node"):
                await Control(tmp_path).fast.start((free_address(),))

    asyncio.run(scenario())


def open_files() -> int:
    """Count what this process holds open."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_start_that_fails_closes_what_it_opened_and_was_given(tmp_path: Path) -> None:
    """Be it for the directory or for the second of two addresses: who tries again finds both as they were."""

    async def try_to_start(directory: Path, addresses: tuple[str, ...]) -> None:
        given = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        given.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{given.getsockname()[1]}"
        with pytest.raises(ListenFailed):
            await Control(directory).fast.start((place, *addresses), {place: given})
        assert given.fileno() == -1

    async def scenario() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            taken = f"127.0.0.1:{other.getsockname()[1]}"
            async with running(Control(tmp_path / "used"), free_address()):
                before = open_files()
                await try_to_start(tmp_path / "used", ())
                assert open_files() == before
                await try_to_start(tmp_path / "free", (free_address(), taken))
                assert open_files() == before

    asyncio.run(scenario())


def test_stopping_and_leaving_close_everything(tmp_path: Path) -> None:
    """A process that goes on without its answerers has nothing of them."""

    async def scenario() -> None:
        before = open_files()
        control = Control(tmp_path)
        address = free_address()
        async with running(control, address) as client:
            await until_answers(client, packet(WWW, 1), expected_of(control, packet(WWW, 1)))
        control = Control(tmp_path)
        await control.fast.start((address,))
        await control.fast.leave()
        control = Control(tmp_path)
        await control.fast.start((address,))
        await control.fast.stop()
        del control
        assert open_files() == before

    asyncio.run(scenario())


def test_stopping_leaves_nothing_behind(tmp_path: Path) -> None:
    """After an orderly end there is no process and no socket."""

    async def scenario() -> list[int]:
        control = Control(tmp_path, answerers=2)
        async with running(control, free_address()) as client:
            query = packet(WWW, 1)
            await until_answers(client, query, expected_of(control, query))
            return [seat.pid for seat in control.fast.seats]

    pids = asyncio.run(scenario())
    assert [] == [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert ["lock"] == sorted(each.name for each in tmp_path.iterdir())


ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import asyncio, sys
from pathlib import Path
from tests.dns.tables import use_reader
from tests.dns.test_answerer import Control
async def main():
    use_reader(sys.argv[4])
    control = Control(Path(sys.argv[1]), answerers=2)
    await control.fast.start((sys.argv[2],))
    print("started", flush=True)
    await asyncio.sleep(float(sys.argv[3]))
    await control.fast.stop()
asyncio.run(main())
"""


def control_process(
    directory: Path, address: str, life_s: float, code: Path = ROOT
) -> "subprocess.Popen[bytes]":
    """Start a control process of its own, from this code or another's, and wait until it answers."""
    reader = "native" if is_native() else "python"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(directory), address, str(life_s), reader],
        cwd=code,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{code}:{ROOT}"},
    )
    assert process.stdout is not None
    assert any(line == b"started\n" for line in process.stdout), "the control process did not start"
    return process


def answerer_pids(directory: Path) -> list[int]:
    """Read who is said to answer."""
    return sorted(row["pid"] for row in json.loads((directory / "answerers.json").read_text())["answerers"])


@pytest.mark.real
def test_no_query_is_lost_while_the_control_process_is_killed_and_restarted(tmp_path: Path) -> None:
    """Its answerers go on, and the successor adopts them with sockets and table: 100,000 queries, none lost."""
    address = free_address()
    host, _, port = address.rpartition(":")
    first = control_process(tmp_path, address, 120)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.connect((host, int(port)))
        deadline = time.monotonic() + 20
        while True:
            client.send(packet(WWW, 1))
            if client.recv(4096)[3] & 15 == 0:
                break
            assert time.monotonic() < deadline
        pids = answerer_pids(tmp_path)
        second: subprocess.Popen[bytes] | None = None
        answered = 0
        for number in range(100_000):
            if number == 20_000:
                first.kill()
                first.wait()
            if number == 40_000:
                second = control_process(tmp_path, address, 120)
            client.send(
                packet(
                    from_text(f"h{number % 50}.example."),
                    1 if number % 3 else 28,
                    edns=1232 if number % 2 else None,
                )
            )
            answered += client.recv(4096)[3] & 15 == 0
        assert second is not None
        try:
            assert 100_000 == answered
            assert pids == answerer_pids(tmp_path)
        finally:
            second.kill()
            second.wait()
            for pid in pids:
                os.kill(pid, signal.SIGTERM)


@pytest.mark.real
def test_answerers_of_another_version_go_on_until_they_are_relieved(tmp_path: Path) -> None:
    """A control process of new code takes their sockets over, not their memory: no query is lost, all are replaced."""
    address = free_address()
    host, _, port = address.rpartition(":")
    old, home = tmp_path / "old", tmp_path / "run"
    shutil.copytree(ROOT / "node", old / "node")
    with (old / "node/dns/answerer.py").open("a") as code:
        code.write("# another version\n")
    first = control_process(home, address, 120, old)
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(8)]
    for client in clients:
        client.settimeout(5)
        client.connect((host, int(port)))

    def ask_all() -> set[int]:
        found = set()
        for client in clients:
            client.send(packet(WWW, 1))
            found.add(client.recv(4096)[3] & 15)
        return found

    deadline = time.monotonic() + 60
    while ask_all() != {0}:
        assert time.monotonic() < deadline
    before = answerer_pids(home)
    first.kill()
    first.wait()
    second = control_process(home, address, 120)
    try:
        relieved_at = None
        while relieved_at is None or time.monotonic() < relieved_at + 1:
            assert {0} == ask_all()
            assert time.monotonic() < deadline + 60
            ended = not any(Path(f"/proc/{pid}").exists() for pid in before)
            if ended and relieved_at is None:
                relieved_at = time.monotonic()
        assert not set(before) & set(answerer_pids(home))
    finally:
        second.terminate()
        second.wait()
        for client in clients:
            client.close()
        for pid in answerer_pids(home):
            os.kill(pid, signal.SIGTERM)


@pytest.mark.real
def test_an_orphan_answers_plain_questions_and_ends_with_its_directory(tmp_path: Path) -> None:
    """Without a control process plain questions are answered, others get SERVFAIL; without its directory it ends."""
    address = free_address()
    host, _, port = address.rpartition(":")
    directory = tmp_path / "run"
    control = control_process(directory, address, 120)
    pids = answerer_pids(directory)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.connect((host, int(port)))
        deadline = time.monotonic() + 20
        rcode = 2
        while rcode and time.monotonic() < deadline:
            client.send(packet(WWW, 1))
            rcode = client.recv(4096)[3] & 15
        control.kill()
        control.wait()
        while rcode != 2 and time.monotonic() < deadline:
            client.send(packet(WWW, 1)[:2] + b"\x28" + packet(WWW, 1)[3:])
            with contextlib.suppress(TimeoutError):  # one on its way up went with the control process
                rcode = client.recv(4096)[3] & 15
        assert 2 == rcode
        client.send(packet(from_text("never.asked.example."), 1))
        assert 3 == client.recv(4096)[3] & 15
    for each in directory.iterdir():
        each.unlink()
    directory.rmdir()
    deadline = time.monotonic() + 15
    while any(
        Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split(") ")[1][:1]
        for pid in pids
    ):
        assert time.monotonic() < deadline, "the orphans did not end"
        time.sleep(0.05)


def test_server_and_answerers_share_an_address(tmp_path: Path) -> None:
    """TCP is the server's, UDP the answerers'; both say the same (RFC 7766 section 4)."""

    async def scenario() -> None:
        where = zones({"example.": ZONE})
        server = DnsServer(DnsSettings(("127.0.0.1:0",), datagrams=False), lambda: view(where))
        await server.start()
        fast = FastDns(
            SupervisorSettings(tmp_path, 1, orphan_life_s=30, compiled=is_native()),
            lambda: view(where),
            server.answer_datagram,
        )
        await fast.start(server.addresses)
        host, _, port = server.addresses[0].rpartition(":")
        query = packet(WWW, 1)
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(len(query).to_bytes(2, "big") + query)
        over_tcp = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.setblocking(False)
        client.connect((host, int(port)))
        assert over_tcp == await ask(client, query)
        client.close()
        writer.close()
        await fast.stop()
        await server.stop()

    asyncio.run(scenario())
