"""The serving table answers with the very octets that ``respond`` gives, whatever the zones and their history."""

import random
import struct
from collections.abc import Iterable
from itertools import combinations
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.dns import answerer_stats as stats
from node.dns import table_layout as layout
from node.dns.table_render import RenderedNode, Renderer, Zones
from node.dns.table_writer import TableWriter
from node.state.state import Changed
from node.zone.name import Name, from_text, iter_ancestors
from node.zone.rrset import RRset, make, type_from_text
from node.zone.zone import Replacement, Zone, new_zone, with_changes
from tests.dns.tables import Twin, packet, refusal
from tests.dns.zones import zones

pytestmark = pytest.mark.usefixtures("reader")

A, NS, CNAME, SOA, MX, TXT, AAAA, SRV, DNAME, DS, RRSIG, NSEC, HTTPS, ANY = (
    1,
    2,
    5,
    6,
    15,
    16,
    28,
    33,
    39,
    43,
    46,
    47,
    65,
    255,
)
ORIGINS = ("example.", "sub.example.", "other.")
LABELS = ("a", "b", "ns1", "*")


def names_under(origin: str) -> list[Name]:
    """List names of up to three labels below an origin, and the origin."""
    shorter = [origin]
    for _ in range(3):
        shorter += [f"{label}.{name}" for label in LABELS for name in shorter[-(len(LABELS) ** 2) :]]
    return [from_text(name) for name in dict.fromkeys(shorter)][:40]


NAMES = {origin: names_under(origin) for origin in ORIGINS}
TARGETS = [name for origin in ORIGINS for name in NAMES[origin][:14]] + [from_text("out.side.")]


def soa(origin: Name, number: int = 0) -> RRset:
    """Build an SOA; its names may or may not exist."""
    mname = from_text("ns1." if not number else "a.b.", None)[:-1] + origin
    return make(
        origin,
        SOA,
        300 + number,
        [mname + b"\x0ahostmaster" + origin + bytes(4) + (60 + number).to_bytes(16, "big")],
    )


@st.composite
def rrsets(draw: st.DrawFn, origin: str) -> RRset:
    """Draw an RRset at a name of the zone."""
    name = draw(st.sampled_from(NAMES[origin]))
    targets = st.lists(st.sampled_from(TARGETS), min_size=1, max_size=3, unique=True)
    match draw(st.sampled_from([A, A, AAAA, NS, CNAME, CNAME, MX, TXT, SRV, DNAME, DS, RRSIG, NSEC, HTTPS])):
        case 1 | 28 as type_:
            width = 4 if type_ == A else 16
            rdatas = [bytes((number,)) * width for number in range(draw(st.integers(1, 4)))]
        case 2 | 5 | 39 as type_:
            rdatas = list(map(bytes, draw(targets)))[: 3 if type_ == NS else 1]
        case 15 as type_:
            rdatas = [b"\x00\x01" + target for target in draw(targets)]
        case 33 as type_:
            rdatas = [bytes(6) + target for target in draw(targets)]
        case 65 as type_:
            rdatas = [
                draw(st.sampled_from([b"\x00\x00", b"\x00\x01"])) + draw(st.sampled_from([b"\x00", *TARGETS]))
            ]
        case 46 as type_:
            rdatas = [b"\x00\x01" + bytes(16) + from_text(origin) + b"signature"]
        case 47 as type_:
            rdatas = [from_text(origin) + b"\x00\x01\x40"]
        case type_:
            rdatas = (
                [b"\x3f" + b"x" * 63] * 1
                if draw(st.booleans())
                else [bytes((200,)) + b"y" * 200 + bytes((n,)) for n in range(8)]
            )
    rrset = make(name, type_, draw(st.sampled_from([60, 300])), rdatas)
    return RRset(rrset.name, rrset.type, rrset.ttl, rrset.rdatas, "", draw(st.integers(0, 9)) == 0)


@st.composite
def some_zones(draw: st.DrawFn) -> dict[Name, Zone]:
    """Draw up to three zones, one inside another."""
    found = {}
    for origin in ORIGINS:
        if origin == "example." or draw(st.booleans()):
            apex = from_text(origin)
            drawn = draw(st.lists(rrsets(origin), max_size=12))
            found[apex] = new_zone(apex, list(accumulated([soa(apex), *drawn])), 1)
    return found


def accumulated(drawn: Iterable[RRset]) -> Iterable[RRset]:
    """Leave out what no zone takes: a CNAME beside other data (RFC 2181 section 10.1)."""
    there: dict[Name, set[int]] = {}
    for rrset in drawn:
        types = there.setdefault(rrset.name, set())
        if may_stand(rrset.type, types):
            types.add(rrset.type)
            yield rrset


def may_stand(type_: int, beside: Iterable[int]) -> bool:
    """Say whether a type may come to a name that has these."""
    others = {*beside, type_} - {CNAME, RRSIG, NSEC}
    return not others or CNAME not in (*beside, type_)


def questions(seed: int, count: int) -> Iterable[bytes]:
    """Write queries for names that exist, lie beside, below or elsewhere, in any case, with and without EDNS."""
    chance = random.Random(seed)
    for _ in range(count):
        name: bytes = chance.choice(TARGETS + NAMES["example."] + NAMES["sub.example."] + NAMES["other."])
        for _ in range(chance.choice([0, 0, 1, 2])):
            label = chance.choice(
                [
                    b"a",
                    b"b",
                    b"zz",
                    b"yy",
                    b"ns1",
                    b"ns7",
                    b"hostmaster",
                    b"hostmistre",
                    b"*",
                    b"\x00\xff",
                    b"x" * 40,
                ]
            )
            name = bytes((len(label),)) + label + name
        if chance.random() < 0.4:
            name = bytes(chance.choice((octet, *bytes((octet,)).upper())) for octet in name)
        type_ = chance.choice(
            [A, A, AAAA, NS, CNAME, SOA, MX, TXT, SRV, DNAME, DS, RRSIG, ANY, HTTPS, HTTPS, 97, 99, 252]
        )
        edns = chance.choice([None, None, 0, 512, 700, 1232, 4096])
        yield packet(
            name[-255:] if len(name) <= 255 else b"\x00",
            type_,
            edns=edns,
            dnssec=edns is not None and chance.random() < 0.4,
            flags=chance.choice([0, 0x0100, 0x0010, 0x0130]),
        )


def check(twin: Twin, seed: int, count: int = 60) -> int:
    """Ask the same of both; return how much of it the table answered."""
    answered = 0
    for query in questions(seed, count):
        got = twin.answer(query)
        if got is not None:
            answered += 1
            again = twin.answer(query) or b""
            for each in {got, again, twin.answer(query) or b""}:
                assert twin.allows(query, each), (query, each, twin.expected(query))
    return answered


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(some_zones(), st.integers(0, 10**6))
def test_the_table_answers_as_respond_does(where: dict[Name, Zone], seed: int) -> None:
    """Rendered ahead or on the spot, an answer has the same octets."""
    twin = Twin(where)
    check(twin, seed)


@st.composite
def histories(draw: st.DrawFn) -> tuple[dict[Name, Zone], list[list[tuple[str, RRset, int]]]]:
    """Draw zones and what is done to them."""
    steps = []
    for _ in range(draw(st.integers(1, 5))):
        changes = []
        for _ in range(draw(st.integers(1, 3))):
            origin = draw(st.sampled_from(ORIGINS))
            kind = draw(st.integers(0, 9))
            rrset = draw(rrsets(origin))
            changes.append((origin, rrset, kind))
        steps.append(changes)
    return draw(some_zones()), steps


def changed_by(
    where: dict[Name, Zone], changes: list[tuple[str, RRset, int]], index: int
) -> tuple[dict[Name, Zone], Changed]:
    """Apply changes as the state machine would, and say what they touched."""
    after = dict(where)
    names: dict[tuple[Name, Name], None] = {}
    touched: dict[Name, None] = {}
    for origin, rrset, kind in changes:
        apex = from_text(origin)
        touched[apex] = None
        if apex not in after:
            after[apex] = new_zone(apex, list(accumulated([soa(apex), rrset])), index)
            continue
        if kind == 0:
            del after[apex]
            continue
        replacement = Replacement(rrset.name, rrset.type, None if kind in (1, 2, 3) else rrset)
        if kind == 4:
            replacement = Replacement(apex, SOA, soa(apex, index))
        if kind == 5 and after[apex].node(rrset.name):
            first = after[apex].nodes[rrset.name].rrsets[:1]
            replacement = Replacement(rrset.name, first[0].type, None) if first else replacement
        before, node = after[apex], after[apex].node(replacement.name)
        there = [] if node is None or replacement.rrset is None else [each.type for each in node.rrsets]
        if not may_stand(replacement.type, there):
            continue
        after[apex] = with_changes(before, [replacement], index)
        if after[apex] is not before:
            delta = after[apex].history[-1]
            names.update({(apex, each.name): None for each in (*delta.removed, *delta.added)})
    return after, Changed(names=tuple(names), zones=tuple(touched))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(), st.integers(0, 10**6))
def test_changes_reach_every_answer_they_alter(
    history: tuple[dict[Name, Zone], list[list[tuple[str, RRset, int]]]], seed: int
) -> None:
    """After any history the table is as one built from the zones at once, also where answers were cached."""
    where, steps = history
    twin = Twin(where)
    check(twin, seed, 40)
    for number, changes in enumerate(steps):
        where, changed = changed_by(where, changes, number + 2)
        twin.change(where, changed if number % 3 else None if number else changed)
        check(twin, seed, 40)
        check(twin, seed + number + 1, 20)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    "parent",
    [
        "sub NS ns.sub\nsub NS ns.other.\nns.sub A 192.0.2.9\n",
        "sub CNAME www\na.sub A 192.0.2.7\n*.w.sub CNAME www\n",
    ],
)
def test_a_zone_above_answers_again_when_the_one_below_is_deleted(parent: str, whole: bool) -> None:
    """Nothing of the deleted zone is left in what the zone above says of its names."""
    where = zones(
        {"example.": f"{parent}www A 192.0.2.5\n", "sub.example.": "ns A 192.0.2.9\nwww A 192.0.2.1\n"}
    )
    above, below = from_text("example."), from_text("sub.example.")
    twin = Twin({above: where[above]})
    twin.change(where, Changed(zones=(below,)))
    twin.change({above: where[above]}, None if whole else Changed(zones=(below,)))
    for question in ("sub", "www.sub", "a.sub", "q.w.sub", "nope.sub"):
        for type_ in (A, AAAA, NS, SOA):
            asked = packet(from_text(f"{question}.example."), type_)
            assert twin.answer(asked) in (None, *twin.expected(asked))


def test_a_renaming_elsewhere_is_followed_when_it_changes() -> None:
    """An alias leads through the top of another zone, which renames all that is below it."""
    where = zones(
        {
            "new.": "www A 192.0.2.1\n",
            "newer.": "www A 192.0.2.2\n",
            "old.": "@ DNAME new.\n",
            "other.": "c CNAME www.old.\n",
        }
    )
    twin, apex, asked = Twin(where), from_text("old."), packet(from_text("c.other."), A)
    assert twin.answer(asked) in twin.expected(asked)
    renaming = Replacement(apex, DNAME, make(apex, DNAME, 300, [from_text("newer.")]))
    where[apex] = with_changes(where[apex], [renaming], 2)
    twin.change(where, Changed(names=((apex, apex),), zones=(apex,)))
    assert twin.answer(asked) in twin.expected(asked)


def test_a_wildcard_above_a_name_may_answer_for_its_target() -> None:
    """A name below an asterisk label hangs on that label's records too, when its alias leads there."""
    twin = Twin(zones({"example.": "a.a.* CNAME b.b\n"}))
    query, apex, wildcard = (
        packet(from_text("a.a.*.example."), A),
        from_text("example."),
        from_text("*.example."),
    )
    assert twin.expected(query, 1) == [twin.answer(query)]
    after = with_changes(twin.zones[apex], [Replacement(wildcard, A, make(wildcard, A, 60, [b"1234"]))], 2)
    twin.change({apex: after}, Changed(names=((apex, wildcard), (apex, apex)), zones=(apex,)))
    assert twin.expected(query, 1) == [twin.answer(query)]


PLAIN = {
    "example.": "www A 192.0.2.1\nwww A 192.0.2.2\nwww A 192.0.2.3\nal CNAME www\nfar CNAME host.other.\nmx MX 1 www\n"
    "sub NS ns.sub\nns.sub A 192.0.2.9\n*.wild A 192.0.2.7\n*.wild TXT hello\n*.alias CNAME www\nent.a.b A 192.0.2.8\n"
    '_srv._tcp SRV 0 0 1 www\nbig TXT "' + "x" * 250 + '" "' + "y" * 250 + '" "' + "z" * 250 + '"\n',
    "other.": "host A 192.0.2.4\n",
}


@pytest.mark.parametrize(
    "question",
    [
        "www.example. A",
        "www.example. AAAA",
        "www.example. ANY",
        "ns1.example. AAAA",
        "nothing.example. A",
        "hostmaster.example. A",
        "x.hostmaster.example. A",
        "deep.down.nothing.example. TXT",
        "example. SOA",
        "example. NS",
        "example. A",
        "al.example. A",
        "al.example. AAAA",
        "al.example. CNAME",
        "al.example. HTTPS",
        "al.example. ANY",
        "far.example. A",
        "far.example. MX",
        "mx.example. MX",
        "sub.example. A",
        "x.sub.example. A",
        "ns.sub.example. A",
        "sub.example. DS",
        "x.wild.example. A",
        "x.y.wild.example. TXT",
        "x.wild.example. AAAA",
        "*.wild.example. A",
        "x.alias.example. A",
        "x.alias.example. HTTPS",
        "b.example. A",
        "_srv._tcp.example. SRV",
        "big.example. TXT",
        "outside. A",
        ". NS",
    ],
)
@pytest.mark.parametrize("edns", [None, 512, 1232, 4096])
def test_plain_questions_are_never_handed_up(question: str, edns: int | None) -> None:
    """What a zone usually holds is answered without the control process, denials, wildcards and referrals too."""
    twin = Twin(zones(PLAIN))
    name, type_ = question.split()
    query = packet(from_text(name), type_from_text(type_), edns=edns, dnssec=edns == 4096)
    assert twin.answer(query) in twin.expected(query)
    assert twin.native is None or twin.cache.line[stats.NATIVE] == (type_ != "DS")


def test_a_reader_between_two_looks_does_not_take_a_rebuilt_zone_for_an_empty_one() -> None:
    """Its names are gone under the number that the reader still knows: it hands up until it has looked again."""
    twin = Twin(zones({"example.": "www A 192.0.2.1\nother A 192.0.2.2\n"}))
    assert twin.answer(packet(from_text("www.example."), A)) is not None
    query, apex = packet(from_text("other.example."), A), from_text("example.")
    before = twin.expected(query)
    words = twin.writer.heap.words
    words[layout.READER_WORD] = words[layout.WORD_EPOCH]
    signature = b"\0\1\x0d\2\0\0\0\x3c\x7f\xff\xff\xff\0\0\0\0\0\1" + apex + b"signature"
    signed = Replacement(apex, RRSIG, make(apex, RRSIG, 60, [signature]))
    twin.zones = {apex: with_changes(twin.zones[apex], [signed], 2)}
    twin.writer.publish(twin.zones, None)
    assert twin.answer(query) in (None, *before)
    twin.cache.catch_up()
    assert twin.answer(query) in (None, *twin.expected(query))


@pytest.mark.parametrize("broken", ["www", "sub", "*.wild", "b", ""])
def test_a_name_that_cannot_be_rendered_is_handed_up_alone(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the renderer stumbles over, now or after a change, others are answered and it is not answered wrongly."""
    apex = from_text("example.")
    name = from_text(f"{broken}.example.") if broken else apex
    real, real_row = Renderer.node, Renderer.zone

    def node(self: Renderer, zones_: Zones, number: int, zone: Zone, each: Name) -> RenderedNode | None:
        if each == name:
            raise struct.error("a field is too small")
        return real(self, zones_, number, zone, each)

    def row(self: Renderer, number: int, zone: Zone) -> bytes:
        if zone.name == name:
            raise ValueError("no denial")
        return real_row(self, number, zone)

    monkeypatch.setattr(Renderer, "node", node)
    monkeypatch.setattr(Renderer, "zone", row)
    twin = Twin(zones(PLAIN))
    for number in range(2):
        texts = ("mx", "al", "www", "sub", "x.sub", "x.wild", "a.b", "b", "no", "x.alias")
        answered = {text for text in texts for type_ in (A, MX) if ask(twin, f"{text}.example.", type_)}
        expected = {"": set(), "sub": {"sub", "x.sub"}, "*.wild": {"x.wild"}, "www": {"www"}, "b": {"b"}}[
            broken
        ]
        assert (set(texts) - expected if broken else set()) == answered
        changed = [Replacement(name, TXT, make(name, TXT, 60, [b"\x01x"]))]
        twin.change(
            {**twin.zones, apex: with_changes(twin.zones[apex], changed, number + 2)},
            Changed(names=((apex, name), (apex, apex)), zones=(apex,)),
        )


def test_an_answer_that_can_no_longer_be_rendered_is_handed_up_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it was made from is not known then, so nothing of it may stay, whatever changes where it led."""
    apex, alias, www = (from_text(each) for each in ("example.", "al.example.", "www.example."))
    twin = Twin(zones({"example.": "www A 192.0.2.1\nal CNAME www\n"}))
    real = Renderer.node

    def node(self: Renderer, zones_: Zones, number: int, zone: Zone, each: Name) -> RenderedNode | None:
        if each == alias:
            raise struct.error("a field is too small")
        return real(self, zones_, number, zone, each)

    def move(last: int) -> None:
        fresh = Replacement(www, A, make(www, A, 60, [bytes((192, 0, 2, last))]))
        twin.change(
            {apex: with_changes(twin.zones[apex], [fresh], last)},
            Changed(names=((apex, www), (apex, apex)), zones=(apex,)),
        )

    assert [ask(twin, "al.example.", A) for _ in range(3)] == [True] * 3
    monkeypatch.setattr(Renderer, "node", node)
    for last in (2, 3):
        move(last)
        assert [ask(twin, "al.example.", A) for _ in range(3)] == [False] * 3
    monkeypatch.setattr(Renderer, "node", real)
    move(4)
    assert not ask(twin, "al.example.", A)
    assert ask(twin, "www.example.", A)
    fresh = Replacement(alias, TXT, make(alias, TXT, 60, [b"\x01x"]))
    changed = Changed(names=((apex, alias), (apex, apex)), zones=(apex,))
    twin.change({apex: with_changes(twin.zones[apex], [fresh], 5)}, changed)
    assert ask(twin, "al.example.", A)
    move(6)
    assert ask(twin, "al.example.", A)


def ask(twin: Twin, name: str, type_: int) -> bool:
    """Say whether the table answers, and see to it that it says what ``respond`` does."""
    query = packet(from_text(name), type_)
    answer = twin.answer(query)
    assert answer is None or twin.allows(query, answer)
    return answer is not None


@pytest.mark.parametrize("count", [255, 256, 257])
def test_any_number_of_addresses_can_be_prepared(count: int) -> None:
    """No name that can be written keeps the others out of the table."""
    lines = "".join(f"www A 10.0.{number >> 8}.{number & 255}\n" for number in range(count))
    writer = TableWriter(4096, refusal)
    writer.publish(zones({"example.": lines}), None)
    assert writer.nodes > 1


def test_addresses_take_turns() -> None:
    """The records of an address RRset come first in turn, from both caches."""
    twin = Twin(zones(PLAIN))
    query = packet(from_text("www.example."), A)
    expected = twin.expected(query, 6)
    got = [twin.answer(query) for _ in range(7)]
    first = expected.index(got[1] or b"")
    assert [expected[(first + number) % 3] for number in range(6)] == got[1:]
    assert 3 == len(set(got[1:]))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(some_zones())
def test_the_short_way_makes_the_same_block(where: dict[Name, Zone]) -> None:
    """A name that holds nothing but data gets the block that lookup and render would give it."""
    renderer = Renderer(1232, lambda zone: 4096)
    for zone in where.values():
        for name in zone.nodes:
            short = renderer.plain_node(7, zone, name)
            has_signed_parent = any(zone.get(above, RRSIG) for above in iter_ancestors(name))
            if short is not None and not has_signed_parent:  # which the long way takes for its own, to be safe
                assert renderer.any_node(where, 7, zone, name) == short


def of_one_hash(prefix: bytes, suffix: bytes, count: int) -> list[bytes]:
    """Make names of one length and one CRC-32: flipped letters add up, so 33 of them have a sum of nothing (by elimination)."""
    letters = 60

    def made(flips: int) -> bytes:
        return bytes((letters,)) + bytes(98 if flips >> bit & 1 else 97 for bit in range(letters)) + suffix

    plain = crc32(prefix + made(0))
    rows = [(crc32(prefix + made(1 << bit)) ^ plain, 1 << bit) for bit in range(letters)]
    nothing = []
    while rows:
        sum_, flips = rows.pop()
        if not sum_:
            nothing.append(flips)
            continue
        high = 1 << sum_.bit_length() - 1
        rows = [(other ^ sum_, bits ^ flips) if other & high else (other, bits) for other, bits in rows]
    chosen = [first ^ second for first, second in combinations(nothing, 2)]
    return [made(flips) for flips in chosen[:count]]


def test_names_of_one_hash_are_looked_through_once() -> None:
    """Whoever fills a zone with them makes no question cost more than one walk along them."""
    apex = from_text("example.")
    names = of_one_hash(b"\0" * 5, bytes(apex), 40)
    assert 1 == len({crc32(b"\0" * 5 + name) for name in names})
    zone = new_zone(apex, [soa(apex), *(make(Name(name), A, 60, [bytes(4)]) for name in names[1:])], 1)
    reader = Twin({apex: zone}).cache.reader
    reader.refresh()
    reader.see_slots()
    walks: list[bytes] = []
    real = reader._find
    reader._find = lambda key, name: (walks.append(name), real(key, name))[1]  # type: ignore[method-assign]
    key = reader.zones[bytes(apex)].key
    for name, is_missing in ((names[0], True), (names[1], False)):
        walks.clear()
        assert is_missing == reader.lacks(key, name, crc32(key + bytes((len(name),)) + name))
        assert [name] == walks
