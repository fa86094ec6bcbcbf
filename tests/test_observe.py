"""Logging: what a line may hold and what it must not."""

import subprocess
import sys

import pytest

_FAIL = """
import structlog
from node.observe import configure_logging

configure_logging("info", "{format}")


def handle(headers):
    raise LookupError("no such row")


try:
    handle({{"authorization": "Bearer " + "qdns_" + "top" + "secret"}})
except LookupError:
    structlog.get_logger().exception("request.failed")
"""


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_traces_hold_no_local_variables(log_format: str) -> None:
    """A trace says where and why, never what the variables held: those hold tokens and keys."""
    code = _FAIL.format(format=log_format)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)
    assert "no such row" in ended.stderr
    assert "handle" in ended.stderr
    assert "qdns_topsecret" not in ended.stderr
