"""Watching: on a terminal the same screen again and again, piped one line for every change."""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from node.cli.faults import ExitCode, Failure
from node.cli.output import Printer
from node.cli.times import clock, utc_now

if TYPE_CHECKING:
    from node.cli.event_stream import Wake

_HOME = "\x1b[H"
_CLEAR = "\x1b[2J"
_CLEAR_BELOW = "\x1b[J"
_CLEAR_REST = "\x1b[K"


def pause(seconds: float) -> None:
    """Wait between two looks."""
    time.sleep(seconds)


def watch(
    out: Printer,
    interval_s: float,
    fetch: Callable[[], Any],
    show: Callable[[Any, Printer], None],
    parts: Callable[[Any], Mapping[str, str]],
    wake: "Wake | None" = None,
) -> None:
    """Look again every ``interval_s``, and when ``wake`` says so, until interrupted.

    A node that is away for a while is waited for.
    """
    is_redrawn = out.terminal.is_terminal and out.is_for_people
    before: dict[str, str] = {}
    if is_redrawn:
        out.write(_CLEAR)
    while True:
        value, failure = _looked(fetch)
        if is_redrawn:
            _redraw(out, value, failure, show)
        else:
            before = _print_changes(out, value, failure, parts, before)
        out.flush()
        if wake is not None and wake.is_connected:
            wake.wait(interval_s)
        else:
            pause(interval_s)


def _looked(fetch: Callable[[], Any]) -> tuple[Any, Failure | None]:
    try:
        return fetch(), None
    except Failure as failure:
        if failure.code not in (ExitCode.UNREACHABLE, ExitCode.NO_QUORUM):
            raise
        return None, failure


def _redraw(out: Printer, value: Any, failure: Failure | None, show: Callable[[Any, Printer], None]) -> None:
    """Write a screen over the one before, without flicker."""
    lines: list[str] = []
    page = replace(out, write=lambda text: lines.extend(text.split("\n")))
    if failure is not None:
        for line in failure.render().split("\n"):
            page.line(line)
    else:
        show(value, page)
    rows = shutil.get_terminal_size().lines - 1
    if len(lines) > rows:
        lines[rows - 1 :] = [f"({len(lines) - rows + 1} more lines)"]
    out.write(_HOME + "\n".join(line + _CLEAR_REST for line in lines) + _CLEAR_BELOW)


def _print_changes(
    out: Printer,
    value: Any,
    failure: Failure | None,
    parts: Callable[[Any], Mapping[str, str]],
    before: dict[str, str],
) -> dict[str, str]:
    """Write what differs from before and return what is now."""
    moment = utc_now()
    seen = dict(parts(value)) if failure is None else before | {"cluster": failure.message}
    for key in dict.fromkeys((*before, *seen)):
        if before.get(key) == seen.get(key):
            continue
        if out.is_for_people:
            out.line(f"{clock(moment)}  {key}  {seen.get(key, 'gone')}")
        else:
            replace(out, format="jsonl").document({"at": moment, "about": key, "is": seen.get(key)})
    return seen
