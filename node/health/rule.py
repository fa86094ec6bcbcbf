"""How the votes of nodes become one verdict. Pure.

Every rule holds the last verdict when in doubt: with fewer votes than ``min_voters``, and where neither side has
what it needs. A node that is silent is on no side.
"""

from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

from node.counted import counted
from node.health.verdict import VerdictWord, decide, quorum

RuleKind = Literal["majority", "any", "all", "count", "fraction", "regions"]
RULES: tuple[RuleKind, ...] = ("majority", "any", "all", "count", "fraction", "regions")
NUMBER_NEEDED: dict[str, tuple[int, int]] = {"count": (1, 99), "fraction": (1, 100)}


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who must say down for an endpoint to be down.

    ``majority`` of the voters (and a majority must say up for up), ``any`` one of them, ``all`` that vote, a
    ``count`` of them, a ``fraction`` of them in percent, or the majority of ``regions``, each by its majority.
    """

    kind: RuleKind = "majority"
    number: int = 0
    """Nodes for ``count``, percent for ``fraction``."""
    min_voters: int = 0
    """So many must have a vote for anything to be decided; 0 means a majority of them, for every rule but majority."""

    def __str__(self) -> str:
        if self.kind == "count":
            return counted(self.number, "node")
        if self.kind == "fraction":
            return f"{self.number} % of the nodes"
        words = {
            "any": "any node",
            "all": "all nodes",
            "regions": "a majority of sites",
            "majority": "a majority",
        }
        return words[self.kind]


def read_rule(value: str | int, min_voters: int = 0) -> Rule:
    """Read ``majority``, ``any``, ``all``, ``regions``, a number of nodes or a share like ``40%``.

    Raises ``ValueError`` with a sentence.
    """
    text = str(value).strip()
    digits = text.removesuffix("%").rstrip()
    if digits.isascii() and digits.isdigit() and len(digits) <= 3:
        rule = Rule("fraction" if text.endswith("%") else "count", int(digits), min_voters)
    else:
        kind = next((each for each in RULES if each == text and each not in NUMBER_NEEDED), None)
        if kind is None:
            raise ValueError(
                f'"{text}" is no rule: majority, any, all, regions, a number of nodes, or a share like 40%'
            )
        rule = Rule(kind, 0, min_voters)
    sentence = problem(rule)
    if sentence:
        raise ValueError(sentence)
    return rule


def write_rule(rule: Rule) -> str:
    """Write a rule as ``read_rule`` reads it, without its voters."""
    if rule.kind == "count":
        return str(rule.number)
    return f"{rule.number}%" if rule.kind == "fraction" else rule.kind


def problem(rule: Rule) -> str | None:
    """Return a sentence that says why the rule cannot be accepted, or None."""
    if rule.kind in NUMBER_NEEDED:
        low, high = NUMBER_NEEDED[rule.kind]
        if not low <= rule.number <= high:
            return f"the rule {rule.kind} needs a number from {low} to {high}"
    elif rule.number:
        return f"the rule {rule.kind} takes no number"
    return None if 0 <= rule.min_voters <= 99 else "min_voters must be between 0 and 99"


def judge(
    rule: Rule,
    votes: Mapping[str, bool],
    voters: Mapping[str, str],
    last: VerdictWord,
    *,
    is_told: bool = False,
) -> VerdictWord:
    """Return the verdict of the votes (name to up) under the rule; ``voters`` gives each voter's site.

    Votes of others than the voters do not count. A site without a name is a site of its own. Where ``is_told``, voters
    do not look but are told, each perhaps alone: one that was told of something up is enough.
    """
    counted = {name: votes[name] for name in voters if name in votes}
    if is_told and any(counted.values()):
        return "up"
    if not voters or len(counted) < _needed_voters(rule, len(voters)):
        return last
    if rule.kind == "majority":
        return decide(counted, voters, last)
    if rule.kind == "regions":
        return _by_regions(counted, voters, last)
    needed = _needed_down(rule, len(voters), len(counted))
    down = sum(not up for up in counted.values())
    if down >= needed:
        return "down"
    # As many may still be silent as make no difference: those who say up suffice for the opposite.
    return "up" if len(counted) - down > max(0, len(counted) - needed) else last


def _needed_voters(rule: Rule, voters: int) -> int:
    if rule.kind == "majority":
        return rule.min_voters
    return rule.min_voters or quorum(voters)


def _needed_down(rule: Rule, voters: int, counted: int) -> int:
    """Return how many must say down."""
    if rule.kind == "any":
        return 1
    if rule.kind == "all":
        return counted
    if rule.kind == "fraction":
        return max(1, -(-voters * rule.number // 100))
    return rule.number


def _by_regions(votes: Mapping[str, bool], voters: Mapping[str, str], last: VerdictWord) -> VerdictWord:
    regions: dict[str, list[str]] = {}
    for name, site in voters.items():
        regions.setdefault(f"site {site}" if site else f"node {name}", []).append(name)
    said: dict[str, bool] = {}
    for region, names in regions.items():
        word = _region(votes, names)
        if word is not None:
            said[region] = word == "up"
    return decide(said, regions, last)


def _region(votes: Mapping[str, bool], names: Collection[str]) -> VerdictWord | None:
    word = decide(votes, names, "undecided")
    return None if word == "undecided" else word
