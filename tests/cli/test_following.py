"""Watching and following: one line a change through a pipe, the same screen on a terminal."""

import json
from dataclasses import replace
from typing import Any

import pytest

from node.cli import status_view
from node.cli.output import Printer
from node.cli.terminal import Terminal
from node.cli.watch import watch
from tests.cli.conftest import Qdns, Serve
from tests.cli.fake import FakeNode, problem, scene


@pytest.fixture(name="steps")
def fixture_steps(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What happens in the pauses of a watch, one after the other; at the end it is interrupted."""
    steps: list[Any] = []

    def pause(_: float) -> None:
        if not steps:
            raise KeyboardInterrupt
        steps.pop(0)()

    monkeypatch.setattr("node.cli.watch.pause", pause)
    return steps


def change(node: FakeNode, **answers: Any) -> None:
    node.answers["GET /v1/status"] = {"body": scene("healthy")["GET /v1/status"]["body"] | answers}


def test_piped_a_watch_prints_one_line_a_change(qdns: Qdns, serve: Serve, steps: list[Any]) -> None:
    """First everything, then only what differs; a node that is away is told and waited for."""
    node = serve("healthy")
    steps += [
        lambda: change(node, leader="ns2", term=13),
        lambda: node.answers.update({"GET /v1/status": problem(503, "not_ready", "it is starting")}),
        lambda: change(node, services=[]),
    ]
    ran = qdns("status", "-w")
    assert 130 == ran.code
    expected = [
        "14:12:03  cluster  healthy  leader ns1  term 12",
        "14:12:03  node ns1  ● ready",
        "14:12:03  node ns2  ● ready",
        "14:12:03  node ns3  ● ready",
        "14:12:03  service api.example.com  2 of 3 in DNS  ● 2 up  ◌ 1 standby",
        "14:12:03  push knot-eu  ● synced",
        "14:12:03  cluster  healthy  leader ns2  term 13",
        "14:12:03  cluster  no node answered",
        "14:12:03  cluster  healthy  leader ns1  term 12",
        "14:12:03  service api.example.com  gone",
    ]
    assert expected == ran.out.splitlines()


def test_watching_for_programs_gives_json_lines(qdns: Qdns, serve: Serve, steps: list[Any]) -> None:
    """Every line is an object with the time in UTC."""
    assert [] == steps
    serve("healthy")
    ran = qdns("services", "-w", "1s", "-o", "jsonl")
    expected = {
        "at": "2026-11-22T14:12:03.000Z",
        "about": "service api.example.com",
        "is": "2 of 3 in DNS  ● 2 up  ◌ 1 standby",
    }
    assert [expected] == [json.loads(line) for line in ran.out.splitlines()]


def test_on_a_terminal_the_screen_is_redrawn_in_place(steps: list[Any]) -> None:
    """Each look goes over the one before, clears what is left of it, and never scrolls."""
    status = scene("degraded")["GET /v1/status"]["body"]
    written: list[str] = []
    terminal = Terminal(is_terminal=True, width=80)
    out = replace(Printer(terminal), write=written.append)
    steps.append(lambda: None)
    with pytest.raises(KeyboardInterrupt):
        watch(out, 1.0, lambda: status, status_view.show, status_view.parts)
    clear, first, second = written
    assert "\x1b[2J" == clear
    assert first == second
    assert first.startswith("\x1b[Hprod   degraded")
    assert first.endswith("\x1b[K\x1b[J")
    assert first.count("\n") < 24


def events_page(events: list[Any], index: int, *, gap: bool = False) -> dict[str, Any]:
    return {"body": {"items": events, "next": None, "gap": gap}, "headers": {"Qdns-Index": str(index)}}


def test_following_events_goes_on_where_the_last_page_ended(
    qdns: Qdns, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event is shown twice or left out, also when one log entry has several; a gap is told."""
    events = scene("degraded")["GET /v1/events"]["items"]
    after = "GET /v1/events?after={}&limit=1000&index={}&wait=2500ms"
    serve(
        {
            "GET /v1/events": events_page(events[:3], 48190),
            after.format("48190.0", 48190): events_page(events[3:5], 48194),
            after.format("48190.2", 48194): events_page([], 48194, gap=True),
        }
    )
    looks = iter(range(2))
    flush = Printer.flush

    def look(out: Printer) -> None:
        flush(out)
        if next(looks, None) is None:
            raise KeyboardInterrupt

    monkeypatch.setattr(Printer, "flush", look)
    ran = qdns("event", "list", "--follow")
    *shown, last = ran.out.splitlines()
    expected = "14:08:02    48190  vote.cast         www.example.com. 2001:db8::12  ns2 down: HTTP 503"
    assert (130, expected) == (ran.code, shown[2])
    assert [each["kind"] for each in events[:5]] == [line.split()[2] for line in shown]
    assert last.startswith("(some events are missing here")


def test_following_waits_while_no_node_answers(qdns: Qdns, serve: Serve, steps: list[Any]) -> None:
    """A follower says once that no node answers, and goes on behind the last event when one does."""
    events = scene("degraded")["GET /v1/events"]["items"]
    behind = "GET /v1/events?after=48190.0&limit=1000&index=48190&wait=2500ms"
    away = problem(503, "not_ready", "it is starting")
    node = serve({"GET /v1/events": events_page(events[:3], 48190), behind: away})
    later = "GET /v1/events?after=48190.2&limit=1000&index=48194&wait=2500ms"
    steps += [
        lambda: None,
        lambda: node.answers.update({behind: events_page(events[3:5], 48194), later: away}),
    ]
    ran = qdns("event", "list", "--follow")
    shown = ran.out.splitlines()
    assert (130, "(no node answered; waiting for a node)") == (ran.code, shown[3])
    assert [each["kind"] for each in events[:5]] == [line.split()[2] for line in (*shown[:3], *shown[4:6])]
    assert ["(no node answered; waiting for a node)"] == shown[6:]
