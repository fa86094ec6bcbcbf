"""Why a question is answered as it is: it says so, and never against the answer."""

import struct
from typing import Any

import dns.message
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.dns.choice import choices_of
from node.dns.exchange import Client, Send, View
from node.dns.explain import explain, explain_at
from node.dns.lookup import lookup
from node.dns.respond import respond
from node.health.rule import Rule
from node.health.service import Check, Endpoint, Service
from node.health.steadiness import Failback, FlapLimit
from node.state.command import (
    ChangeZone,
    Command,
    DeleteService,
    DeleteZone,
    DropVotes,
    LeaseWish,
    Member,
    PutRRset,
    PutService,
    PutZone,
    Seed,
    ZoneSettings,
)
from node.state.explaining import Explanation
from node.state.operations import (
    ClearOverrides,
    Place,
    SetMaintenance,
    SetOverrides,
)
from node.state.past import NotHeld
from node.state.pushes import PutTarget, Target
from node.state.snapshot import dump, load
from node.state.state import Applied, State
from node.zone.lease import LeaseKey
from node.zone.name import Name, from_text
from node.zone.rrset import AAAA, CNAME, TXT, A, rdata_from_text, rdata_to_text
from node.zone.rrset import make as make_rrset
from tests.state.play import NODES, WWW, ZONE, Play, interventions, votes

API = from_text("api.example.org")
ONE, TWO, SIX = ADDRESSES = ("192.0.2.1", "192.0.2.2", "2001:db8::3")
SETTINGS = ZoneSettings((from_text("ns.example.org"),), from_text("host.example.org"))


def made(name: str, type_: int, text: str, **fields: Any) -> PutRRset:
    rrset = make_rrset(from_text(name), type_, 60, [rdata_from_text(type_, text, ZONE)])
    return PutRRset(msgspec.structs.replace(rrset, **fields))


class Cluster(Play):
    """A State with a zone of many kinds of names and a service of three endpoints."""

    def __init__(self, **fields: Any) -> None:
        super().__init__()
        self.do(
            Seed(tuple(Member(name, site=site) for name, site in zip(NODES, ("fra", "ams", ""), strict=True)))
        )
        self.do(PutZone(ZONE, SETTINGS))
        changes = (
            made("*.wild.example.org", A, "192.0.2.9"),
            made("alias.example.org", CNAME, "www.example.org."),
            made("loop.example.org", CNAME, "pool.example.org."),
            made("pool.example.org", CNAME, "loop.example.org."),
            made("a.deep.example.org", TXT, '"x"'),
            made("off.example.org", TXT, '"x"', disabled=True),
        )
        self.do(ChangeZone(ZONE, changes))
        key = LeaseKey(ZONE, from_text("short.example.org"), TXT)
        self.do(ChangeZone(ZONE, (made("short.example.org", TXT, '"x"'),), leases=(LeaseWish(key, 90),)))
        self.do(PutTarget(Target("knot", "rfc2136", "192.0.2.53:53", (ZONE,))))
        check = fields.pop("check", Check("tcp", 80))
        self.do(PutService(Service(WWW, ZONE, check, tuple(map(Endpoint, ADDRESSES)), **fields)))

    def try_(self, command: Command) -> Applied:
        """Let a second pass with each entry."""
        self.now_ms += 1000
        return super().try_(command)

    def says(self, name: str, type_: int = A) -> str:
        found = explain(self.state, from_text(name), type_)
        stories = [line.text for story in found.endpoints for line in story.lines]
        return "\n".join([*(line.text for line in found.lines), *stories])


def test_names() -> None:
    """Every way in which a name can stand in our zones, or not, has its sentence."""
    cluster = Cluster()
    for name, type_, sentence in (
        ("www.example.net", A, "no zone of this cluster holds www.example.net.; ours: example.org."),
        ("nothing.example.org", A, "nothing.example.org. does not exist in the zone example.org."),
        ("x.wild.example.org", A, "the wildcard *.wild.example.org. stands for it"),
        ("alias.example.org", A, "it is an alias of www.example.org."),
        ("loop.example.org", A, "the aliases go round in a circle"),
        ("deep.example.org", A, "has no records of its own"),
        ("off.example.org", TXT, "1 record of type TXT disabled"),
        ("short.example.org", TXT, "is leased for 90 s"),
        ("a.deep.example.org", A, "nothing of type A is published there; there is TXT"),
    ):
        assert sentence in cluster.says(name, type_)


def test_an_endpoint_that_was_withdrawn() -> None:
    """Who says so, on what evidence, what the rule is, and when it comes back."""
    cluster = Cluster()
    cluster.cast(ONE, False, "n1", "n2")
    said = cluster.says("alias.example.org")
    for sentence in (
        "192.0.2.1 is not published: it is down",
        "not drained, not forced, not in maintenance",
        "verdict down since 2023-11-14",
        "0 of 3 nodes say up, 2 down, 1 nothing; the rule is that a majority must say down",
        "▼ n1 fra  HTTP 503",
        "· n3  no vote",
        "fail-open does not apply: 1 of 3 counted endpoints are down, the limit is 50 %",
        "each after 2 good probes in a row: about 1 s after it works",
        "elsewhere: knot does not have it yet",
        "192.0.2.2 is published: nothing says that it is down",
    ):
        assert sentence in said, said
    assert "2001:db8::3" not in said


def test_what_operators_said() -> None:
    """Who, why and until when."""
    cluster = Cluster()
    cluster.do(SetOverrides((Place(WWW, ONE),), "drain", until_ms=1_700_000_600_000))
    assert "drained since" in cluster.says("www.example.org")
    assert "by alice: work, until 2023-11-14 22:23:20 UTC" in cluster.says("www.example.org")
    cluster.do(SetMaintenance(WWW, True))
    assert "maintenance keeps DNS as it was" in cluster.says("www.example.org")


def test_fail_open_and_a_verdict_that_only_stays() -> None:
    """Loud words for what is not as the votes are."""
    cluster = Cluster()
    for address in ADDRESSES:
        cluster.cast(address, False)
    assert "fail-open keeps all: 3 of 3 counted endpoints are down" in cluster.says("www.example.org")
    assert "192.0.2.1 is published: it is down and kept" in cluster.says("www.example.org")
    cluster.do(DropVotes("n1"))
    cluster.do(DropVotes("n2"))
    assert "these votes decide nothing: the last verdict stays" in cluster.says("www.example.org")


SERVICES = st.builds(
    lambda rule, mode, percent, when_down, least, most, limit, failback, apart, ttl_min, check, selection: {
        "rule": rule,
        "mode": mode,
        "fail_open_percent": percent,
        "when_down": when_down,
        "fallback": ("198.51.100.7",) if when_down == "fallback" else (),
        "min_up": least,
        "max_answers": most,
        "flap_limit": limit,
        "failback": failback,
        "separate_families": apart,
        "ttl": 60,
        "ttl_min": ttl_min,
        "check": check,
        "selection": selection,
    },
    st.sampled_from(
        [Rule(), Rule("any"), Rule("all"), Rule("count", 2), Rule("fraction", 60), Rule("regions")]
    ),
    st.sampled_from(["active-active", "active-standby"]),
    st.sampled_from([0, 50, 100]),
    st.sampled_from(["nodata", "all", "last_good", "fallback"]),
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from([None, FlapLimit(2, 60_000, 10_000)]),
    st.sampled_from([Failback(), Failback("after", 20_000), Failback("manual")]),
    st.booleans(),
    st.sampled_from([0, 1]),
    st.sampled_from([Check("tcp", 80), Check("push", 0)]),
    st.sampled_from(["all", "weighted-one", "sticky", "site"]),
)
TIMES = st.integers(0, 60).map(lambda seconds: 1_700_000_000_000 + seconds * 1000)
ACTIONS = st.one_of(votes(ADDRESSES), interventions(ADDRESSES, TIMES))
NAMES = ("www", "alias", "loop", "x.wild", "deep", "off", "short", "nothing")


@settings(max_examples=60, deadline=None)
@given(SERVICES, st.lists(ACTIONS, max_size=12))
def test_it_never_contradicts_the_answer(fields: dict[str, Any], actions: list[Any]) -> None:
    """Records, rcode and which endpoint is published are those of ``lookup``; alike on a node that began anew."""
    cluster = Cluster(**fields)
    states = []
    for action in actions:
        cluster.try_(action)
        states.append(cluster.state)
    for then in states:
        assert remembered(explain(then, WWW, A)) == remembered(explain_at(cluster.state, WWW, A, then.index))
    again = load(dump(cluster.state))
    for name in (*(from_text(f"{each}.example.org") for each in NAMES), from_text("www.example.net")):
        for type_ in (A, AAAA, TXT, 255):
            found, answer = explain(cluster.state, name, type_), lookup(cluster.state.zones, name, type_)
            assert answer.kind.rcode == found.rcode
            rdatas = {rdata_to_text(each.type, rdata) for each in answer.answer for rdata in each.rdatas}
            assert rdatas == {each.split(" ", 2)[2] for each in found.records}
            if type_ in (A, AAAA):
                published = {each.address for each in found.endpoints if each.published}
                assert published == rdatas & set(ADDRESSES)
            assert found == explain(again, name, type_)
            assert sent(cluster.state, name, type_) <= rdatas
            assert bool(sent(cluster.state, name, type_)) == bool(rdatas)


def remembered(found: Explanation) -> list[Any]:
    """Return what of an explanation is known later: all but what targets had, and how long a wait is to be."""
    forgotten = ("elsewhere:", "not held for flapping:", "held ", "up again since")
    told = [*found.lines, *(line for each in found.endpoints for line in each.lines)]
    texts = [each.text for each in told if not each.text.startswith(forgotten)]
    return [found.records, found.kind, [(each.address, each.reason) for each in found.endpoints], texts]


def sent(state: State, name: Name, type_: int) -> set[str]:
    """Return the rdatas of an answer to a client, which may be a choice of what is published."""
    view = View(state.zones, True, "n1", choices=choices_of(state, "n1"))
    question = struct.pack("!6H", 1, 0, 1, 0, 0, 0) + name + struct.pack("!HH", type_, 1)
    outcome = respond(question, Client("192.0.2.99", "tcp"), view, state.index)
    assert isinstance(outcome, Send)
    answer = dns.message.from_wire(outcome.packet).answer
    return {rdata_to_text(each.rdtype, rdata.to_wire()) for each in answer for rdata in each}


def test_who_withdrew_it_then() -> None:
    """At any index that is held: the votes and the override of then, though all is well again, or all is gone."""
    cluster = Cluster()
    cluster.cast(ONE, False, "n1", "n2")
    down = cluster.state.index
    cluster.cast(ONE, True)
    cluster.do(SetOverrides((Place(WWW, ONE),), "drain"))
    drained = cluster.state.index
    cluster.do(ClearOverrides((Place(WWW, ONE),)))
    cluster.do(DeleteService(WWW))
    cluster.do(DeleteZone(ZONE))
    assert "no zone of this cluster holds" in cluster.says("www.example.org")
    told = "\n".join(
        line.text for each in explain_at(cluster.state, WWW, A, down).endpoints for line in each.lines
    )
    for sentence in ("it is down", "▼ n2 ams  HTTP 503", "0 of 3 nodes say up, 2 down", "· n3  no vote"):
        assert sentence in told, told
    story = explain_at(cluster.state, WWW, A, drained).endpoints[0]
    assert (False, "drained") == (story.published, story.reason)
    assert f"(index {drained}) by alice: work" in story.lines[1].text
    notes = [line.text for line in explain_at(cluster.state, WWW, A, down).lines]
    assert any("example.org.: the zone was deleted at index" in each for each in notes), notes
    with pytest.raises(NotHeld):
        explain_at(cluster.state, WWW, A, cluster.state.index + 1)
