"""The page on metrics names those that a node exposes, all of them and no others."""

import re
from dataclasses import replace

from node.api.context import ProbeSummary, ReceiverRow, TrustSummary
from node.api.metrics.exposition import expose
from node.api.metrics.sight import take
from node.dns.answer_counts import answer_row
from node.dns.answerer_stats import LINE_WORDS
from node.dns.counters import Counters
from node.state.state import Receiver
from node.statsd import Statsd, StatsdSettings
from node.tally import Tally
from node.zone.name import from_text
from tests.api.conftest import NOW_MS, SEED, FakeCluster
from tests.config.helpers import LONE, accepted
from tests.docs.test_readme import ROOT

PAGE = (ROOT / "docs" / "metrics.md").read_text().partition("\n## StatsD\n")[0]


def counted() -> Counters:
    """Return what DNS counts, something of everything."""
    found = Counters()
    found.queries["udp", "A"] += 1
    found.responses.update(("NOERROR", "SERVFAIL"))
    found.dropped["short"] += 1
    return found


def tally() -> Tally:
    """Return counters that have counted something of everything."""
    found = Tally("ns1")
    found.probe_ended(from_text("www.example.com"), True, 0.01)
    found.push_ended("knot", False, 0.01)
    found.apply_times.add(0.001)
    found.transitions["up"] += 1
    found.backup_at_ms = NOW_MS
    return found


def everything() -> str:
    """Return what a node exposes that has something of everything."""
    cluster = FakeCluster()
    cluster.do(SEED)
    cluster.vote("192.0.2.10", True)
    cluster.replica = replace(cluster.replica, stale_s=0.5)
    context = cluster.context(
        answers=lambda: answer_row(counted(), [0] * LINE_WORDS, 0),
        probes=lambda: ProbeSummary(True, 3, 2),
        trust=lambda: TrustSummary(NOW_MS),
        tally=tally(),
        receivers=lambda: (ReceiverRow("ops", "webhook", "hooks.example.net", Receiver(7, 9)),),
    )
    return expose(take(context)).decode()


def exposed() -> dict[str, set[str]]:
    """Return the labels of every metric of that node."""
    text = everything()
    found: dict[str, set[str]] = {name: set() for name in re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE)}
    for name, labels in re.findall(r"^(\w+)\{(.*)\} ", text, re.MULTILINE):
        family = name if name in found else name.removesuffix("_bucket")
        found[family] |= set(re.findall(r'(\w+)="', labels)) - {"le"}
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


def test_the_example_of_statsd_loads() -> None:
    """It is a table of ``cluster.toml``; the names that are described are those that are sent."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    (block,) = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert StatsdSettings("127.0.0.1", 8125, "rrdnsd", "datadog") == accepted(LONE + block).statsd
    described_names = set(re.findall(r"`([a-z_]+(?:\.[a-z_]+)*)`", page.partition("| name | kind |")[2]))
    found = tally()
    statsd = Statsd(StatsdSettings("127.0.0.1", 1), Tally("ns1"), lambda: 0.0, lambda: True)
    statsd._tally = found
    found.probe_ended(from_text("www.example.com"), False, 0.01)
    found.votes_received += 1
    assert {line.decode().partition(":")[0] for line in statsd._lines()} == described_names
