"""A write is sent until it is known what became of it, each time with the same key."""

from collections.abc import Callable
from typing import Any

import pytest

from node.cli.faults import ExitCode, Failure
from node.cli.repeating import PAUSE_S, TRIES_MAX, Passed, send_until_known
from tests.cli.conftest import Qdns, Serve
from tests.cli.fake import problem, scene

SET = ("record", "set", "www.example.net", "A", "192.0.2.1")
PATH = "PUT /v1/zones/-/rrsets/www.example.net/A"
UNKNOWN = Failure("outcome unknown", ExitCode.UNKNOWN)
NO_LEADER = Failure("no leader", ExitCode.NO_QUORUM)
GONE = Failure("not found", ExitCode.NOT_FOUND)
NOWHERE = Failure("no node answered", ExitCode.UNREACHABLE)


def sent(urls: str, *script: Any) -> tuple[Any, str, list[float]]:
    """Return what came of a write, the nodes that were asked, and the pauses."""
    steps, asked, pauses = list(script), [], []

    def send(url: str) -> str:
        asked.append(url)
        step = steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return str(step)

    try:
        result: Any = send_until_known(tuple(urls), send, lambda _: NOWHERE, pauses.append)
    except Failure as failure:
        result = failure
    return result, "".join(asked), pauses


@pytest.mark.parametrize(
    ("urls", "script", "result", "asked"),
    [
        ("abc", ["done"], "done", "a"),
        ("abc", [UNKNOWN, "done"], "done", "ab"),
        ("abc", [Passed("refused"), UNKNOWN, "done"], "done", "abc"),
        ("a", [UNKNOWN, "done"], "done", "aa"),
        ("a", [UNKNOWN, Passed("refused"), "done"], "done", "aaa"),
        ("ab", [UNKNOWN, NO_LEADER, "done"], "done", "aba"),
        ("ab", [UNKNOWN, GONE], GONE, "ab"),
        ("a", [NO_LEADER], NO_LEADER, "a"),
        ("abc", [NO_LEADER, "done"], "done", "ab"),
        ("abc", [NO_LEADER, Passed("refused"), NO_LEADER], NO_LEADER, "abc"),
        ("abc", [NO_LEADER, UNKNOWN, "done"], "done", "abc"),
        ("abc", [NO_LEADER, GONE], GONE, "ab"),
        ("abc", [GONE], GONE, "a"),
        ("ab", [UNKNOWN] * 3, UNKNOWN, "aba"),
        ("ab", [UNKNOWN, NO_LEADER, NO_LEADER], UNKNOWN, "aba"),
        ("ab", [UNKNOWN] + [Passed("refused")] * 4, UNKNOWN, "ababa"),
        ("ab", [Passed("refused")] * 2, NOWHERE, "ab"),
    ],
)
def test_who_is_asked_and_what_is_told(urls: str, script: list[Any], result: Any, asked: str) -> None:
    """After a try without an outcome only the log's word ends it; what never went out is not repeated."""
    assert (result, asked) == sent(urls, *script)[:2]


def test_a_node_is_given_a_moment_before_it_is_asked_again() -> None:
    """Another node is asked at once."""
    assert [PAUSE_S] == sent("ab", UNKNOWN, UNKNOWN, "done")[2]
    assert [] == sent("ab", UNKNOWN, "done")[2]


def test_the_next_node_is_asked_under_the_same_key(qdns: Qdns, serve: Serve) -> None:
    """A dropped connection costs nothing but time, and another write has another key."""
    first = serve(scene("degraded") | {PATH: {"drop": True}})
    second = serve("degraded")
    for _ in range(2):
        assert 0 == qdns(*SET, "--api", f"{first.url},{second.url}").code
    keys = [[each.headers["idempotency-key"] for each in node.writes] for node in (first, second)]
    assert keys[0] == keys[1]
    assert 2 == len(set(keys[0]))


def test_a_node_that_does_not_know_is_no_end(qdns: Qdns, serve: Serve) -> None:
    """``outcome_unknown`` is asked about elsewhere."""
    first = serve(
        scene("degraded") | {PATH: problem(503, "outcome_unknown", "outcome unknown: the leader went")}
    )
    second = serve("degraded")
    assert 0 == qdns(*SET, "--api", f"{first.url},{second.url}").code
    assert (1, 1) == (len(first.writes), len(second.writes))


def test_it_ends() -> None:
    """No number of nodes makes more tries than there may be."""
    asked: list[str] = []

    def send(url: str) -> None:
        asked.append(url)
        raise UNKNOWN

    pause: Callable[[float], None] = lambda _: None  # noqa: E731
    with pytest.raises(Failure):
        send_until_known(tuple("abcdefgh"), send, lambda _: NOWHERE, pause)
    assert TRIES_MAX == len(asked)


def test_a_write_passes_over_a_node_that_is_not_ready(qdns: Qdns, serve: Serve) -> None:
    """A node that has not caught up did nothing, and another one may."""
    first = serve(scene("degraded") | {PATH: problem(503, "not_ready", "this node has not caught up")})
    second = serve("degraded")
    assert 0 == qdns(*SET, "--api", f"{first.url},{second.url}").code
    assert (1, 1) == (len(first.writes), len(second.writes))
