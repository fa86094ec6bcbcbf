"""A stream of events goes on at another node: none twice, none missing, wherever it was cut."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.lab import why_not
from tests.cluster.nodes import Nodes
from tests.cluster.three import three_nodes

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(200),
    pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}"),
]
ZONES = 20
"""So many events of one entry."""


def test_a_stream_goes_on_at_another_node(tmp_path: Path) -> None:
    """Read at one node that is killed in the midst of an entry's events, and behind an entry, then at the others."""
    with three_nodes(tmp_path) as nodes:
        start = nodes.api("GET", 1, "/v1/events").json()["items"][-1]["index"]
        _write(nodes, 1, "a")
        seen = _read(nodes, 1, f"{start}", "a9.test.")
        assert "." in seen[-1]["id"], "the entry is not cut"
        nodes.kill(1)
        nodes.wait_ready(2, 3)
        _write(nodes, 3, "b")
        seen += _read(nodes, 2, seen[-1]["id"], "b19.test.")
        assert "." not in seen[-1]["id"]
        _write(nodes, 2, "c")
        seen += _read(nodes, 3, seen[-1]["id"], "c19.test.")
        places = [(each["index"], each["number"]) for each in seen]
        listed = nodes.api("GET", 3, f"/v1/events?after={start}&limit=1000").json()["items"]
        assert [place for each in listed if (place := (each["index"], each["number"])) <= places[-1]] == places


def _write(nodes: Nodes, number: int, word: str) -> None:
    """Make one entry with many events at one node."""
    zones = [f"{word}{each}.test" for each in range(ZONES)]
    body = {"nameservers": ["ns1.example.com"]}
    operations = [{"method": "PUT", "path": f"/v1/zones/{zone}", "body": body} for zone in zones]
    done = nodes.api("POST", number, "/v1/batch", json={"operations": operations})
    assert 200 == done.status_code, done.text


def _read(nodes: Nodes, number: int, last: str, subject: str) -> list[dict[str, Any]]:
    """Return the events behind one, each with its id, up to the one of this subject."""
    found = []
    for each in _stream(nodes, number, last):
        found.append(each)
        if each["subject"] == subject:
            return found
    raise AssertionError(f"the stream ended before {subject}")


def _stream(nodes: Nodes, number: int, last: str) -> Iterator[dict[str, Any]]:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": last}
    answer = nodes.api("GET", number, "/v1/events", headers=headers, stream=True)
    block: dict[str, str] = {}
    for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
        key, _, value = line.partition(": ")
        if line:
            block[key] = value
            continue
        assert "reset" != block.get("event"), "events are missing"
        if "data" in block:
            yield json.loads(block["data"]) | {"id": block["id"]}
        block = {}
