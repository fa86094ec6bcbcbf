"""NOTIFY: who is told, what, how often, and when not."""

import asyncio
from collections.abc import Awaitable, Callable

import dns.flags
import dns.message
import dns.opcode
import dns.tsig

from node.dns.listen import ListenAddress
from node.dns.notify import Notifier, NotifySettings, targets
from node.dns.tsig import Key
from node.zone.name import Name, from_text
from node.zone.zone import Zone
from tests.dns.log import KEYS
from tests.dns.test_server import until
from tests.dns.test_tsig import theirs
from tests.dns.zones import zones

ZONES = zones(
    {
        "example.": "@ NS ns2\n@ NS ns.other.\n@ NS ns.elsewhere.\nns2 A 192.0.2.2\nns2 AAAA 2001:db8::2\n",
        "other.": "ns A 192.0.2.3\n",
    }
)
EXAMPLE = from_text("example.")


def test_name_servers_are_told_but_for_the_first_and_ourselves() -> None:
    """The NS but the one in the SOA (RFC 1996 section 2.3), where we know their addresses; and the configured."""
    settings = NotifySettings(also=("203.0.113.53:5353",), own_addresses=frozenset({"192.0.2.3"}))
    assert {
        ListenAddress("203.0.113.53", 5353),
        ListenAddress("192.0.2.2", 53),
        ListenAddress("2001:db8::2", 53),
    } == set(targets(ZONES, ZONES[EXAMPLE], settings))
    alone = NotifySettings(name_servers=False)
    assert () == targets(ZONES, ZONES[EXAMPLE], alone)


class Secondary(asyncio.DatagramProtocol):
    """Hears notifications, and answers all but the first ``deaf`` of them."""

    def __init__(self, deaf: int = 0) -> None:
        self.deaf = deaf
        self.heard: list[dns.message.Message] = []
        self.packets: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.packets.append(data)
        self.heard.append(dns.message.from_wire(data, keyring=False))
        if len(self.heard) > self.deaf:
            self.transport.sendto(data[:2] + bytes((data[2] | 0x80,)) + data[3:], addr)  # type: ignore[attr-defined]


def tell(
    test: Callable[[Notifier, Secondary], Awaitable[None]],
    *,
    deaf: int = 0,
    is_leader: bool = True,
    where: dict[Name, Zone] | None = None,
    key: Key | None = None,
    **settings: object,
) -> None:
    """Run a test with a secondary on loopback and a notifier for it."""

    async def run() -> None:
        secondary = Secondary(deaf)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: secondary, local_addr=("127.0.0.1", 0)
        )
        port = transport.get_extra_info("sockname")[1]
        if key is not None:
            settings["keys"] = {ListenAddress("127.0.0.1", port): key}
        chosen = NotifySettings(
            also=(f"127.0.0.1:{port}",),
            name_servers=False,
            first_wait_s=0.05,
            **settings,  # type: ignore[arg-type]
        )
        notifier = Notifier(chosen, lambda: ZONES if where is None else where, lambda: is_leader)
        try:
            async with asyncio.timeout(30):
                await test(notifier, secondary)
        finally:
            await notifier.stop()
            transport.close()

    asyncio.run(run())


def test_a_notification_carries_the_soa() -> None:
    """Opcode NOTIFY, AA, the zone's SOA as question and answer (RFC 1996 section 3)."""

    async def test(notifier: Notifier, secondary: Secondary) -> None:
        notifier.zones_changed([EXAMPLE])
        await until(lambda: not notifier._flights)
        (message,) = secondary.heard
        assert (dns.opcode.NOTIFY, dns.flags.AA) == (message.opcode(), message.flags & dns.flags.AA)
        assert "example." == str(message.question[0].name)
        assert ZONES[EXAMPLE].serial == message.answer[0][0].serial

    tell(test)


def test_it_is_repeated_until_it_is_heard() -> None:
    """A lost notification is sent again (RFC 1996 section 3.6)."""

    async def test(notifier: Notifier, secondary: Secondary) -> None:
        notifier.zones_changed([EXAMPLE])
        await until(lambda: not notifier._flights)
        assert 3 == len(secondary.heard)

    tell(test, deaf=2)


def test_it_gives_up_in_the_end() -> None:
    """No more than the tries."""

    async def test(notifier: Notifier, secondary: Secondary) -> None:
        notifier.zones_changed([EXAMPLE])
        await until(lambda: not notifier._flights)
        assert 2 == len(secondary.heard)

    tell(test, deaf=99, tries=2)


def test_many_changes_at_once_are_few_notifications() -> None:
    """What changes while one is on its way is told once, after it."""

    async def test(notifier: Notifier, secondary: Secondary) -> None:
        for _ in range(100):
            notifier.zones_changed([EXAMPLE])
        await until(lambda: not notifier._flights)
        assert 2 == len(secondary.heard)

    tell(test)


def test_only_the_leader_tells_and_a_new_one_tells_all() -> None:
    """Its predecessor may have died before it could."""

    async def silent(notifier: Notifier, secondary: Secondary) -> None:
        notifier.became_leader()
        assert {} == notifier._flights

    async def all_zones(notifier: Notifier, secondary: Secondary) -> None:
        notifier.became_leader()
        await until(lambda: not notifier._flights)
        assert {"example.", "other."} == {str(message.question[0].name) for message in secondary.heard}

    tell(silent, is_leader=False)
    tell(all_zones)


def test_a_notification_can_be_signed() -> None:
    """With the key that the secondary knows (RFC 8945)."""

    async def test(notifier: Notifier, secondary: Secondary) -> None:
        notifier.zones_changed([EXAMPLE])
        await until(lambda: not notifier._flights)
        key = theirs(KEYS[from_text("xfr")])
        assert dns.message.from_wire(secondary.packets[0], keyring=key).had_tsig

    tell(test, key=KEYS[from_text("xfr")])


def test_all_is_said_once_more_after_a_while() -> None:
    """A secondary that took a newer serial than the notified one for a fault hears again, and only once."""

    async def test(notifier: Notifier, secondary: Secondary) -> None:
        notifier.zones_changed([EXAMPLE])
        await until(lambda: len(secondary.heard) == 2)
        await until(lambda: not notifier._flights)
        assert {} == notifier._reminders

    tell(test, reminder_s=0.05)


def test_a_change_takes_the_place_of_a_reminder() -> None:
    """What has been said anew need not be said a third time for the first."""

    async def test(notifier: Notifier, secondary: Secondary) -> None:
        for _ in range(2):
            notifier.zones_changed([EXAMPLE])
            await until(lambda: not notifier._flights)
        assert 1 == len(notifier._reminders)

    tell(test, reminder_s=60)


def test_a_deaf_target_does_not_keep_the_others_waiting() -> None:
    """It fills its own places only."""
    many = zones({f"z{number}.": "@ TXT x\n" for number in range(40)})

    async def run() -> None:
        loop = asyncio.get_running_loop()
        transports = [
            (await loop.create_datagram_endpoint(lambda each=each: each, local_addr=("127.0.0.1", 0)))[0]
            for each in (deaf, good)
        ]
        also = tuple(f"127.0.0.1:{each.get_extra_info('sockname')[1]}" for each in transports)
        settings = NotifySettings(also, name_servers=False, first_wait_s=60, flights_max=24, flights_each_max=8)
        notifier = Notifier(settings, lambda: many, lambda: True)
        notifier.became_leader()
        async with asyncio.timeout(30):
            await until(lambda: len(good.heard) == 40)
        assert 8 == len(deaf.heard)
        await notifier.stop()
        for each in transports:
            each.close()

    deaf, good = Secondary(10_000), Secondary()
    asyncio.run(run())
