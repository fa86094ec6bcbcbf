"""Plays the scenarios of ``scenarios/*.txt`` over the pure code; the words are those of ``Player``'s methods.

The first line of a scenario says the rule it shows. ``a`` to ``f`` are the endpoints 192.0.2.1 and on, ``u`` to ``z``
2001:db8::1 and on.
"""

import shlex
from pathlib import Path
from typing import Any

import pytest

from node.dns.explain import explain
from node.health.rule import read_rule
from node.health.service import Check, Endpoint, Service
from node.health.steadiness import FlapLimit, read_failback
from node.state.command import (
    Ballot,
    CastVotes,
    Command,
    DropVotes,
    Member,
    PutService,
    PutZone,
    Seed,
    ZoneSettings,
)
from node.state.explaining import EndpointStory
from node.state.operations import (
    ClearOverrides,
    EndWaits,
    KeepSchedule,
    Place,
    SetMaintenance,
    SetOverrides,
)
from node.state.state import Refused, ServiceState
from node.state.telling import selection_of
from node.state.votes import Abstention, WithdrawVotes
from node.zone.name import from_text, to_text
from node.zone.rrset import AAAA, A
from tests.state.play import WWW, ZONE, Play, places

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))
LETTERS = {letter: f"192.0.2.{number}" for number, letter in enumerate("abcdef", 1)} | {
    letter: f"2001:db8::{number}" for number, letter in enumerate("uvwxyz", 1)
}
_NUMBERS = {
    "fail_open": "fail_open_percent",
    "min_up": "min_up",
    "max_answers": "max_answers",
    "ttl": "ttl",
    "ttl_min": "ttl_min",
    "separate_families": "separate_families",
}


class Player(Play):
    """One cluster; each method is a word of the scenarios."""

    def __init__(self) -> None:
        super().__init__()
        self._is_refused = False

    @property
    def known(self) -> ServiceState:
        return self.state.services[WWW]

    def do(self, command: Command) -> None:
        result = self.try_(command).result
        assert self._is_refused == isinstance(result, Refused), result
        if WWW in self.state.services:
            told = {each.address for each in self.stories() if each.published}
            assert told == set(self.known.published) & {address for address, _ in self.known.endpoints}

    def stories(self) -> list[EndpointStory]:
        return [each for type_ in (A, AAAA) for each in explain(self.state, WWW, type_).endpoints]

    def nodes(self, *words: str) -> None:
        """``nodes n1@fra n2``"""
        members = tuple(Member(name, site=site) for name, _, site in (word.partition("@") for word in words))
        self.do(Seed(members, (PutZone(ZONE, ZoneSettings((from_text("ns.example.org"),), WWW)),)))

    def service(self, *words: str) -> None:
        """``service a b@2 rule=any fail_open=100``: endpoints with priorities, and settings"""
        endpoints = [Endpoint(LETTERS[w[0]], priority=int(w[2:] or 1)) for w in words if "=" not in w]
        fields: dict[str, Any] = {}
        check = Check("tcp", 80)
        for key, _, value in (word.partition("=") for word in words if "=" in word):
            if key == "rule":
                fields[key] = read_rule(value)
            elif key == "check":
                check = Check("push", 0)
                assert "push" == value
            elif key == "flaps":
                fields["flap_limit"] = FlapLimit(*(int(each) for each in value.split("/")))
            elif key == "failback":
                milliseconds = int(value) * 1000 if value.isdigit() else None
                fields[key] = read_failback(value, milliseconds)
            elif key == "fallback":
                fields |= {"fallback": (value,), "when_down": "fallback"}
            else:
                number = bool(int(value)) if key == "separate_families" else value
                fields[_NUMBERS.get(key, key)] = int(value) if key in _NUMBERS and number == value else number
        self.do(PutService(Service(WWW, ZONE, check, tuple(endpoints), **fields)))

    def vote(self, node: str, letters: str, word: str) -> None:
        """``vote n1 ab down``: in one entry"""
        ballots = tuple(Ballot(WWW, LETTERS[letter], word == "up") for letter in letters)
        self.do(CastVotes(node, ballots))

    def all(self, letters: str, word: str) -> None:
        """``all a down``: every node says so"""
        for member in self.state.members:
            self.vote(member.name, letters, word)

    def drop(self, node: str) -> None:
        self.do(DropVotes(node))

    def withdraw(self, node: str, letters: str) -> None:
        """``withdraw n1 a``: the node has had no result for too long"""
        why = "no result for more than 4 s: this node has no file descriptor left"
        self.do(WithdrawVotes(node, tuple(Abstention(WWW, LETTERS[letter], why) for letter in letters)))

    def _places(self, letters: str) -> tuple[Place, ...]:
        return places(*(LETTERS[letter] for letter in letters))

    def drain(self, letters: str, seconds: str = "0", *words: str) -> None:
        """``drain ab 30 automated``"""
        until_ms = self.now_ms + int(seconds) * 1000 if int(seconds) else 0
        automated = "automated" in words
        self.do(SetOverrides(self._places(letters), "drain", until_ms, "allow-empty" in words, automated))

    def force(self, letters: str, word: str) -> None:
        assert word in ("up", "down")
        self.do(SetOverrides(self._places(letters), "up" if word == "up" else "down"))

    def release(self, letters: str) -> None:
        self.do(ClearOverrides(self._places(letters)))

    def failback(self, letters: str) -> None:
        self.do(EndWaits(self._places(letters)))

    def failover(self, letters: str) -> None:
        """``failover b``: all others are forced down in the same step"""
        known = {address: letter for letter, address in LETTERS.items()}
        others = "".join(known[address] for address, _ in self.known.endpoints if known[address] not in letters)
        self.do(SetOverrides(self._places(others), "down", released=self._places(letters)))

    def maintenance(self, word: str, after: str = "0", lasts: str = "0") -> None:
        """``maintenance on 60 30``: begins in 60 s, lasts 30 s"""
        from_ms = self.now_ms + int(after) * 1000 if int(after) else 0
        until_ms = (from_ms or self.now_ms) + int(lasts) * 1000 if int(lasts) else 0
        self.do(SetMaintenance(WWW, word == "on", from_ms, until_ms))

    def wait(self, seconds: str) -> None:
        """``wait 30``: the leader looks at what is due, before and after"""
        self.do(KeepSchedule(self.now_ms))
        self.now_ms += int(seconds) * 1000
        self.do(KeepSchedule(self.now_ms))

    def refused(self, *words: str) -> None:
        """``refused drain a``: the rest of the line is refused, and changes nothing but the index"""
        before = self.known
        self._is_refused = True
        self.play(list(words))
        self._is_refused = False
        assert before == self.known

    def dns(self, *words: str) -> None:
        """``dns ab``, ``dns 198.51.100.7``, ``dns nothing``: what is published"""
        letters = {LETTERS[letter] for word in words if set(word) <= set(LETTERS) for letter in word}
        others = {word for word in words if not set(word) <= set(LETTERS) and word != "nothing"}
        assert letters | others == set(self.known.published)

    def verdict(self, letters: str, word: str) -> None:
        assert [word] * len(letters) == [
            dict(self.known.endpoints)[LETTERS[letter]].verdict for letter in letters
        ]

    def reason(self, letters: str, *words: str) -> None:
        """``reason a forced up``: the word for why"""
        reasons = dict(selection_of(self.known).reasons)
        assert [" ".join(words)] * len(letters) == [reasons[LETTERS[letter]] for letter in letters]

    def explained(self, letter: str, text: str) -> None:
        """``explained a 'held until'``: the explanation of an endpoint says this"""
        stories = {each.address: each for each in self.stories()}
        said = "\n".join(line.text for line in stories[LETTERS[letter]].lines)
        assert text in said, said

    def ttl(self, seconds: str) -> None:
        """``ttl 300``: of every record that stands in DNS"""
        node = self.state.zones[ZONE].node(WWW)
        assert node is not None
        assert {int(seconds)} == {rrset.ttl for rrset in node.rrsets}

    def failopen(self, word: str) -> None:
        assert (word == "on") == self.known.fail_open

    def told(self, kind: str, count: str = "1") -> None:
        """``told service.down 1``: so many events of a kind since the last time this was asked"""
        assert int(count) == self.kinds.count(kind)
        self.kinds = [each for each in self.kinds if each != kind]

    def play(self, words: list[str]) -> None:
        getattr(self, words[0])(*words[1:])


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario(path: Path) -> None:
    """Every line holds; a failure names it."""
    first, *lines = path.read_text("utf-8").splitlines()
    assert first.startswith("# ")
    player = Player()
    for number, line in enumerate(lines, 2):
        words = shlex.split(line, comments=True)
        if not words:
            continue
        try:
            player.play(words)
        except AssertionError as error:
            raise AssertionError(f"{path.name}:{number}: {line}: {error}") from None
    assert to_text(WWW) == to_text(player.known.service.fqdn)


def test_there_are_scenarios() -> None:
    """One for every rule."""
    assert len(SCENARIOS) >= 15
