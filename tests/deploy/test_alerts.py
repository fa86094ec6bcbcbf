"""The alert rules name metrics that a node exposes, and fire when they should."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.test_metrics import everything

RULES = Path(__file__).parent.parent.parent / "deploy" / "alerts.yml"
with_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def promtool(*words: str) -> str:
    done = subprocess.run(["promtool", *words], check=False, capture_output=True, text=True, timeout=60)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def exposed() -> str:
    return everything()


def expressions() -> list[str]:
    return re.findall(r"^ +expr: (.*)$", RULES.read_text(), re.MULTILINE)


def test_every_metric_is_exposed() -> None:
    """What a rule asks for is in the exposition of a node, with the labels it selects."""
    known = set(re.findall(r"^# TYPE (\w+) ", exposed(), re.MULTILINE))
    asked = [name for each in expressions() for name in re.findall(r"\bqdns_\w+", each)]
    assert len(asked) >= len(expressions()) == RULES.read_text().count("- alert:")
    assert [] == [name for name in asked if name not in known]


def test_every_state_is_exposed() -> None:
    """What a rule selects by a label is a value that the metric has."""
    text = exposed()
    selected = re.findall(r'(qdns_\w+)\{(\w+)=~?"([^"]+)"\}', " ".join(expressions()))
    assert selected
    for name, label, values in selected:
        for value in values.split("|"):
            assert re.search(rf'^{name}\{{[^}}]*{label}="{value}"', text, re.MULTILINE), (name, value)


@with_promtool
def test_promtool_reads_the_rules() -> None:
    """Prometheus takes the file."""
    assert f"{len(expressions())} rules found" in promtool("check", "rules", str(RULES))


CASES = (
    ("QuorumdnsNoQuorum", 'qdns_raft_has_quorum{instance="ns1"}', 0, 1),
    ("QuorumdnsNoLeader", 'qdns_raft_has_leader{instance="ns1"}', 0, 1),
    ("QuorumdnsNodeBehind", 'qdns_raft_lag_entries{instance="ns1"}', 101, 100),
    ("QuorumdnsNodeBehind", 'qdns_raft_peer_lag_entries{instance="ns1",peer="ns2"}', 101, 100),
    ("QuorumdnsPeerUnreachable", 'qdns_raft_peer_connected{instance="ns1",peer="ns2"}', 0, 1),
    (
        "QuorumdnsEndpointDown",
        'qdns_endpoint_verdict{instance="ns1",service="www",address="192.0.2.1",verdict="down"}',
        1,
        0,
    ),
    (
        "QuorumdnsServiceDown",
        'qdns_endpoint_verdict{instance="ns1",service="www",address="192.0.2.1",verdict="down"}',
        1,
        0,
    ),
    ("QuorumdnsPushFailing", 'qdns_push_state{instance="ns1",target="knot",state="failing"}', 1, 0),
    ("QuorumdnsPushFailing", 'qdns_push_state{instance="ns1",target="knot",state="held"}', 1, 0),
    ("QuorumdnsTwoLeaders", 'qdns_raft_is_leader{instance="ns1"}', 2, 1),
    ("QuorumdnsFailOpen", 'qdns_service_fail_open{instance="ns1",service="www"}', 1, 0),
    ("QuorumdnsNoticesFailing", 'qdns_notice_failures{instance="ns1",receiver="ops"}', 6, 5),
    ("QuorumdnsProbesLate", 'qdns_probe_late_endpoints{instance="ns1"}', 1, 0),
)


@with_promtool
@pytest.mark.parametrize(("alert", "series", "bad", "good"), CASES)
def test_rules_fire(tmp_path: Path, alert: str, series: str, bad: float, good: float) -> None:
    """A rule fires while its metric is bad for long, and not while it is good."""
    for value, firing in ((bad, 1), (good, 0)):
        test = tmp_path / f"{firing}.yml"
        test.write_text(
            f"rule_files: [{RULES}]\n"
            "tests:\n"
            "  - interval: 15s\n"
            f"    input_series: [{{series: '{series}', values: '{value}x40'}}]\n"
            "    promql_expr_test:\n"
            f"""      - expr: count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)\n"""
            "        eval_time: 9m\n"
            f"        exp_samples: [{{labels: '{{}}', value: {firing}}}]\n"
        )
        promtool("test", "rules", str(test))


MANY = (
    (
        "QuorumdnsConfigDrift",
        (
            ('qdns_config_info{instance="ns1",hash="a"}', "1x120"),
            ('qdns_config_info{instance="ns2",hash="HASH"}', "1x120"),
        ),
        {"HASH": ("b", "a")},
    ),
    (
        "QuorumdnsVotersDisagree",
        (
            ('qdns_endpoint_vote_up{node="ns1",service="www",address="192.0.2.1"}', "1x120"),
            ('qdns_endpoint_vote_up{node="ns2",service="www",address="192.0.2.1"}', "VOTEx120"),
        ),
        {"VOTE": ("0", "1")},
    ),
    (
        "QuorumdnsFlapping",
        (('qdns_endpoint_transitions_total{instance="ns1",verdict="down"}', "0+STEPx120"),),
        {"STEP": ("2", "0")},
    ),
    (
        "QuorumdnsServfail",
        (
            ('qdns_dns_responses_total{instance="ns1",rcode="NOERROR"}', "0+100x120"),
            ('qdns_dns_responses_total{instance="ns1",rcode="SERVFAIL"}', "0+STEPx120"),
        ),
        {"STEP": ("5", "0")},
    ),
    (
        "QuorumdnsBackupStale",
        (('qdns_backup_last_success_timestamp_seconds{instance="ns1"}', "WHENx120"),),
        {"WHEN": ("-200000", "0")},
    ),
)


@with_promtool
@pytest.mark.parametrize(("alert", "series", "words"), MANY)
def test_rules_on_several_series_fire(
    tmp_path: Path, alert: str, series: tuple[tuple[str, str], ...], words: dict[str, tuple[str, str]]
) -> None:
    """As above, for what only shows between series or over time."""
    for firing in (1, 0):
        text = "".join(f"      - {{series: '{name}', values: '{values}'}}\n" for name, values in series)
        for word, (bad, good) in words.items():
            text = text.replace(word, bad if firing else good)
        test = tmp_path / f"{firing}.yml"
        test.write_text(
            f"rule_files: [{RULES}]\ntests:\n  - interval: 15s\n    input_series:\n{text}"
            "    promql_expr_test:\n"
            f"""      - expr: count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)\n"""
            "        eval_time: 25m\n"
            f"        exp_samples: [{{labels: '{{}}', value: {firing}}}]\n"
        )
        promtool("test", "rules", str(test))
