"""The page on metrics names those that a node exposes, all of them and no others."""

import re
from dataclasses import replace

from node.api.context import ProbeSummary, TrustSummary
from node.api.metrics.exposition import expose
from node.api.metrics.sight import take
from node.dns.answer_counts import answer_row
from node.dns.answerer_stats import LINE_WORDS
from node.dns.counters import Counters
from tests.api.conftest import NOW_MS, SEED, FakeCluster
from tests.docs.test_readme import ROOT

PAGE = (ROOT / "docs" / "metrics.md").read_text()


def exposed() -> dict[str, set[str]]:
    """Return the labels of every metric of a node that has something of everything."""
    cluster = FakeCluster()
    cluster.do(SEED)
    cluster.vote("192.0.2.10", True)
    cluster.replica = replace(cluster.replica, stale_s=0.5)
    context = cluster.context(
        answers=lambda: answer_row(Counters(), [0] * LINE_WORDS, 0),
        probes=lambda: ProbeSummary(True, 3, 2),
        trust=lambda: TrustSummary(NOW_MS),
    )
    text = expose(take(context)).decode()
    found: dict[str, set[str]] = {name: set() for name in re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE)}
    for name, labels in re.findall(r"^(\w+)\{(.*)\} ", text, re.MULTILINE):
        found[name] |= set(re.findall(r'(\w+)="', labels))
    return found


def described() -> dict[str, set[str]]:
    """Return the names and labels in the page's tables."""
    rows = re.findall(r"^\| (`.*?`) \|(.*?)\|", PAGE, re.MULTILINE)
    return {
        name: set(re.findall(r"`(\w+)`", labels))
        for names, labels in rows
        for name in re.findall(r"`(\w+)`", names)
    }


def test_the_tables_are_the_exposition() -> None:
    """Every metric is described with its labels, and nothing else is."""
    found, said = exposed(), described()
    assert sorted(found) == sorted(said)
    assert {} == {name: labels for name, labels in found.items() if not labels <= said[name]}
