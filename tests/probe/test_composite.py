"""A composite check judges its parts together."""

import asyncio

import pytest

from node.health.service import Check, Part
from node.probe.checks import run
from node.probe.composite import judge_parts
from node.probe.result import ProbeResult
from node.zone.name import from_text
from tests.probe import gallery
from tests.probe.gallery import listening, says

GOOD = ProbeResult(True, 3, "HTTP 200", True)
BAD = ProbeResult(False, 7, "HTTP 503", True)
UNTRIED = ProbeResult(False, 0, "may not ping", tried=False)
HTTP = Check("http", 80)


def judge(results, needed=0, must=(), observe=()):
    parts = tuple(Part(HTTP, index in must, index in observe) for index in range(len(results)))
    return judge_parts(Check("composite", 0, parts=parts, needed=needed), results)


CASES = [
    ([GOOD, GOOD], {}, True),
    ([GOOD, BAD], {}, False),
    ([GOOD, BAD], {"needed": 1}, True),
    ([BAD, BAD], {"needed": 1}, False),
    ([GOOD, GOOD, BAD], {"needed": 2}, True),
    ([GOOD, BAD, BAD], {"needed": 2}, False),
    ([BAD, GOOD, GOOD], {"needed": 1, "must": {0}}, False),
    ([GOOD, BAD, BAD], {"needed": 1, "must": {0}}, True),
    ([GOOD, BAD], {"observe": {1}}, True),
    ([BAD, GOOD], {"observe": {1}}, False),
    ([BAD, GOOD], {"needed": 1, "observe": {1}}, False),
]


@pytest.mark.parametrize(("results", "options", "up"), CASES)
def test_the_rule(results, options, up):
    """All, any or k parts are needed; must-pass parts besides; observed ones never count."""
    result = judge(results, **options)
    assert (up, True) == (result.up, result.tried)


UNTRIED_CASES = [
    ([GOOD, UNTRIED], {}, False, False),
    ([BAD, UNTRIED], {}, False, True),
    ([GOOD, UNTRIED], {"needed": 1}, True, True),
    ([BAD, UNTRIED], {"needed": 1}, False, False),
    ([GOOD, UNTRIED], {"needed": 1, "must": {1}}, False, False),
    ([GOOD, UNTRIED], {"observe": {1}}, True, True),
]


@pytest.mark.parametrize(("results", "options", "up", "tried"), UNTRIED_CASES)
def test_what_could_not_be_tried(results, options, up, tried):
    """The whole says nothing exactly when the untried part might have turned the outcome."""
    result = judge(results, **options)
    assert (up, tried) == (result.up, result.tried)


def test_the_evidence_names_what_is_wrong():
    """How many were good and needed, and each fault, in a bounded text."""
    assert "1 of 2 good, 2 needed; http 80: HTTP 503" == judge([GOOD, BAD]).evidence
    assert "1 of 1 good, 1 needed; http 80: HTTP 503" == judge([GOOD, BAD], observe={1}).evidence
    long = ProbeResult(False, 0, "x" * 150, True)
    assert 200 == len(judge([long] * 8).evidence)
    assert 7 == judge([GOOD, BAD]).latency_ms


def test_parts_are_probed_at_once():
    """Every part has the whole deadline, and they share it."""

    async def play():
        async with (
            listening(says(b"HTTP/1.1 200 OK\r\n\r\n")) as web,
            listening(gallery.never_answers) as silent,
        ):
            slow = Part(Check("tcp", silent.port, expect="x"))
            check = Check("composite", 0, parts=(slow, slow, Part(Check("http", web.port))), needed=1)
            return await run(check, from_text("www.example.test"), "127.0.0.1", 0.3)

    result = asyncio.run(play())
    assert (True, True) == (result.up, result.answered)
    assert result.evidence.startswith("1 of 3 good, 1 needed; tcp ")
    assert result.latency_ms < 550
