"""Real endpoints that fail in every way before three real nodes: what is dead goes, and nothing else ever does."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.hospital import CALM, DARK, PATIENCE_S, PORTS, SECURE, WWW, Hospital, Watcher, addresses
from tests.cluster.lab import why_not
from tests.cluster.servers import wait_until

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("hospital"),
    pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}"),
]

ALL = set(addresses(WWW))
ONE, TWO, THREE, FOUR = addresses(WWW)


@pytest.fixture(scope="module", name="hospital")
def _hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder: Path = tmp_path_factory.mktemp("hospital")
    folder.chmod(0o755)
    hospital = Hospital(folder)
    try:
        hospital.start()
        yield hospital
    finally:
        hospital.stop()


@contextlib.contextmanager
def harm(hospital: Hospital, **allowed: list[set[str]]) -> Iterator[None]:
    """Watch every answer during a block that does harm; all is well afterwards.

    Each service keeps the answer it has, but for those named with the other answers that they may give.
    """
    may = {fqdn: [set(addresses(fqdn)), *allowed.get(fqdn.partition(".")[0], [])] for fqdn in PORTS}
    with Watcher(hospital).watching() as seen:
        yield
        hospital.wait_well()
    for fqdn, answers in seen.items():
        wrong = [sorted(each) for each in answers if set(each) not in may[fqdn]]
        assert [] == wrong, f"{fqdn} was answered so meanwhile"
    assert set(PORTS) == set(seen)


def evidence(hospital: Hospital, fqdn: str, address: str, asked: int = 2) -> set[str]:
    """Return what the nodes that vote down say of an endpoint."""
    return {each["evidence"] for each in hospital.votes(fqdn, address, asked).values() if not each["up"]}


def test_refusals_and_errors(hospital: Hospital) -> None:
    """Half of the endpoints fail in one moment, one refused and one with 500: these go everywhere, and come back."""
    refused, failing = hospital.at(WWW, 0), hospital.at(WWW, 1)
    with harm(hospital, www=[ALL - {ONE}, ALL - {TWO}, {THREE, FOUR}], dark=[{TWO}]):
        failing.mood = "error"
        refused.stop()
        hospital.wait_answers({THREE, FOUR})
        assert {"connection refused"} == evidence(hospital, WWW, ONE)
        assert {"HTTP 500"} == evidence(hospital, WWW, TWO)
        refused.start()
        failing.mood = "good"


def test_silence_and_dripping(hospital: Hospital) -> None:
    """An endpoint that nobody hears of, and one that says an octet now and then, are down after their time."""
    dripping = hospital.at(WWW, 3)
    with harm(hospital, www=[ALL - {THREE}, ALL - {FOUR}, {ONE, TWO}]):
        for number in hospital.nodes.numbers:
            hospital.lab.silence(number, THREE)
        dripping.mood = "drips"
        hospital.wait_answers({ONE, TWO})
        assert {"no connection within 900 ms"} == evidence(hospital, WWW, THREE)
        assert {"no complete answer within 900 ms"} == evidence(hospital, WWW, FOUR)
        for number in hospital.nodes.numbers:
            hospital.lab.unsilence(number, THREE)
        dripping.mood = "good"


def test_wrong_certificate(hospital: Hospital) -> None:
    """A certificate for another name is as bad as none, though the server answers well."""
    impostor = hospital.at(SECURE, 0)
    right = impostor.tls
    with harm(hospital, secure=[{impostor.address}, set(addresses(SECURE)) - {impostor.address}]):
        impostor.tls = hospital.certificate("other.example.org")
        hospital.wait_answers({hospital.at(SECURE, 1).address}, fqdn=SECURE)
        assert {f"certificate is not for {SECURE}"} == evidence(hospital, SECURE, impostor.address)
        impostor.tls = right


def test_one_sided(hospital: Hospital) -> None:
    """What one node alone cannot reach stays; with a second one it goes, and the events name both. All nodes say why alike."""
    before = hospital.index()
    with harm(hospital, www=[ALL - {THREE}]):
        hospital.lab.silence(1, THREE)
        wait_vote(hospital, WWW, THREE, 1, is_up=False)
        assert hospital.nodes.everywhere(ALL)
        hospital.lab.silence(2, THREE)
        hospital.wait_answers(ALL - {THREE})
        hospital.lab.unsilence(1, THREE)
        hospital.lab.unsilence(2, THREE)
    (down, up) = verdicts(hospital, before, THREE)
    assert ("up -> down (2 of 3)", "down -> up") == (down["text"], up["text"].partition(" (")[0])
    votes = [each for each in hospital.events(1, before, "vote.cast") if each["index"] <= down["index"]]
    assert {"ns1", "ns2"} == {each["data"]["node"] for each in votes if each["data"]["vote"] == "down"}
    why = said_alike(hospital, f"/v1/explain?name={WWW}&at={down['index']}")
    assert f"{THREE} is not published: it is down".encode() in why
    assert b"no connection within 900 ms" in why
    assert b"verdict.changed" in said_alike(hospital, f"/v1/events/{down['index']}")


def test_own_uplink_cut(hospital: Hospital) -> None:
    """A node that reaches nothing any more abstains, as its status says; DNS stays as it is on all three."""
    everywhere = sorted({address for fqdn in PORTS for address in addresses(fqdn)})
    alone = next(number for number in hospital.nodes.numbers if number != hospital.nodes.leader())
    name = f"ns{alone}"
    before = hospital.index()
    with harm(hospital):
        for address in everywhere:
            hospital.lab.silence(alone, address)
        wait_until(lambda: name not in hospital.votes(CALM, addresses(CALM)[0], 2), "it abstains", PATIENCE_S)
        row = hospital.nodes.status(alone)
        assert row is not None
        assert row["probes"]["isolated"]
        codes = {each["code"] for each in hospital.nodes.api("GET", alone, "/v1/status").json()["problems"]}
        assert "probes_isolated" in codes
        for address in everywhere:
            hospital.lab.unsilence(alone, address)
    assert [] == hospital.events(alone, before, "verdict.changed")
    assert [name] == [each["data"]["node"] for each in hospital.events(alone, before, "votes.dropped")]


def test_flapping(hospital: Hospital) -> None:
    """An endpoint that is good and bad in turns never fails twice in a row: nobody votes, nothing is logged."""
    flapping = hospital.at(WWW, 1)
    with harm(hospital):
        before = hospital.index()
        flapping.asked.clear()
        flapping.mood = "alternates"
        wait_until(
            lambda: len(flapping.asked) == 3 and min(flapping.asked.values()) >= 8, "all probe it", PATIENCE_S
        )
        flapping.mood = "good"
    assert [] == hospital.events(1, before, "vote.cast,verdict.changed")


def test_all_down(hospital: Hospital) -> None:
    """With all endpoints down fail-open keeps all, where it may; where not, none is answered. Each is told once."""
    before = hospital.index()
    fewer = [ALL - {each} for each in ALL] + [{a, b} for a in ALL for b in ALL - {a}]
    both = set(addresses(DARK))
    with harm(hospital, www=fewer, dark=[set(), *({each} for each in both)]):
        endpoints = [hospital.at(WWW, place) for place in range(4)] + [
            hospital.at(DARK, place) for place in (0, 1)
        ]
        for each in endpoints:
            each.stop()
        hospital.wait_answers(set(), fqdn=DARK)
        wait_until(
            lambda: all(row["verdict"] == "down" for row in hospital.service(WWW, 1)["endpoints"]),
            "all of www are down",
            PATIENCE_S,
        )
        hospital.wait_answers(ALL)
        for each in endpoints:
            each.start()
    told = [(each["kind"], each["subject"]) for each in hospital.events(1, before, "service.*")]
    for fqdn in (WWW, DARK):
        assert 1 == told.count(("service.down", f"{fqdn}."))
        assert 1 == told.count(("service.up", f"{fqdn}."))
    assert 1 == told.count(("service.fail_open", f"{WWW}."))
    assert 1 == told.count(("service.fail_open_ended", f"{WWW}."))
    assert ("service.fail_open", f"{DARK}.") not in told


def test_leader_killed_between_votes(hospital: Hospital) -> None:
    """The leader dies as the first vote against an endpoint is in: the others withdraw it, once, in all logs."""
    nodes, dying = hospital.nodes, hospital.at(WWW, 3)
    before = hospital.index()
    leader = nodes.leader()
    assert leader is not None
    others = [number for number in nodes.numbers if number != leader]
    with harm(hospital, www=[ALL - {FOUR}]):
        dying.stop()
        wait_until(lambda: evidence(hospital, WWW, FOUR, others[0]), "the first vote", PATIENCE_S, 0.002)
        nodes.kill(leader)
        hospital.wait_answers(ALL - {FOUR}, *others)
        dying.start()
        hospital.wait_answers(ALL, *others)
        nodes.start(leader)
        nodes.wait_ready(leader)
    found = [verdicts(hospital, before, FOUR, asked) for asked in nodes.numbers]
    assert ["down", "up"] == [each["data"]["after"] for each in found[0]]
    assert found[0] == found[1] == found[2]


def test_partitioned_voter(hospital: Hospital) -> None:
    """What a node saw while it was cut off from the others is not voted when it is back: only what it sees then is."""
    nodes, ailing = hospital.nodes, hospital.at(CALM, 0)
    alone = next(number for number in nodes.numbers if number != nodes.leader())
    others = [number for number in nodes.numbers if number != alone]
    before = hospital.index()
    with harm(hospital, calm=[{hospital.at(CALM, 1).address}]):
        nodes.lab.isolate(alone)
        ailing.stop()
        hospital.wait_answers({hospital.at(CALM, 1).address}, *others, fqdn=CALM)
        wait_until(lambda: hospital.events(others[0], before, "votes.dropped"), "its lease ends", PATIENCE_S)
        ailing.start()
        hospital.wait_answers(set(addresses(CALM)), *others, fqdn=CALM)
        ailing.asked.clear()
        wait_until(lambda: ailing.asked[nodes.lab.address(alone)] >= 3, "it sees that all is well", PATIENCE_S)
        nodes.lab.rejoin(alone)

    def cast() -> set[str]:
        said = [each["data"] for each in hospital.events(alone, before, "vote.cast")]
        return {each["vote"] for each in said if each["node"] == f"ns{alone}"}

    wait_until(cast, "it votes again", PATIENCE_S)
    assert {"up"} == cast()
    changes = [each["data"]["after"] for each in hospital.events(alone, before, "verdict.changed")]
    assert ["down", "up"] == changes


def test_followed_through_restarts(hospital: Hospital) -> None:
    """A follower of events shows every transition once, in order, whatever node is killed, led or restarted meanwhile."""
    nodes, flipping = hospital.nodes, hospital.at(CALM, 0)
    with harm(hospital, calm=[{hospital.at(CALM, 1).address}]), hospital.following("verdict.*") as shown:
        before = hospital.index()
        for _ in range(2):
            leader = nodes.leader()
            assert leader is not None
            others = [number for number in nodes.numbers if number != leader]
            flipping.stop()
            nodes.kill(leader)
            hospital.wait_answers({hospital.at(CALM, 1).address}, *others, fqdn=CALM)
            flipping.start()
            nodes.start(leader)
            nodes.wait_ready(leader)
            hospital.wait_answers(set(addresses(CALM)), fqdn=CALM)
        hospital.wait_well()
        expected = [(each["index"], each["number"]) for each in hospital.events(1, before, "verdict.changed")]
        last = expected[-1]
        wait_until(lambda: shown() and shown()[-1] == last, "the follower has shown the last one", PATIENCE_S)
    seen = [place for place in shown() if place[0] > before]
    assert expected == seen
    assert 4 <= len(seen)


def verdicts(hospital: Hospital, after: int, address: str, asked: int = 1) -> list[dict[str, Any]]:
    """Return the changes of an endpoint's verdict since a log index, as one node tells them."""
    return [
        each for each in hospital.events(asked, after, "verdict.changed") if each["data"]["endpoint"] == address
    ]


def said_alike(hospital: Hospital, path: str) -> bytes:
    """Return what is answered on a path, which is the same on every node to the octet, but for who says it."""
    said = {
        hospital.nodes.api("GET", number, path).content.replace(f'"node":"ns{number}"'.encode(), b"", 1)
        for number in hospital.nodes.numbers
    }
    (found,) = said
    return found


def wait_vote(hospital: Hospital, fqdn: str, address: str, node: int, *, is_up: bool) -> None:
    """Wait until a node's vote on an endpoint is known to another."""
    other = node % 3 + 1

    def is_so() -> bool:
        vote = hospital.votes(fqdn, address, other).get(f"ns{node}")
        return vote is not None and vote["up"] == is_up

    wait_until(is_so, f"ns{node} votes {'up' if is_up else 'down'} on {address}", PATIENCE_S)
