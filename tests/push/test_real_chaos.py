"""Three real servers, three pushers, faults: every server ends equal to the State and never was empty."""

import asyncio
import contextlib
import random
import threading
from pathlib import Path
from typing import Any

import dns.exception
import pytest

from node.push.carriers import carrier_for
from node.push.errors import PushError
from node.push.pusher import Pusher
from node.push.settings import PusherSettings, TsigSecret
from node.state.command import Command, PutService
from node.state.pushes import PutTarget, Target
from raft.proposal import Committed, Outcome
from tests.push.lab import NODES, WWW, Log, service, target, until
from tests.push.servers import KEY_NAME, SECRET, WRONG_SECRET, Knot, Named, NameServer, PowerDns

pytestmark = pytest.mark.real
CHANGES = 80


class Scene:
    """Three nodes that push to three servers."""

    def __init__(self, servers: dict[str, NameServer]) -> None:
        self.servers = servers
        targets = [target(name, server=each.address, tsig=KEY_NAME) for name, each in servers.items()]
        texts = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
        self.log = Log(PutService(service(*texts)), *map(PutTarget, targets))
        self.cut_off: set[tuple[str, str]] = set()
        self.secrets = dict.fromkeys(NODES, SECRET)
        self.pushers = {node: self._pusher(node) for node in NODES}

    def _pusher(self, node: str) -> Pusher:
        async def propose(command: Command) -> Outcome:
            return Committed(self.log.state.index + 1, self.log.do(command).result)

        async def is_current() -> bool:
            return True

        def make(given: Target, _: PusherSettings) -> Any:
            if (node, given.name) in self.cut_off:
                raise PushError("retryable", "unreachable", "cut off")
            key = TsigSecret("hmac-sha256", self.secrets[node])
            return carrier_for(given, PusherSettings(tsig={KEY_NAME: key}))

        settings = PusherSettings(retry_first_s=0.1, retry_max_s=0.5, takeover_s=0.5, serial_every_s=0.3)
        return Pusher(node, lambda: self.log.state, propose, is_current, settings, make_carrier=make)

    def wanted(self) -> list[str]:
        return sorted(self.log.state.services[WWW].published)

    def is_right(self) -> bool:
        return all(answer(each) == self.wanted() for each in self.servers.values())


def answer(server: NameServer) -> list[str] | None:
    try:
        return server.ask("www.example.org", timeout_s=0.3)
    except (dns.exception.DNSException, OSError):
        return None


async def trouble(scene: Scene, chance: random.Random) -> None:
    """Make one thing worse, and mend another."""
    name = chance.choice(sorted(scene.servers))
    kind = chance.randrange(4)
    if kind == 0:
        await asyncio.to_thread(scene.servers[name].stop)
        scene.log.vote("192.0.2.1", up=chance.random() < 0.5)
        await asyncio.to_thread(scene.servers[name].start)
    elif kind == 1:
        await asyncio.to_thread(scene.servers[name].stop)
        scene.servers[name].forget()
        await asyncio.to_thread(scene.servers[name].start)
    elif kind == 2:
        scene.cut_off = {(node, name) for node in chance.sample(NODES, 2)}
    else:
        scene.secrets = {node: chance.choice([SECRET, WRONG_SECRET]) for node in NODES}


def test_every_server_ends_equal_to_the_state(tmp_path: Path) -> None:
    """Servers stopped and restored from an older zone, keys wrong then right, pushers cut off: all converge."""
    base = Named(tmp_path / "unused").zone_text + "www A 192.0.2.1\nwww A 192.0.2.2\n"
    kinds: dict[str, type[NameServer]] = {"knot": Knot, "named": Named, "pdns": PowerDns}
    servers = {name: kind(tmp_path / name, base) for name, kind in kinds.items()}
    chance = random.Random(5)
    empty: list[str] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            empty.extend(name for name, each in servers.items() if answer(each) == [])

    async def main() -> None:
        scene = Scene(servers)
        for pusher in scene.pushers.values():
            scene.log.listeners.append(pusher.state_changed)
            await pusher.start()
        for number in range(CHANGES):
            scene.log.vote(f"192.0.2.{chance.randint(1, 3)}", up=chance.random() < 0.5)
            await asyncio.sleep(chance.choice([0.0, 0.02, 0.1]))
            if number % 8 == 0:
                await trouble(scene, chance)
        scene.cut_off, scene.secrets = set(), dict.fromkeys(NODES, SECRET)
        await until(scene.is_right, "equal in the end", 30)
        await until(lambda: all(row.state == "synced" for row in scene.pushers["ns1"].status()), "synced", 30)
        for pusher in scene.pushers.values():
            await pusher.stop()

    watcher = threading.Thread(target=watch)
    with contextlib.ExitStack() as stack:
        for each in servers.values():
            stack.callback(each.stop)
            each.start()
        stack.callback(watcher.join)
        stack.callback(done.set)
        watcher.start()
        asyncio.run(main())
    assert [] == empty
