"""The lookup beside a dumb twin that knows a zone as a list of records and looks through all of it for every question."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from node.dns.lookup import Kind, lookup
from node.zone.name import Name, from_text, is_within, iter_ancestors
from node.zone.rrset import CNAME, NS, SOA, TXT, A, RRset, make
from node.zone.zone import new_zone

APEX = from_text("z")
LABELS = ("a", "b", "*")
NAMES = [from_text(".".join((*path, "z"))) for depth in (1, 2, 3) for path in product(LABELS, repeat=depth)]
DATA = {A: b"\x01\x02\x03\x04", TXT: b"\x01x", NS: from_text("ns.elsewhere"), CNAME: from_text("x.elsewhere")}
BASE = [make(APEX, SOA, 5, [b"\x00\x00" + bytes(20)]), make(APEX, NS, 5, [DATA[NS]])]

RECORDS = st.dictionaries(
    st.sampled_from(NAMES), st.sets(st.sampled_from(sorted(DATA)), min_size=1), max_size=8
)


def rrsets_of(records: dict[Name, set[int]]) -> list[RRset]:
    """Build RRsets; a CNAME stands alone."""
    return [
        *BASE,
        *(
            make(name, type_, 5, [DATA[type_]])
            for name, types in records.items()
            for type_ in ([CNAME] if CNAME in types else sorted(types))
        ),
    ]


def twin(rrsets: list[RRset], name: Name, type_: int) -> tuple[Kind, list[Name]]:
    """Judge a question by the letter of RFC 1034 section 4.3.2 and RFC 4592 section 3.3, as slowly as it reads."""
    existing = {above for rrset in rrsets for above in iter_ancestors(rrset.name) if is_within(above, APEX)}
    cuts = [
        each.name for each in rrsets if each.type == NS and each.name != APEX and is_within(name, each.name)
    ]
    cuts = [cut for cut in cuts if not any(is_within(cut, other) and cut != other for other in cuts)]
    if cuts:
        return Kind.REFERRAL, []
    source = name
    if name not in existing:
        encloser = next(above for above in iter_ancestors(name) if above in existing)
        source = Name(b"\x01*" + encloser)
        if source not in existing:
            return Kind.NXDOMAIN, []
    at = [rrset for rrset in rrsets if rrset.name == source]
    found = [rrset for rrset in at if rrset.type in (type_, CNAME)]
    return (Kind.ANSWER, [name]) if found else (Kind.NODATA, [])


@given(
    RECORDS,
    st.sampled_from([*NAMES, from_text("q.z"), from_text("q.a.z"), from_text("q.q.b.z")]),
    st.sampled_from([A, TXT, CNAME]),
)
@settings(max_examples=200)
def test_the_lookup_agrees_with_its_twin(records: dict[Name, set[int]], name: Name, type_: int) -> None:
    """Kind and owner of every answer, in zones with wildcards, delegations and empty non-terminals at random places."""
    rrsets = rrsets_of(records)
    found = lookup({APEX: new_zone(APEX, rrsets, 1)}, name, type_)
    assert twin(rrsets, name, type_) == (found.kind, [rrset.name for rrset in found.answer])
