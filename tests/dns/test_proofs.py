"""The chain of a signed zone as the zone changes: always that of the version, without being made anew each time."""

import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dns import proofs
from node.zone.name import from_text, to_text
from node.zone.rrset import RRset
from node.zone.zone import Replacement, Zone, with_changes
from tests.dns.zones import ask, exchange, query, view, zone

NSEC, NSEC3PARAM, NSEC3 = 47, 51, 50
LABELS = ["a", "b", "c", "x.c", "y.c", "d"]


def signed(*labels: str) -> Zone:
    """Build a zone with an NSEC at the apex and at these names; what is in the records does not matter here."""
    text = "@ NSEC a.example. SOA NS NSEC\n" + "".join(f"{each} NSEC b.example. TXT NSEC\n" for each in labels)
    return zone("example.", text)


def nsec(label: str, *, disabled: bool = False) -> RRset:
    """Make an NSEC."""
    return RRset(
        from_text(f"{label}.example."), NSEC, 60, (from_text("z.example.") + b"\x00\x01\x40",), disabled
    )


@given(st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(["put", "hide", "drop"])), max_size=12))
def test_a_followed_chain_is_the_one_that_would_be_built(changes: list[tuple[str, str]]) -> None:
    """Whatever comes, goes or is hidden."""
    proofs._chains.clear()
    current = signed("a", "x.c")
    index = 2
    for label, kind in changes:
        proofs._chain_of(current)
        wanted = {"put": nsec(label), "hide": nsec(label, disabled=True), "drop": None}[kind]
        current = with_changes(current, [Replacement(from_text(f"{label}.example."), NSEC, wanted)], index)
        index += 1
    found = proofs._chain_of(current)
    built = proofs._built(current, None)
    assert found is not None
    assert (built.keys, built.owners) == (found.keys, found.owners)


def test_a_change_elsewhere_does_not_build_the_chain_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new serial costs a copy, not a walk over the zone."""
    proofs._chains.clear()
    before = signed("a", "b")
    proofs._chain_of(before)
    monkeypatch.setattr(proofs, "_built", None)
    name = from_text("t.example.")
    after = with_changes(before, [Replacement(name, 16, RRset(name, 16, 60, (b"\x01x",)))], 2)
    found = proofs._chain_of(after)
    assert found is not None
    assert [from_text(f"{each}example.") for each in ("", "a.", "b.")] == found.owners


def test_few_chains_are_kept() -> None:
    """Old versions go."""
    current = signed("a")
    for number in range(30):
        proofs._chain_of(current)
        name = from_text(f"t{number}.example.")
        current = with_changes(current, [Replacement(name, 16, RRset(name, 16, 60, (b"\x01x",)))], number + 2)
    assert len(proofs._chains) <= 8


def test_another_salt_is_another_chain() -> None:
    """A chain made under other parameters is not followed."""
    proofs._chains.clear()
    hashed = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"
    text = f"@ NSEC3PARAM 1 0 0 -\n{hashed} NSEC3 1 0 0 - {hashed} SOA\n"
    before = zone("example.", text)
    assert proofs._chain_of(before) is not None
    apex = from_text("example.")
    salted = RRset(apex, NSEC3PARAM, 0, (b"\x01\x00\x00\x00\x01\xab",))
    after = with_changes(before, [Replacement(apex, NSEC3PARAM, salted)], 2)
    found = proofs._chain_of(after)
    assert found is not None
    assert (0, b"\xab") == found.hashing


def test_a_hosted_child_that_is_not_delegated_has_no_ds_but_a_name() -> None:
    """NXDOMAIN would take everything below it with it (RFC 8020); a signed zone above shows what it can prove."""
    above, child = zone("example.", ""), zone("child.example.", "")
    found = ask({above.name: above, child.name: child}, "child.example. DS")
    assert ("nodata", 0) == found.kind.value
    assert ["example."] == [to_text(rrset.name) for rrset in found.authority]
    strict = signed("a")
    assert "nxdomain" == ask({strict.name: strict, child.name: child}, "child.example. DS").kind.value[0]
    assert "nxdomain" == ask({above.name: above}, "child.example. DS").kind.value[0]


def test_the_chain_of_a_large_zone_is_made_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is there, questions that need proofs are told to come back; the others are answered."""
    proofs._chains.clear()
    monkeypatch.setattr(proofs, "_LARGE_NAMES", 3)
    monkeypatch.setattr(proofs, "_RUN_NAMES", 2)
    large = signed("a", "b", "c", "d")
    shown = view({large.name: large})
    assert proofs.needs_preparing(large)
    proofs.announce(large)
    denied = query("no.example. A", use_edns=0, want_dnssec=True)
    refused = exchange(denied, shown)
    assert dns.rcode.SERVFAIL == refused.rcode()
    assert "the zone's proofs are being prepared" == refused.options[0].text
    assert dns.rcode.NXDOMAIN == exchange(query("no.example. A"), shown).rcode()
    proofs.prepare(large)
    assert not proofs.needs_preparing(large)
    assert dns.rcode.NXDOMAIN == exchange(denied, shown).rcode()
    chain = proofs._chain_of(large)
    assert chain is not None
    assert sorted(chain.keys) == chain.keys
    name = from_text("t.example.")
    after = with_changes(large, [Replacement(name, 16, RRset(name, 16, 60, (b"\x01x",)))], 2)
    assert not proofs.needs_preparing(after)
