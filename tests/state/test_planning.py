"""Plans: a cluster that was seeded by a file has no difference from it, and applying a plan leaves none."""

import random
import string
from pathlib import Path

import msgspec
import pytest

from node.config import loads
from node.health.service import Check, Endpoint, Service
from node.state.command import (
    AddRdatas,
    ChangeZone,
    Command,
    Entry,
    LeaseWish,
    Member,
    PutEndpoint,
    PutRRset,
    PutService,
    PutZone,
    Seed,
    Together,
    ZoneSettings,
)
from node.state.desired import BadDesired, Desired, decode, encode
from node.state.machine import apply_entry
from node.state.planning import make_plan
from node.state.pushes import PutTarget, Target
from node.state.state import Accepted, State
from node.zone.lease import LeaseKey
from node.zone.name import Name, from_text
from node.zone.rrset import TXT, A, RRset, make, rdata_from_text

ZONE = from_text("example.org")
SETTINGS = ZoneSettings((from_text("ns1.example.org"),), from_text("host.example.org"))
WWW = from_text("www.example.org")


def record(name: str, type_: int = A, *texts: str, ttl: int = 60) -> RRset:
    """Return an RRset of example.org."""
    owner = from_text(name, ZONE)
    return make(owner, type_, ttl, [rdata_from_text(type_, text, ZONE) for text in texts or ("192.0.2.1",)])


def service(name: str = "www", *addresses: str, **fields: object) -> Service:
    """Return a service of example.org."""
    endpoints = tuple(Endpoint(each) for each in addresses or ("192.0.2.10", "192.0.2.11"))
    return Service(from_text(name, ZONE), ZONE, Check("http", 80), endpoints, **fields)  # type: ignore[arg-type]


def after(state: State, *commands: Command, actor: str = "ci") -> State:
    """Return the State after these commands, all of which must be accepted."""
    for command in commands:
        applied = apply_entry(state, state.index + 1, Entry(command, 1_700_000_000_000, actor))
        assert isinstance(applied.result, Accepted), applied.result
        state = applied.state
    return state


FILE = Desired(
    (PutZone(ZONE, SETTINGS, (record("a"), record("mail", TXT, '"x"'))),),
    (service(),),
    (Target("knot", "rfc2136", "192.0.2.53:53", (ZONE,)),),
)
SEEDED = after(State(), Seed((Member("ns1"),), FILE.zones, FILE.services, FILE.targets))


def lines(state: State, desired: Desired, *, prune: bool = False) -> list[str]:
    """Return the differences as lines."""
    signs = {"added": "+", "removed": "-", "changed": "~", "left": "!"}
    found = make_plan(state, desired, prune=prune).differences
    return [" ".join(filter(None, (signs[each.change], each.kind, each.name, each.text))) for each in found]


def with_(**fields: object) -> Desired:
    """Return the file with other contents."""
    return msgspec.structs.replace(FILE, **fields)


def test_nothing_after_seeding() -> None:
    """What an empty cluster was seeded with is what the file says, also after votes and publishing."""
    assert [] == lines(SEEDED, FILE)
    assert () == make_plan(SEEDED, FILE).steps


def test_nothing_after_the_complete_file(tmp_path: Path) -> None:
    """Every key of a service, a zone and a target that a file can have survives the way through the log."""
    folder = Path("tests/config/data")
    for each in folder.iterdir():
        (tmp_path / each.name).write_bytes(each.read_bytes())
    environ = {"LOCAL_NODE": "ns3"}
    config = loads((folder / "complete.toml").read_text(), environ, base=tmp_path)
    desired = Desired(config.zones, config.services, config.targets)
    state = after(State(), config.seed())
    assert [] == lines(state, decode(encode(desired)).desired)


@pytest.mark.parametrize(
    ("desired", "expected"),
    [
        (
            with_(zones=(PutZone(ZONE, SETTINGS, (record("a", A, "192.0.2.2"), record("b"))),)),
            [
                "~ record a.example.org A 60 192.0.2.1 -> 60 192.0.2.2",
                "+ record b.example.org A 60 192.0.2.1",
                '- record mail.example.org TXT 60 "x"',
            ],
        ),
        (with_(zones=(PutZone(ZONE, SETTINGS),)), []),
        (
            with_(zones=(PutZone(ZONE, msgspec.structs.replace(SETTINGS, negative_ttl=9)),)),
            ["~ zone example.org negative_ttl 60 -> 9"],
        ),
        (
            with_(services=(service("www", "192.0.2.10", "192.0.2.12", ttl=10, rise=3),)),
            [
                "~ service www.example.org ttl 5 -> 10, rise 2 -> 3",
                "- endpoint www.example.org/192.0.2.11",
                "+ endpoint www.example.org/192.0.2.12",
            ],
        ),
        (
            with_(services=(service("www", "192.0.2.11", "192.0.2.10"),)),
            ["~ service www.example.org order of endpoints"],
        ),
        (
            with_(services=(msgspec.structs.replace(service(), check=Check("http", 80, method="HEAD")),)),
            ["~ service www.example.org options of check"],
        ),
        (
            with_(targets=(Target("knot", "rfc2136", "192.0.2.54:53", (ZONE,)),)),
            ["~ target knot server 192.0.2.53:53 -> 192.0.2.54:53"],
        ),
    ],
)  # fmt: skip
def test_what_differs(desired: Desired, expected: list[str]) -> None:
    """Each difference is one line, and applying leaves none."""
    assert expected == lines(SEEDED, desired)
    plan = make_plan(SEEDED, desired)
    if plan.steps:
        assert [] == lines(after(SEEDED, Together(plan.steps)), desired)


def test_what_the_file_does_not_name_is_left_or_goes() -> None:
    """Left alone it is told with who made it; pruning takes it away, services before their zone."""
    other = from_text("other.test")
    state = after(
        SEEDED,
        PutZone(other, SETTINGS, (make(from_text("x.other.test"), A, 5, [b"\x01\x02\x03\x04"]),)),
        PutService(msgspec.structs.replace(service(), fqdn=from_text("www.other.test"), zone=other)),
        PutTarget(Target("pdns", "powerdns", url="https://pdns.test")),
    )
    told = [
        "! service www.other.test created by ci",
        "! target pdns created by ci",
        "! zone other.test created by ci",
    ]
    assert told == lines(state, FILE)
    assert () == make_plan(state, FILE).steps
    plan = make_plan(state, FILE, prune=True)
    pruned = after(state, Together(plan.steps))
    assert [] == lines(pruned, FILE)
    assert set(SEEDED.zones) == set(pruned.zones)


def test_what_is_not_an_operators_stays() -> None:
    """A zone's file has no say on what a service publishes, what is leased, and challenges of ACME."""
    leased, below, challenge = record("leased"), record("x.dir"), record("_acme-challenge.www", TXT, '"token"')
    wishes = (
        LeaseWish(LeaseKey(ZONE, leased.name, A), 90),
        LeaseWish(LeaseKey(ZONE, from_text("dir", ZONE)), 90),
    )
    changes = (PutRRset(leased), PutRRset(below), PutRRset(challenge))
    assert [] == lines(after(SEEDED, ChangeZone(ZONE, changes, leases=wishes)), FILE)
    assert SEEDED.zones[ZONE].get(WWW, A) is not None


def test_who_was_faster_is_not_overwritten() -> None:
    """A record or a service that changed between the plan and the log makes all of it lose."""
    desired = with_(
        zones=(PutZone(ZONE, SETTINGS, (record("a", A, "192.0.2.2"),)),), services=(service(ttl=9),)
    )
    plan = Together(make_plan(SEEDED, desired).steps)
    for faster in (
        ChangeZone(ZONE, (AddRdatas(record("a", A, "192.0.2.3")),)),
        PutEndpoint(WWW, Endpoint("192.0.2.99")),
    ):
        state = after(SEEDED, faster)
        applied = apply_entry(state, state.index + 1, Entry(plan, 0))
        assert "precondition" == getattr(applied.result, "code", None)
        assert state.zones == applied.state.zones


def some(seed: int) -> Desired:
    """Return an arbitrary file on few names, so that two of them have much in common."""
    chance = random.Random(seed)
    names = string.ascii_lowercase[:6]
    records = tuple(
        record(name, A, f"192.0.2.{chance.randrange(3)}", ttl=chance.choice((5, 60)))
        for name in names
        if chance.random() < 0.6
    )
    services = tuple(
        service(
            f"s{name}",
            *(f"198.51.100.{n}" for n in range(1, chance.randrange(2, 5))),
            ttl=chance.randrange(1, 4),
        )
        for name in names
        if chance.random() < 0.5
    )
    fresh: Name = from_text("fresh.test")
    zones = (PutZone(ZONE, SETTINGS, records), *((PutZone(fresh, SETTINGS),) if chance.random() < 0.5 else ()))
    targets = (Target("t", "rfc2136", "192.0.2.53:53", (ZONE,)),) if chance.random() < 0.5 else ()
    return Desired(zones, services, targets)


@pytest.mark.parametrize("seed", range(60))
def test_applying_leaves_no_difference(seed: int) -> None:
    """From any file to any other, in one entry, with pruning; and without differences nothing is done."""
    before, wanted = some(seed), some(seed + 1000)
    state = after(State(), Seed((Member("ns1"),), before.zones, before.services, before.targets))
    plan = make_plan(state, wanted, prune=True)
    if plan.steps:
        state = after(state, Together(plan.steps))
    left = make_plan(state, wanted, prune=True)
    assert () == left.differences if wanted.zones[0].rrsets else True
    assert bool(plan.steps) == bool(plan.differences)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"shape":5}',
        encode(FILE)[:-1],
        encode(FILE).replace(b'"shape":"', b'"shape":"0'),
    ],
)
def test_other_octets_are_refused(octets: bytes) -> None:
    """What is not what this version writes is refused with a sentence."""
    with pytest.raises(BadDesired):
        decode(octets)


def test_unknown_keys_are_refused() -> None:
    """A key of another version is not lost without a word."""
    with pytest.raises(BadDesired):
        decode(encode(FILE)[:-1] + b',"more":1}')
