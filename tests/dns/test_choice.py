"""Answers that are drawn by weight or belong to a client: evenly, steadily, and alike over UDP and TCP."""

import ipaddress
from collections import Counter
from dataclasses import replace

import dns.edns
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.dns.choice import Choice, choices_of, chosen
from node.dns.exchange import Client
from node.dns.respond import Send, respond
from node.health.service import Check, Endpoint, Selection, Service
from node.state.command import Entry as LogEntry
from node.state.command import Member, PutService, Seed, encode
from node.state.machine import apply
from node.state.state import Changed, State
from node.zone.name import Name, from_text
from node.zone.rrset import RRset, make
from tests.dns.tables import Twin, packet
from tests.dns.zones import TCP, UDP, exchange, query, view, zones

ZONE, WWW = from_text("example."), from_text("www.example.")
ONE, TWO, THREE = RDATAS = tuple(bytes((192, 0, 2, number)) for number in (1, 2, 3))
RRSET = make(WWW, 1, 60, list(RDATAS))
PLAIN = {"example.": "www A 192.0.2.1\nwww A 192.0.2.2\nwww A 192.0.2.3\nalias CNAME www\nother A 192.0.2.9"}
SELECTIONS: tuple[Selection, ...] = ("weighted", "weighted-one", "sticky", "site")


def choice(selection: Selection, weights: tuple[int, ...] = (1, 1, 1), near: tuple[bytes, ...] = ()) -> Choice:
    return Choice(ZONE, selection, dict(zip(RDATAS, weights, strict=True)), frozenset(near))


@settings(deadline=None)
@given(st.tuples(*[st.integers(0, 50)] * 3).filter(any), st.integers(0, 2**40), st.integers(200, 600))
def test_every_run_of_answers_is_as_even_as_can_be(weights: tuple[int, ...], first: int, count: int) -> None:
    """Smooth: in any run each address comes first as often as its weight says, give or take a few."""
    made = choice("weighted", weights)
    firsts = Counter(chosen(made, RRSET, "192.0.2.99", first + turn)[0] for turn in range(count))
    for rdata, weight in zip(RDATAS, weights, strict=True):
        assert abs(firsts[rdata] - count * weight / sum(weights)) <= 8


@settings(deadline=None)
@given(st.tuples(*[st.integers(0, 2**20)] * 3), st.integers(0, 2**64), st.sampled_from(SELECTIONS), st.text())
def test_an_answer_holds_only_what_is_published(
    weights: tuple[int, ...], turn: int, selection: Selection, client: str
) -> None:
    """Nothing is added, nothing stands twice, and something is always there, whatever the client's address."""
    found = chosen(choice(selection, weights), RRSET, client, turn)
    assert set(found) <= set(RDATAS)
    assert len(set(found)) == len(found) > 0
    if selection == "weighted":
        assert set(RDATAS) == set(found)
    if selection in ("weighted-one", "sticky"):
        assert 1 == len(found)


def test_without_any_weight_all_take_turns() -> None:
    """Weight 0 is last where others have some, and like the others where none has."""
    firsts = {chosen(choice("weighted-one", (0, 0, 0)), RRSET, "192.0.2.99", turn)[0] for turn in range(3)}
    assert set(RDATAS) == firsts
    for turn in range(50):
        assert TWO == chosen(choice("weighted", (1, 0, 1)), RRSET, "192.0.2.99", turn)[2]


def test_a_network_stays_where_it_is() -> None:
    """All clients of a network get one address, at every turn; when another one goes, nothing changes for them."""
    made = choice("sticky")
    networks = [f"198.51.{number}" for number in range(250)]
    homes = {each: chosen(made, RRSET, f"{each}.1", 0) for each in networks}
    fewer = RRset(WWW, 1, 60, (ONE, TWO))
    for network, home in homes.items():
        assert home == chosen(made, RRSET, f"{network}.200", 7) == chosen(made, RRSET, f"::ffff:{network}.9", 8)
        if home != (THREE,):
            assert home == chosen(made, fewer, f"{network}.1", 0)
    assert all(50 < count < 120 for count in Counter(homes.values()).values())


def test_sticky_clients_are_shared_out_by_weight() -> None:
    """Three times the weight has three times the networks, more or less; weight 0 has none."""
    made = choice("sticky", (3, 1, 0))
    clients = (str(ipaddress.ip_address(number << 16)) for number in range(1, 1001))
    homes = Counter(chosen(made, RRSET, client, 0)[0] for client in clients)
    assert 0 == homes[THREE]
    assert 680 < homes[ONE] < 820


def test_a_node_prefers_its_own_site() -> None:
    """What is published there, in turn; all where nothing is."""
    made = choice("site", near=(ONE, THREE))
    assert {(ONE, THREE), (THREE, ONE)} == {chosen(made, RRSET, "192.0.2.99", turn) for turn in range(2)}
    assert {TWO} == set(chosen(made, RRset(WWW, 1, 60, (TWO,)), "192.0.2.99", 0))
    assert 3 == len(chosen(choice("site"), RRSET, "192.0.2.99", 0))


def test_choices_follow_the_services() -> None:
    """Only services that ask for one have a choice; sites are compared with the node's own."""
    endpoints = (Endpoint("192.0.2.1", weight=5, site="fra"), Endpoint("192.0.2.2", site="ams"))
    service = Service(WWW, ZONE, Check("tcp", 80), endpoints, selection="site")
    plain = Service(from_text("plain.example."), ZONE, Check("tcp", 80), endpoints)
    state = State()
    for command in (Seed((Member("n1", site="fra"), Member("n2"))), PutService(service), PutService(plain)):
        state = apply(state, state.index + 1, encode(LogEntry(command, 0))).state
    made = choices_of(state, "n1")
    assert {WWW: Choice(ZONE, "site", {ONE: 5, TWO: 1}, frozenset({ONE}))} == made
    assert frozenset() == choices_of(state, "n2")[WWW].near


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("name", ["www", "alias"])
def test_udp_and_tcp_answer_alike(selection: Selection, name: str) -> None:
    """The same client at the same turn gets the same octets, at the name and through an alias."""
    seen = replace(view(zones(PLAIN)), choices={WWW: choice(selection, near=(TWO,))})
    asked = query(f"{name}.example. A")
    for turn in range(6):
        over_udp, over_tcp = (respond(asked, client, seen, turn) for client in (UDP, TCP))
        assert over_udp == over_tcp
        answer = exchange(asked, seen, UDP, turn)
        addresses = [each.to_text() for each in answer.answer[-1]]
        wanted = chosen(choice(selection, near=(TWO,)), RRSET, UDP.address, turn)
        assert [str(ipaddress.ip_address(each)) for each in wanted] == addresses


@pytest.mark.usefixtures("reader")
def test_what_depends_on_the_client_is_handed_up() -> None:
    """From when a choice comes until it goes, at the name and what leads to it; all else is answered from the table."""
    twin = Twin(zones(PLAIN))
    www, alias, other = (packet(from_text(f"{each}.example."), 1) for each in ("www", "alias", "other"))

    def choose(choices: dict[Name, Choice]) -> list[bool]:
        twin.writer.publish(twin.zones, Changed(), choices=choices)
        twin.cache.catch_up()
        return [twin.answer(each) is not None for each in (www, alias, other)]

    made = {WWW: choice("sticky")}
    assert [True, True, True] == choose({})
    assert [False, False, True] == choose(made)
    assert [False, False, True] == choose(made)
    assert [False, False, True] == choose({WWW: choice("weighted")})
    assert [True, True, True] == choose({})
    assert twin.answer(www) in twin.expected(www)


def test_a_signed_rrset_stays_whole() -> None:
    """A part of it would not fit its signature."""
    where = zones(
        {"example.": PLAIN["example."] + "\nwww RRSIG A 8 2 60 20300101000000 20200101000000 1 example. AAAA"}
    )
    seen = replace(view(where), choices={WWW: choice("weighted-one")})
    asked = packet(WWW, 1, edns=4096, dnssec=True)
    outcome = respond(asked, Client("192.0.2.99", "tcp"), seen, 3)
    assert isinstance(outcome, Send)
    assert 4 == int.from_bytes(outcome.packet[6:8], "big")


def test_a_sticky_answer_goes_by_the_resolver() -> None:
    """What it says of its clients' subnets (RFC 7871) changes nothing and is not answered."""
    seen = replace(view(zones(PLAIN)), choices={WWW: choice("sticky")})
    homes = set()
    for number in range(64):
        client = Client(f"198.51.{number}.7", "udp")
        subnet = dns.edns.ECSOption(f"203.0.{number}.0", 24)
        plain, told = query("www.example. A", use_edns=0), query("www.example. A", use_edns=0, options=[subnet])
        answers = [exchange(each, seen, client, 5) for each in (plain, told)]
        assert answers[0].answer == answers[1].answer
        assert [] == [each for each in answers[1].options if each.otype == dns.edns.ECS]
        assert answers[0].answer == exchange(plain, seen, Client(f"198.51.{number}.99", "udp"), 6).answer
        homes.add(answers[0].answer[-1].to_text())
    assert 3 == len(homes)
