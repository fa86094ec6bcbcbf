"""How votes become a verdict, rule by rule; in doubt the last verdict stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.health.rule import RULES, Rule, judge, problem
from node.health.verdict import VerdictWord, decide

SITES = {"a": "fra", "b": "fra", "c": "ams", "d": "ams", "e": "lhr"}


def said(text: str) -> dict[str, bool]:
    """Read ``+-.``: up, down, no vote, in the order of the nodes."""
    return {name: sign == "+" for name, sign in zip("abcde", text, strict=False) if sign != "."}


CASES = [
    (Rule(), "+++..", "up"),
    (Rule(), "++---", "down"),
    (Rule(), "++--.", "held"),
    (Rule("any"), "++++-", "down"),
    (Rule("any"), "+++..", "up"),
    (Rule("any"), "-....", "held"),
    (Rule("any", min_voters=1), "-....", "down"),
    (Rule("all"), "-----", "down"),
    (Rule("all"), "---..", "down"),
    (Rule("all"), "----+", "up"),
    (Rule("count", 2), "--+++", "down"),
    (Rule("count", 2), "-++++", "up"),
    (Rule("count", 2), "-++..", "up"),
    (Rule("count", 4), "---..", "held"),
    (Rule("fraction", 40), "--+++", "down"),
    (Rule("fraction", 41), "--+++", "up"),
    (Rule("regions"), "----+", "down"),
    (Rule("regions"), "--+++", "up"),
    (Rule("regions"), "-+--+", "held"),
    (Rule("regions"), "--..-", "down"),
]


@pytest.mark.parametrize(("rule", "votes", "expected"), CASES)
def test_each_rule_decides_as_it_says(rule: Rule, votes: str, expected: str) -> None:
    """One row a situation; five nodes at three sites."""
    for last in ("up", "down", "undecided"):
        wanted = last if expected == "held" else expected
        assert wanted == judge(rule, said(votes), SITES, last)  # type: ignore[arg-type]


@given(st.dictionaries(st.sampled_from("abcdef"), st.booleans()), st.sampled_from(["up", "down", "undecided"]))
def test_majority_is_what_it_always_was(votes: dict[str, bool], last: VerdictWord) -> None:
    """The rule that nobody has to choose."""
    assert decide(votes, SITES, last) == judge(Rule(), votes, SITES, last)


@given(
    st.sampled_from([rule for rule, _, _ in CASES]),
    st.dictionaries(st.sampled_from("abcde"), st.booleans()),
    st.sampled_from(["up", "down", "undecided"]),
    st.sampled_from("abcde"),
)
def test_a_vote_never_works_against_what_it_says(
    rule: Rule, votes: dict[str, bool], last: VerdictWord, name: str
) -> None:
    """A node that turns from down to up never makes an endpoint go down that was not."""
    before = judge(rule, votes | {name: False}, SITES, last)
    after = judge(rule, votes | {name: True}, SITES, last)
    assert not (before == "up" and after == "down")


@pytest.mark.parametrize("last", ["up", "down", "undecided"])
@pytest.mark.parametrize("kind", RULES)
def test_silence_changes_nothing(kind: str, last: VerdictWord) -> None:
    """Without votes, and without voters, the last verdict stays."""
    rule = Rule(kind, 2 if kind in ("count", "fraction") else 0)  # type: ignore[arg-type]
    assert last == judge(rule, {}, SITES, last)
    assert last == judge(rule, {"a": False}, {}, last)


def test_a_rule_without_its_number_is_refused() -> None:
    """And one with a number that it has no use for."""
    assert "needs a number" in (problem(Rule("count")) or "")
    assert "takes no number" in (problem(Rule("any", 3)) or "")
    assert "min_voters" in (problem(Rule(min_voters=100)) or "")
    assert problem(Rule("fraction", 100)) is None
