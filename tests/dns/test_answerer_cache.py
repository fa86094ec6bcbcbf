"""The answerer's caches: bounded, forgotten by name, and not to be filled with names that do not exist."""

import pytest

from node.dns import answerer_beside, answerer_cache, answerer_stats
from node.state.state import Changed
from node.zone.name import Name, from_text
from node.zone.rrset import RRset, make
from node.zone.zone import Replacement, with_changes
from tests.dns.tables import Twin, packet
from tests.dns.zones import zones

APEX = from_text("example.")


@pytest.fixture
def twin() -> Twin:
    """Build a table."""
    return Twin(
        zones(
            {
                "example.": "www A 192.0.2.1\nal CNAME www\nother A 192.0.2.3\nsub NS ns.sub\nns.sub A 192.0.2.9\n"
            }
        )
    )


def put(twin: Twin, rrset: RRset) -> None:
    """Change an RRset."""
    after = with_changes(twin.zones[APEX], [Replacement(rrset.name, rrset.type, rrset)], 2)
    twin.change({APEX: after}, Changed(names=((APEX, rrset.name), (APEX, APEX)), zones=(APEX,)))


def question(name: str, type_: int = 1) -> bytes:
    """Write a query."""
    return packet(from_text(name), type_)


def test_a_change_forgets_its_name_and_what_looked_at_it(twin: Twin) -> None:
    """The rest of a busy zone stays cached."""
    for name in ("www.example.", "al.example.", "other.example.") * 2:
        twin.answer(question(name))
    put(twin, make(from_text("www.example."), 1, 60, [b"\x0a\x00\x00\x01"]))
    known = twin.cache.shelf.whole
    assert question("other.example.")[2:] in known
    assert question("www.example.")[2:] not in known
    assert question("al.example.")[2:] not in known
    assert twin.allows(question("al.example."), twin.answer(question("al.example.")) or b"")


def test_a_new_serial_forgets_denials_only(twin: Twin) -> None:
    """A denial shows the SOA; an address does not."""
    for _ in range(3):
        twin.answer(question("no.example."))
        twin.answer(question("www.example.", 28))
        twin.answer(question("www.example."))
    put(twin, make(from_text("other.example."), 1, 60, [b"\x0a\x00\x00\x01"]))
    known = twin.cache.shelf.whole
    assert question("no.example.")[2:] not in known
    assert question("www.example.", 28)[2:] not in known
    assert question("www.example.")[2:] in known
    for query in (question("no.example."), question("www.example.", 28)):
        assert twin.expected(query, 1) == [twin.answer(query)]


def test_made_up_names_push_nothing_out(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A random-subdomain flood is answered without being kept."""
    monkeypatch.setattr(answerer_cache, "LOOSE_MAX", 50)
    for _ in range(2):
        twin.answer(question("www.example."))
    for number in range(1_000):
        query = question(f"n{number}.example.")
        assert 3 == (twin.answer(query) or bytes(4))[3] & 15
    assert question("www.example.")[2:] in twin.cache.shelf.whole
    assert len(twin.cache.shelf.whole) < 60


def test_the_caches_have_a_limit(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest answers make room, whatever is asked, twice or once, with any flags."""
    monkeypatch.setattr(answerer_cache, "EXACT_MAX", 20)
    monkeypatch.setattr(answerer_cache, "LOOSE_MAX", 20)
    for type_ in range(1, 120):
        for flags in range(16):
            for name in (Name(APEX), from_text("www.example."), from_text("x.sub.example.")):
                for _ in range(2):
                    twin.answer(packet(name, type_, flags=flags, edns=500 + type_ if flags % 2 else None))
    cache = twin.cache
    assert len(cache.shelf.whole) <= 40 * 6
    assert sum(len(kind.entries) for kind in (cache._plain, *cache._kinds.values())) <= 40
    assert len(cache._kinds) <= answerer_cache._KINDS_MAX


def test_overlooked_notices_forget_everything(twin: Twin) -> None:
    """A reader that was away for longer than the ring of notices is long starts anew."""
    twin.answer(question("other.example."))
    twin.answer(question("other.example."))
    for number in range(600):
        rrset = make(from_text("www.example."), 1, 60, [number.to_bytes(4, "big")])
        zone = with_changes(twin.zones[APEX], [Replacement(rrset.name, 1, rrset)], 2)
        twin.zones = {APEX: zone}
        twin.writer.publish(twin.zones, Changed(names=((APEX, rrset.name), (APEX, APEX)), zones=(APEX,)))
    twin.cache.catch_up()
    assert {} == twin.cache.shelf.whole
    assert twin.expected(question("www.example."), 1) == [twin.answer(question("www.example."))]


def test_counts_tell_type_and_rcode(twin: Twin) -> None:
    """One word counts an answer; a question known in another spelling is told apart from one looked up."""
    for name in ("www.example.", "WWW.example.", "www.EXAMPLE."):
        twin.cache.answer(packet(_spelled(name), 1))
    twin.cache.answer(question("no.example.", 28))
    line = twin.words.tolist()[: answerer_stats.LINE_WORDS]
    counted = {(type_, rcode): count for type_, rcode, count in answerer_stats.answers(line)}
    assert {("A", "NOERROR"): 3, ("AAAA", "NXDOMAIN"): 1} == counted
    assert (2, 2) == (line[answerer_stats.QUESTION_HITS], line[answerer_stats.MISSES])


def test_a_spelling_changes_nothing_but_the_question(twin: Twin) -> None:
    """Known or new, by name or by denial, the question comes back as it was written."""
    for name, type_ in (("www.example.", 1), ("no.example.", 1), ("www.example.", 28), ("x.sub.example.", 1)):
        for _ in range(2):
            for text in (name, name.upper(), name.title()):
                query = packet(_spelled(text), type_, edns=1232)
                for _ in range(3):
                    assert twin.allows(query, twin.answer(query) or b"")
    assert twin.cache.shelf.tails


def test_what_differs_beside_the_name_is_another_question(twin: Twin) -> None:
    """Types 65 and 97, and sizes of 0x4141 and 0x6161 octets, are the same in lower case and nowhere else."""
    put(twin, make(from_text("www.example."), 97, 60, [b"data"]))
    for _ in range(3):
        for name in ("www.example.", "WWW.example.", "No.example."):
            for type_ in (97, 65):
                for edns in (None, 0x4141, 0x6161):
                    query = packet(_spelled(name), type_, edns=edns)
                    assert twin.expected(query, 1) == [twin.answer(query)]


def test_made_up_names_are_answered_without_a_look_at_the_zone(twin: Twin) -> None:
    """But for whether they exist by now, which needs no notice."""
    query = question("n7.example.")
    assert twin.answer(question("n1.example."))
    misses = twin.cache.line[answerer_stats.MISSES]
    assert twin.expected(query, 1) == [twin.answer(query)]
    assert misses == twin.cache.line[answerer_stats.MISSES]
    rrset = make(from_text("n7.example."), 1, 60, [b"\x0a\x00\x00\x01"])
    after = with_changes(twin.zones[APEX], [Replacement(rrset.name, rrset.type, rrset)], 2)
    twin.zones = {APEX: after}
    twin.writer.publish(twin.zones, Changed(names=((APEX, rrset.name), (APEX, APEX)), zones=(APEX,)))
    assert twin.expected(query, 1) == [twin.answer(query)]


def test_an_end_that_a_denial_shares_is_no_model_for_others(twin: Twin) -> None:
    """Below a name of the SOA the same denial is shorter by compression."""
    for name in (
        "x.hostmaster.example.",
        "x.hostmistre.example.",
        "hostmaster.example.",
        "hostmistre.example.",
    ):
        for _ in range(2):
            assert twin.expected(question(name), 1) == [twin.answer(question(name))]


@pytest.mark.parametrize(
    "labels", [b"\x00\x03abc", b"\x01a\x00\x01b", b"\x44" + b"a" * 68, b"\xc0" + b"a" * 192]
)
def test_what_is_no_name_is_not_like_others(twin: Twin, labels: bytes) -> None:
    """An empty label, or one that is too long, where a made-up name of the same length has some."""
    made_up = b""
    while len(labels) > len(made_up):
        octets = min(len(labels) - len(made_up) - 1, 50)
        made_up += bytes((octets,)) + b"x" * octets
    assert twin.answer(packet(Name(made_up + APEX), 1))
    assert twin.cache.ready(packet(Name(made_up + APEX), 1)[2:])
    query = packet(Name(labels + APEX), 1)
    assert twin.cache.ready(query[2:]) is None
    assert twin.answer(query) is None


def test_what_is_known_of_made_up_names_has_a_limit(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The odd ones start it anew."""
    monkeypatch.setattr(answerer_beside, "ANSWERS_MAX", 20)
    for number in range(200):
        query = packet(from_text(f"{'n' * (number % 60 + 1)}.example."), 1 + number % 7)
        assert twin.expected(query, 1) == [twin.answer(query)]
    assert 0 < len(twin.cache.beside._known) <= 20


def _spelled(name: str) -> bytes:
    """Write a name with its upper case."""
    return b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
