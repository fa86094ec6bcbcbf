"""The dashboard: every metric and label that it asks for is there, and Grafana can read it."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.docs.test_metrics import exposed

PATH = Path(__file__).parent.parent.parent / "deploy" / "grafana" / "quorumdns.json"
BOARD: dict[str, Any] = json.loads(PATH.read_text())
OWN = {"le", "instance"}
"""Labels that Prometheus adds, or that histograms have."""


def expressions() -> list[str]:
    return [target["expr"] for panel in BOARD["panels"] for target in panel.get("targets", [])]


def test_every_metric_and_label_exists() -> None:
    """What a panel shows is in the exposition of a node that has something of everything."""
    known = exposed()
    for expression in expressions():
        names = re.findall(r"\bqdns_\w+", expression)
        assert names, expression
        labels: set[str] = set(OWN)
        for name in names:
            family = re.sub(r"_(bucket|count|sum)$", "", name)
            assert name in known or family in known, name
            labels |= known.get(name, set()) | known.get(family, set())
        for group in re.findall(r"\b(?:by|on|group_left) ?\(([^)]*)\)", expression):
            used = {each.strip() for each in group.split(",")}
            assert used <= labels, expression
        for selector in re.findall(r'\{(\w+)="', expression):
            assert selector in labels, expression


def test_every_row_of_the_design_is_there() -> None:
    """State, services over time, votes, probe times, DNS, pushes and the log; no two panels overlap."""
    rows = [panel["title"] for panel in BOARD["panels"] if panel["type"] == "row"]
    assert ["State", "Services", "Probes", "DNS", "Pushes and notices", "Log"] == rows
    kinds = {panel["title"]: panel["type"] for panel in BOARD["panels"]}
    assert ("state-timeline", "state-timeline", "heatmap") == (
        kinds["In DNS"],
        kinds["Votes"],
        kinds["Probe times"],
    )
    places: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & places, panel["title"]
        assert at["x"] + at["w"] <= 24
        places |= cells
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_understands_every_expression(tmp_path: Path) -> None:
    """Each is a rule that promtool takes."""
    rules = [
        {"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(expressions())
    ]
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"groups": [{"name": "board", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert 0 == done.returncode, done.stdout + done.stderr
