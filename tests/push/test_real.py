"""The pusher and a real server together: what the log decides is soon seen there."""

import asyncio
import statistics
from typing import Any

import dns.exception
import pytest

from node.push.pusher import Pusher
from node.push.settings import PusherSettings, TsigSecret
from node.state.command import Command
from node.state.pushes import PutTarget
from raft.proposal import Committed, Outcome
from tests.push.lab import Log, until, with_target
from tests.push.servers import KEY_NAME, SECRET, WRONG_SECRET, NameServer

pytestmark = pytest.mark.real


def pusher_of(log: Log, secret: str = SECRET, **settings: Any) -> Pusher:
    async def propose(command: Command) -> Outcome:
        return Committed(log.state.index + 1, log.do(command).result)

    async def is_current() -> bool:
        return True

    keys = {KEY_NAME: TsigSecret("hmac-sha256", secret)}
    return Pusher("ns1", lambda: log.state, propose, is_current, PusherSettings(tsig=keys, **settings))


def answer(server: NameServer) -> list[str] | None:
    try:
        return server.ask("www.example.org", timeout_s=0.2)
    except (dns.exception.DNSException, OSError):
        return None


def test_from_commit_to_the_servers_answer(server: NameServer) -> None:
    """Every change is seen on a healthy server; how soon is shown by pytest -s."""

    async def main() -> list[float]:
        log = with_target("192.0.2.1", "192.0.2.2", server=server.address, tsig=KEY_NAME)
        pusher = pusher_of(log)
        log.listeners.append(pusher.state_changed)
        await pusher.start()
        await until(lambda: log.delivered() > 0, "first push", 30)
        took = []
        for number in range(20):
            log.vote("192.0.2.1", up=number % 2 == 1)
            expected = 1 + number % 2
            took.append(await until(lambda n=expected: len(answer(server) or ()) == n, "seen", 10, 0.001))
        await pusher.stop()
        return took

    took = asyncio.run(main())
    print(f"from commit to visible: median {statistics.median(took) * 1000:.0f} ms")
    assert 20 == len(took)


def test_a_server_that_was_stopped_converges_after_its_start(server: NameServer) -> None:
    """Changes made while the server is down are there soon after it is up again."""

    async def main() -> None:
        log = with_target("192.0.2.1", "192.0.2.2", server=server.address, tsig=KEY_NAME)
        pusher = pusher_of(log, retry_max_s=0.5)
        log.listeners.append(pusher.state_changed)
        await pusher.start()
        await until(lambda: log.delivered() > 0, "first push", 30)
        await asyncio.to_thread(server.stop)
        log.vote("192.0.2.1", up=False)
        await until(lambda: pusher.status()[0].state == "failing", "failing", 30)
        assert "is the server running" in pusher.status()[0].detail
        await asyncio.to_thread(server.start)
        await until(lambda: answer(server) == ["192.0.2.2"], "converged", 30)
        await until(lambda: pusher.status()[0].state == "synced", "synced", 30)
        await pusher.stop()

    asyncio.run(main())


def test_a_server_restored_from_an_older_zone_is_repaired(server: NameServer) -> None:
    """A restored backup is noticed by its serial, also where it holds addresses that are no endpoints any more."""

    async def main() -> None:
        log = with_target("192.0.2.1", "192.0.2.2", server=server.address, tsig=KEY_NAME)
        pusher = pusher_of(log, retry_max_s=0.5, serial_every_s=0.2)
        log.listeners.append(pusher.state_changed)
        await pusher.start()
        await until(lambda: answer(server) == ["192.0.2.1", "192.0.2.2"], "first push", 30)
        await asyncio.to_thread(server.stop)
        server.zone_text += "www A 192.0.2.1\nwww A 198.51.100.7\n"
        server.forget()
        log.vote("192.0.2.1", up=False)
        await asyncio.to_thread(server.start)
        await until(lambda: answer(server) == ["192.0.2.2", "198.51.100.7"], "repaired", 30)
        await pusher.stop()

    asyncio.run(main())


def test_a_key_that_is_wrong_and_then_right(knot: NameServer) -> None:
    """A wrong secret is told as such; with the right one, after a restart, the target converges."""

    async def main() -> None:
        log = with_target("192.0.2.1", server=knot.address, tsig=KEY_NAME)
        wrong = pusher_of(log, WRONG_SECRET)
        await wrong.start()
        await until(lambda: wrong.status()[0].state == "failing", "failing", 30)
        assert "BADSIG" in wrong.status()[0].detail
        await wrong.stop()
        missing = Pusher("ns1", lambda: log.state, wrong._propose, wrong._is_current, PusherSettings())
        await missing.start()
        await until(lambda: "no TSIG key" in missing.status()[0].detail, "no key", 30)
        await missing.stop()
        right = pusher_of(log)
        await right.start()
        await until(lambda: answer(knot) == ["192.0.2.1"], "converged", 30)
        await right.stop()

    asyncio.run(main())


def test_all_of_a_zone(server: NameServer) -> None:
    """what = "all" makes the other server's zone follow ours, its SOA and apex NS excepted."""
    from node.state.command import ChangeZone, DeleteRRset, PutRRset
    from tests.push.lab import TXT, ZONE, rrset, target

    async def main() -> None:
        log = Log(
            PutTarget(target(what="all", server=server.address, tsig=KEY_NAME)), zones=True, nodes=["ns1"]
        )
        pusher = pusher_of(log)
        log.listeners.append(pusher.state_changed)
        given = rrset("text", "TXT", '"one"', '"two"')
        log.do(ChangeZone(ZONE, (PutRRset(given),)))
        await pusher.start()
        await until(lambda: server.ask("text.example.org", "TXT") == ['"one"', '"two"'], "pushed", 30)
        log.do(ChangeZone(ZONE, (DeleteRRset(given.name, TXT),)))
        await until(lambda: server.ask("text.example.org", "TXT") == [], "deleted", 30)
        assert ["ns.elsewhere.test."] == server.ask("example.org", "NS")
        await pusher.stop()

    asyncio.run(main())
