"""Logging: what a line may hold and what it must not."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from node.observe.components import component_of
from node.observe.repeats import Repeats, tell_repeats

ROOT = Path(__file__).parent.parent

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


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def written(repeats: Repeats, count: int, method: str = "warning", **fields: object) -> int:
    """Return how many of so many lines are written."""
    lines = 0
    for number in range(count):
        with contextlib.suppress(structlog.DropEvent):
            repeats(None, method, {"event": "push.failed", "number": number, **fields})
            lines += 1
    return lines


def test_repeats_are_summed() -> None:
    """Five lines that say the same within a minute, then how many more; other texts are other lines."""
    clock = Clock()
    repeats = Repeats(clock)
    assert (5, 5, 20) == (
        written(repeats, 20, target="a"),
        written(repeats, 5, target="b"),
        written(repeats, 20, "info", target="a"),
    )
    assert [] == list(repeats.left_out())
    clock.now_s += 61
    assert 0 == written(repeats, 3, target="a")
    assert [("push.failed target=a", 18)] == list(repeats.left_out())
    assert [] == list(repeats.left_out())
    assert 5 == written(repeats, 20, target="a")


def test_one_event_cannot_flood_with_ever_other_texts() -> None:
    """Two hundred lines a minute, whatever they say; what is remembered is bounded."""
    clock = Clock()
    repeats = Repeats(clock)
    assert 200 == sum(written(repeats, 1, detail=str(number)) for number in range(3_000))
    assert len(repeats._windows) <= 1_000
    clock.now_s += 61
    assert ("push.failed", 2_800) in list(repeats.left_out())


def test_lines_left_out_are_told_of() -> None:
    """The task of the daemon writes one line for them."""

    async def main() -> None:
        task = asyncio.create_task(tell_repeats())
        await asyncio.sleep(0.05)
        task.cancel()

    with pytest.MonkeyPatch.context() as patch, structlog.testing.capture_logs() as logs:
        clock = Clock()
        repeats = Repeats(clock)
        written(repeats, 9, target="a")
        clock.now_s += 61
        patch.setattr("node.observe.repeats.repeats", repeats)
        patch.setattr("node.observe.repeats._TELL_EVERY_S", 0.01)
        asyncio.run(main())
    (line,) = logs
    assert ("log.repeated", "push.failed target=a", 4) == (line["event"], line["of"], line["count"])


@pytest.mark.parametrize(
    ("path", "component"),
    [
        ("node/wiring.py", "main"),
        ("node/config/reader.py", "load_conf"),
        ("node/reload.py", "load_conf"),
        ("node/push/pusher.py", "push"),
        ("node/dns_room.py", "dns"),
        ("raft/core.py", "raft"),
        ("/usr/lib/python3/asyncio/events.py", "main"),
    ],
)
def test_every_line_names_its_component(path: str, component: str) -> None:
    """By the file that it is written in, so that one can look for it."""
    assert component == component_of(str(ROOT / path))


_SAY = """
import structlog
from node.observe import configure_logging, set_level
configure_logging("info", "{format}")
log = structlog.get_logger()
log.debug("a.hidden")
set_level("debug")
log.debug("a.shown", target="t")
set_level("error")
log.warning("a.late")
"""


def said(log_format: str, **environ: str) -> list[str]:
    """Return the lines that a process writes whose level changes while it runs."""
    code = _SAY.format(format=log_format)
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
        env={**os.environ, **environ},
    )
    return ended.stderr.splitlines()


def test_the_level_changes_at_run_time() -> None:
    """Also for loggers that were used before; JSON and console both name the component."""
    (line,) = said("json")
    expected = {"event": "a.shown", "level": "debug", "component": "main", "target": "t"}
    assert expected.items() <= json.loads(line).items()
    assert "pathname" not in line
    (line,) = said("console")
    assert "[main] a.shown" in line
    assert line.endswith("target=t")


def fields_of(datagram: bytes) -> dict[str, str]:
    """Read a datagram as journald does."""
    fields = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            length = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + length], rest[9 + length :]
        fields[name.decode()] = value.decode()
        datagram = rest
    return fields


def test_the_journal_gets_fields(tmp_path: Path) -> None:
    """Priority, identifier, the place in the code, and every value of the line under a name of its own."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(tmp_path / "socket"))
        journald.settimeout(5)
        code = f"""
import structlog
from node.observe import configure_logging, journal
journal.JournalLogger.__init__.__defaults__ = ({str(tmp_path / "socket")!r},)
configure_logging("info", "journal")
log = structlog.get_logger()
log.warning("push.failed", target="knot-eu", detail="a\\nb", **{{"odd key!": 1}})
try:
    raise LookupError("no such row")
except LookupError:
    log.exception("request.failed", secret_free=True)
"""
        subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
        failed, crashed = fields_of(journald.recv(65_536)), fields_of(journald.recv(65_536))
    expected = {
        "MESSAGE": "[main] push.failed target=knot-eu detail=a\nb odd key!=1",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "quorumdns",
        "QDNS_EVENT": "push.failed",
        "QDNS_COMPONENT": "main",
        "QDNS_TARGET": "knot-eu",
        "QDNS_DETAIL": "a\nb",
        "QDNS_ODD_KEY_": "1",
        "CODE_FILE": "<string>",
        "CODE_FUNC": "<module>",
    }
    assert expected.items() <= failed.items()
    assert failed["CODE_LINE"].isdigit()
    assert crashed["MESSAGE"].startswith("[main] request.failed")
    assert crashed["MESSAGE"].endswith("LookupError: no such row")
    assert "3" == crashed["PRIORITY"]


def test_a_journal_that_is_gone_leaves_standard_error() -> None:
    """The line is not lost, and the node goes on; JOURNAL_STREAM of another stream is not ours."""
    assert any("[main] a.shown target=t" in line for line in said("journal"))
    (line,) = said("auto", JOURNAL_STREAM="1:2")
    assert "a.shown" == json.loads(line)["event"]
