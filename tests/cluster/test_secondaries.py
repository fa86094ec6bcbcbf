"""A real cluster as the primary of BIND, Knot and NSD, changed by UPDATE while its leader is killed."""

import contextlib
import itertools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.tsigkeyring
import dns.update
import dns.zone
import pytest

from tests.cluster.lab import Lab, why_not
from tests.cluster.nodes import DNS_PORT, Nodes, ask
from tests.cluster.secondaries import KINDS, Secondary
from tests.cluster.servers import TSIG_NAME, TSIG_SECRET, wait_until
from tests.cluster.three import three_nodes

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(300),
    pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}"),
    pytest.mark.skipif(any(kind.missing() for kind in KINDS), reason="named, knotd and nsd are needed"),
]

ZONE = "example.org."
CHANGES = 1000
KEYRING = dns.tsigkeyring.from_text({TSIG_NAME: ("hmac-sha256", TSIG_SECRET)})
PORT = 5303


@dataclass
class World:
    """A cluster and its secondaries."""

    nodes: Nodes
    secondaries: list[Secondary]

    def update(self, number: int, change: dns.update.UpdateMessage) -> bool:
        """Send an update to one node; say whether it was made."""
        with contextlib.suppress(OSError, EOFError, dns.exception.DNSException):
            answer = dns.query.tcp(change, Lab.address(number), port=DNS_PORT, timeout=3)
            return answer.rcode() == dns.rcode.NOERROR
        return False


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("secondaries")
    addresses = [Lab.extra(number) for number in (5, 6, 7)]
    listed = ", ".join(f'"{address}:{PORT}"' for address in addresses)
    dns_lines = f'allow_transfer = ["key:{TSIG_NAME}"]\nalso_notify = [{listed}]\n'
    grant = '"**.dyn.example.org", "_acme-challenge.*.example.org TXT", "*.host.example.org A"'
    with three_nodes(folder, dns=dns_lines, grant=grant) as nodes:
        primaries = [(Lab.address(number), DNS_PORT) for number in nodes.numbers]
        secondaries = [
            kind(folder / kind.program, address, PORT, "example.org", primaries)
            for kind, address in zip(KINDS, addresses, strict=True)
        ]
        try:
            for each in secondaries:
                each.start()
            yield World(nodes, secondaries)
        finally:
            for each in secondaries:
                each.stop()
                print(f"--- {each.program}", *each.log().splitlines()[-15:], sep="\n")


def serial(address: str, port: int) -> int | None:
    """Return the serial that a server answers."""
    found = ask(address, port, "example.org", "SOA")
    return int(next(iter(found)).split()[2]) if found else None


def whole(address: str, port: int) -> dns.zone.Zone:
    """Transfer the zone."""
    zone = dns.zone.Zone(ZONE)
    query = dns.message.make_query(ZONE, "AXFR")
    if port == DNS_PORT:
        query.use_tsig(KEYRING, TSIG_NAME)
    dns.query.inbound_xfr(address, zone, query=query, port=port, timeout=10)
    return zone


def followed(world: World, *numbers: int) -> bool:
    """Say whether all these nodes and all secondaries have one serial."""
    seen = {serial(Lab.address(number), DNS_PORT) for number in numbers or world.nodes.numbers}
    return len(seen | {serial(each.address, each.port) for each in world.secondaries}) == 1


def change(number: int) -> dns.update.UpdateMessage:
    """Change one address, and let one name come and an older one go."""
    message = dns.update.UpdateMessage(ZONE, keyring=KEYRING, keyname=TSIG_NAME)
    message.replace(f"h{number % 50}.dyn", 60, "A", f"192.0.2.{number % 250}")
    message.add(f"t{number}.dyn", 5, "TXT", f"number {number}")
    message.delete(f"t{number - 5}.dyn", "TXT")
    return message


def test_secondaries_follow_a_thousand_updates_while_the_leader_is_killed(world: World) -> None:
    """Every update goes to a node in its turn; in the end the nodes and the three servers hold one zone."""
    nodes = world.nodes
    wait_until(lambda: followed(world), "the first transfer", 30)
    here = set(nodes.numbers)
    killed: int | None = None
    turns = itertools.cycle(nodes.numbers)
    for number in range(CHANGES):
        if number == CHANGES // 2:
            killed = nodes.leader()
            assert killed is not None
            nodes.kill(killed)
            here.discard(killed)
        if number == CHANGES * 3 // 4:
            assert killed is not None
            nodes.start(killed)
            here.add(killed)
        message = change(number)
        wait_until(lambda m=message: world.update(next(n for n in turns if n in here), m), f"update {number}")
    assert killed is not None
    nodes.wait_ready(killed)
    wait_until(lambda: followed(world), "one serial everywhere", 60, every_s=0.2)
    expected = whole(Lab.address(1), DNS_PORT)
    assert 55 + 3 <= len(expected.nodes)
    for each in world.secondaries:
        assert expected == whole(each.address, each.port), each.program
    for each in nodes.numbers:
        assert expected == whole(Lab.address(each), DNS_PORT)
    assert all("IXFR" in each.log() for each in world.secondaries if each.program == "knotd")


def test_a_new_leader_tells_of_what_its_predecessor_could_not(world: World) -> None:
    """A change whose leader dies at once reaches the secondaries long before their refresh time."""
    nodes = world.nodes
    wait_until(lambda: followed(world), "one serial", 60, every_s=0.2)
    leader = nodes.leader()
    assert leader is not None
    others = [number for number in nodes.numbers if number != leader]
    message = change(5000)
    wait_until(lambda: world.update(others[0], message), "the update")
    nodes.kill(leader)
    seconds = wait_until(lambda: followed(world, *others), "one serial", 30, every_s=0.1)
    assert seconds < 25
    nodes.start(leader)
    nodes.wait_ready(leader)


@pytest.mark.parametrize("program", ["nsupdate", "knsupdate"])
def test_the_usual_tools_update_through_a_follower(program: str, world: World) -> None:
    """What the grant covers is changed on every node; the rest is refused, and nothing of it happens."""
    nodes = world.nodes
    leader = nodes.leader()
    follower = next(number for number in nodes.numbers if number != leader)
    name = f"{program}.host.example.org"
    key = f"hmac-sha256:{TSIG_NAME}:{TSIG_SECRET}"
    server = f"server {Lab.address(follower)} {DNS_PORT}\nzone {ZONE}\n"

    def run(lines: str) -> "subprocess.CompletedProcess[str]":
        words = [program, *(["-t", "10"] if program == "nsupdate" else ["-t", "5"]), "-y", key]
        text = server + lines + "send\n"
        return subprocess.run(words, input=text, check=False, capture_output=True, text=True, timeout=60)

    made = run(f"update add {name}. 60 A 192.0.2.77\n")
    assert made.returncode == 0, made.stderr
    wait_until(lambda: nodes.everywhere({"192.0.2.77"}, name=name), "all nodes answer it")
    refused = run(f"update add {name}. 60 A 192.0.2.78\nupdate add x.{name}. 60 A 192.0.2.78\n")
    assert refused.returncode != 0
    assert "REFUSED" in refused.stderr + refused.stdout
    assert nodes.everywhere({"192.0.2.77"}, name=name)
    sentence = f"no grant of the key {TSIG_NAME} covers x.{name}. A"
    assert sentence in nodes.log(follower)
    protected = run("update delete www.example.org. A\n")
    assert "REFUSED" in protected.stderr + protected.stdout
