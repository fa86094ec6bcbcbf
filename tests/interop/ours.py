"""Our own server in a thread, for tests that ask it as they ask the others."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from node.dns.listen import read_address
from node.dns.respond import RespondSettings, View
from node.dns.server import DnsServer, DnsSettings, Proposer
from node.zone.master_file import parse
from node.zone.name import Name, from_text
from node.zone.zone import Zone, new_zone


def load(zones: Mapping[str, Path]) -> dict[Name, Zone]:
    """Read master files by origin."""
    loaded = {}
    for origin, path in zones.items():
        name = from_text(origin)
        contents = parse(path.read_text(), name, 300)
        soa = next(rrset for rrset in contents.rrsets if rrset.type == 6)
        serial = int.from_bytes(soa.rdatas[0][-20:-16], "big")
        loaded[name] = new_zone(name, contents.rrsets, 1, serial=serial)
    return loaded


class Ours:
    """A running server of ours; ``port`` on 127.0.0.1."""

    def __init__(
        self,
        shown: Callable[[], View] | Mapping[Name, Zone],
        settings: DnsSettings | None = None,
        propose: Proposer | None = None,
    ) -> None:
        if isinstance(shown, Mapping):
            fixed = View(shown, ready=True, node="ns1", settings=RespondSettings(version="quorumdns"))
            self.shown: Callable[[], View] = lambda: fixed
        else:
            self.shown = shown
        self.settings = settings or DnsSettings(("127.0.0.1:0",))
        self.propose = propose
        self.port = 0
        self.loop = asyncio.new_event_loop()
        self.server: DnsServer | None = None

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

        async def start() -> None:
            self.server = DnsServer(self.settings, self.shown, self.propose)
            await self.server.start()

        asyncio.run_coroutine_threadsafe(start(), self.loop).result(10)
        assert self.server is not None
        self.port = read_address(self.server.addresses[0]).port
        return self

    def call(self, function: Callable[[], None]) -> None:
        """Call a function in the server's loop and wait for it."""

        async def run() -> None:
            function()

        asyncio.run_coroutine_threadsafe(run(), self.loop).result(30)

    def __exit__(self, *_: object) -> None:
        assert self.server is not None
        asyncio.run_coroutine_threadsafe(self.server.stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()
