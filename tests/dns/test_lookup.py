"""Finding answers: a case is a question, what becomes of it, and the sections."""

import msgspec
import pytest

from node.dns.lookup import STEPS_MAX, Kind, lookup
from node.zone.name import from_labels, from_text
from node.zone.rrset import CNAME, DNAME, A, make
from node.zone.zone import Replacement, new_zone, with_changes
from tests.dns.zones import ask, lines, zone, zones

WORLD = zones(
    {
        "example.": """
www A 192.0.2.10
www A 192.0.2.11
www AAAA 2001:db8::10
mail MX 10 mx1
mail MX 20 mx.other.
mx1 A 192.0.2.25
_sip._tcp SRV 0 0 5060 sip
sip AAAA 2001:db8::5060
alias CNAME www
alias2 CNAME alias
out CNAME www.elsewhere.
over CNAME host.other.
gone CNAME nothing
into CNAME a.sub
loop1 CNAME loop2
loop2 CNAME loop1
self CNAME self
a.b.c TXT "deep"
*.wild A 192.0.2.77
*.wild TXT "any"
host.wild A 192.0.2.78
x.ent.wild A 192.0.2.79
*.cwild CNAME www
sub NS ns.sub
sub NS ns.other.
sub NS ns1
sub DS 12345 13 2 0000000000000000000000000000000000000000000000000000000000000000
ns.sub A 192.0.2.53
below.sub A 192.0.2.54
plain NS ns.plain
ns.plain AAAA 2001:db8::53
tree DNAME forest.other.
tree TXT "at the dname"
under.tree TXT "hidden"
inner DNAME wild
alone HTTPS 1 . alpn=h2
alone A 192.0.2.90
*.made HTTPS 1 . alpn=h2
*.made A 192.0.2.91
to-made CNAME x.made
svc SVCB 0 alone
""",
        "other.": "host A 198.51.100.1\nns A 198.51.100.53\nx.forest A 198.51.100.7\nmx A 198.51.100.25\n",
        "child.example.": "www A 203.0.113.1\n",
    }
)

SOA_EXAMPLE = ["example. SOA ns1.example. hostmaster.example. 1 7200 900 1209600 60"]

CASES = [
    ("www.example. A", Kind.ANSWER, ["www.example. A 192.0.2.10", "www.example. A 192.0.2.11"]),
    ("www.example. TXT", Kind.NODATA, []),
    ("b.c.example. A", Kind.NODATA, []),
    ("c.example. TXT", Kind.NODATA, []),
    ("nothing.example. A", Kind.NXDOMAIN, []),
    ("x.www.example. A", Kind.NXDOMAIN, []),
    ("alias.example. CNAME", Kind.ANSWER, ["alias.example. CNAME www.example."]),
    (
        "alias2.example. AAAA",
        Kind.ANSWER,
        [
            "alias.example. CNAME www.example.",
            "alias2.example. CNAME alias.example.",
            "www.example. AAAA 2001:db8::10",
        ],
    ),
    ("alias.example. TXT", Kind.NODATA, ["alias.example. CNAME www.example."]),
    ("out.example. A", Kind.ANSWER, ["out.example. CNAME www.elsewhere."]),
    ("over.example. A", Kind.ANSWER, ["host.other. A 198.51.100.1", "over.example. CNAME host.other."]),
    ("gone.example. A", Kind.NXDOMAIN, ["gone.example. CNAME nothing.example."]),
    (
        "loop1.example. A",
        Kind.ANSWER,
        ["loop1.example. CNAME loop2.example.", "loop2.example. CNAME loop1.example."],
    ),
    ("self.example. A", Kind.ANSWER, ["self.example. CNAME self.example."]),
    ("q.wild.example. A", Kind.ANSWER, ["q.wild.example. A 192.0.2.77"]),
    ("q.r.wild.example. A", Kind.ANSWER, ["q.r.wild.example. A 192.0.2.77"]),
    ("q.wild.example. MX", Kind.NODATA, []),
    ("*.wild.example. A", Kind.ANSWER, ["*.wild.example. A 192.0.2.77"]),
    ("host.wild.example. TXT", Kind.NODATA, []),
    ("q.host.wild.example. A", Kind.NXDOMAIN, []),
    ("ent.wild.example. A", Kind.NODATA, []),
    ("q.ent.wild.example. A", Kind.NXDOMAIN, []),
    ("wild.example. A", Kind.NODATA, []),
    (
        "q.cwild.example. AAAA",
        Kind.ANSWER,
        ["q.cwild.example. CNAME www.example.", "www.example. AAAA 2001:db8::10"],
    ),
    ("sub.example. A", Kind.REFERRAL, []),
    ("sub.example. NS", Kind.REFERRAL, []),
    ("below.sub.example. A", Kind.REFERRAL, []),
    ("ns.sub.example. A", Kind.REFERRAL, []),
    (
        "sub.example. DS",
        Kind.ANSWER,
        ["sub.example. DS 12345 13 2 0000000000000000000000000000000000000000000000000000000000000000"],
    ),
    ("plain.example. DS", Kind.NODATA, []),
    ("x.sub.example. DS", Kind.REFERRAL, []),
    ("into.example. A", Kind.REFERRAL, ["into.example. CNAME a.sub.example."]),
    (
        "x.tree.example. A",
        Kind.ANSWER,
        [
            "tree.example. DNAME forest.other.",
            "x.forest.other. A 198.51.100.7",
            "x.tree.example. CNAME x.forest.other.",
        ],
    ),
    (
        "y.tree.example. A",
        Kind.NXDOMAIN,
        ["tree.example. DNAME forest.other.", "y.tree.example. CNAME y.forest.other."],
    ),
    (
        "under.tree.example. TXT",
        Kind.NXDOMAIN,
        ["tree.example. DNAME forest.other.", "under.tree.example. CNAME under.forest.other."],
    ),
    ("tree.example. TXT", Kind.ANSWER, ['tree.example. TXT "at the dname"']),
    ("tree.example. A", Kind.NODATA, []),
    ("tree.example. DNAME", Kind.ANSWER, ["tree.example. DNAME forest.other."]),
    ("www.child.example. A", Kind.ANSWER, ["www.child.example. A 203.0.113.1"]),
    ("child.example. DS", Kind.NODATA, []),
    ("www.elsewhere. A", Kind.OUTSIDE, []),
    (". NS", Kind.OUTSIDE, []),
]


@pytest.mark.parametrize(("question", "kind", "answer"), CASES, ids=[case[0] for case in CASES])
def test_a_question_gets_its_kind_and_answer(question: str, kind: Kind, answer: list[str]) -> None:
    """RFC 1034 section 4.3.2, RFC 4592 and RFC 6672 say what becomes of a question."""
    found = ask(WORLD, question)
    assert (kind, answer) == (found.kind, lines(found.answer))


@pytest.mark.parametrize(
    "question", ["www.example. TXT", "nothing.example. A", "b.c.example. A", "q.wild.example. MX"]
)
def test_a_negative_answer_carries_the_soa(question: str) -> None:
    """The SOA says for how long, the lesser of its ttl and its minimum (RFC 2308 section 3)."""
    found = ask(WORLD, question)
    assert SOA_EXAMPLE == lines(found.authority)
    assert [60] == [rrset.ttl for rrset in found.authority]


def test_the_soa_of_a_renamed_question_is_that_of_the_last_zone() -> None:
    """The denial comes from the zone in which the chain ends (RFC 2308 section 2.1)."""
    found = ask(WORLD, "y.tree.example. A")
    assert ["other. SOA ns1.other. hostmaster.other. 1 7200 900 1209600 60"] == lines(found.authority)


def test_a_referral_is_not_authoritative_and_brings_glue() -> None:
    """The servers stand in authority, those inside the delegation with addresses (RFC 1034 section 4.3.2, RFC 9471)."""
    found = ask(WORLD, "deep.below.sub.example. A")
    assert not found.authoritative
    assert [
        "sub.example. NS ns.other.",
        "sub.example. NS ns.sub.example.",
        "sub.example. NS ns1.example.",
    ] == lines(found.authority)
    assert ["ns.sub.example. A 192.0.2.53"] == lines(found.glue)
    assert ["ns1.example. A 192.0.2.1"] == lines(found.additional)


def test_a_referral_behind_an_alias_stays_authoritative() -> None:
    """AA speaks of the first name of the answer (RFC 1034 section 4.1.1 of RFC 1035)."""
    assert ask(WORLD, "into.example. A").authoritative


@pytest.mark.parametrize(
    ("question", "additional"),
    [
        ("mail.example. MX", ["mx1.example. A 192.0.2.25"]),
        ("_sip._tcp.example. SRV", ["sip.example. AAAA 2001:db8::5060"]),
        ("example. NS", ["ns1.example. A 192.0.2.1"]),
        ("alone.example. HTTPS", ["alone.example. A 192.0.2.90"]),
        ("x.made.example. HTTPS", ["x.made.example. A 192.0.2.91"]),
        ("to-made.example. HTTPS", ["x.made.example. A 192.0.2.91"]),
        ("svc.example. SVCB", ["alone.example. A 192.0.2.90"]),
        ("www.example. A", []),
    ],
)
def test_addresses_of_targets_are_added(question: str, additional: list[str]) -> None:
    """What a record points to comes along when the zone has it (RFC 1035 section 3.3, RFC 2782, RFC 9460 section 4.1)."""
    assert additional == lines(ask(WORLD, question).additional)


def test_any_gets_one_rrset() -> None:
    """One RRset is enough of an answer to ANY (RFC 8482 section 4.1)."""
    assert ["www.example. A 192.0.2.10", "www.example. A 192.0.2.11"] == lines(
        ask(WORLD, "www.example. ANY").answer
    )
    assert ["alias.example. CNAME www.example."] == lines(ask(WORLD, "alias.example. ANY").answer)


def test_a_name_that_grows_too_long_below_a_dname_is_an_overflow() -> None:
    """YXDOMAIN, with the DNAME as the reason (RFC 6672 section 2.2)."""
    target = ".".join(["t" * 60] * 3)
    where = {from_text("d."): zone("d.", f"a DNAME {target}.d.\n")}
    found = lookup(where, from_labels([b"q" * 63, b"q" * 10, b"a", b"d"]), A)
    assert (Kind.OVERFLOW, 6, ["a.d. DNAME"]) == (
        found.kind,
        found.kind.rcode,
        [line[:10] for line in lines(found.answer)],
    )


def test_a_long_chain_ends() -> None:
    """No question costs more than a fixed number of steps."""
    where = {from_text("c."): zone("c.", "".join(f"n{number} CNAME n{number + 1}\n" for number in range(100)))}
    assert STEPS_MAX + 1 == len(ask(where, "n0.c. A").answer)


def test_a_dname_that_feeds_itself_ends() -> None:
    """``x.a`` becomes ever longer until the steps are used up or the name is full."""
    where = {from_text("c."): zone("c.", "a DNAME b.a\n")}
    assert Kind.ANSWER is ask(where, "x.a.c. A").kind
    assert 1 + STEPS_MAX + 1 == len(ask(where, "x.a.c. A").answer)


def test_a_dname_on_the_way_twice_is_answered_once() -> None:
    """No record stands twice in an RRset (RFC 2181 section 5), though its CNAMEs do for each name."""
    where = {from_text("c."): zone("c.", "a DNAME c.\nx A 192.0.2.1\n")}
    assert [DNAME, CNAME, CNAME, CNAME, A] == [rrset.type for rrset in ask(where, "x.a.a.a.c. A").answer]


def test_disabled_rrsets_are_invisible() -> None:
    """A disabled RRset is not answered, and a name with nothing else does not exist."""
    name = from_text("off.example.")
    hidden = make(name, A, 5, [b"\x00" * 4])
    hidden = msgspec.structs.replace(hidden, disabled=True)
    base = WORLD[from_text("example.")]
    where = {base.name: with_changes(base, [Replacement(name, A, hidden)], 2)}
    assert Kind.NXDOMAIN is ask(where, "off.example. A").kind
    deep = from_text("x.y.off2.example.")
    below = msgspec.structs.replace(hidden, name=deep)
    where = {base.name: with_changes(base, [Replacement(deep, A, below)], 2)}
    assert Kind.NXDOMAIN is ask(where, "off2.example. A").kind


def test_the_root_zone_is_a_zone() -> None:
    """A zone at the root answers for every name that no longer zone holds."""
    where = {from_text("."): zone(".", "com NS ns.com\nns.com A 192.0.2.53\n"), **WORLD}
    assert Kind.REFERRAL is ask(where, "www.com. A").kind
    assert Kind.NXDOMAIN is ask(where, "nothing. A").kind
    assert Kind.ANSWER is ask(where, "www.example. A").kind
    assert Kind.ANSWER is ask(where, ". SOA").kind
    assert Kind.NODATA is ask(where, ". DS").kind


def test_a_zone_without_soa_is_broken() -> None:
    """Without an SOA there is nothing to answer with authority."""
    name = from_text("broken.")
    where = {name: new_zone(name, [make(name, A, 5, [b"\x00" * 4])], 1)}
    assert Kind.BROKEN is ask(where, "broken. A").kind
