"""What was measured over time as lines of an SVG: one line a node, gaps where nothing was measured. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 160
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 8, 24
_STEPS = (1, 2, 5)
_LINES = 4
_AXIS_WORD_MAX = 3
"""A longer word has no room beside the numbers of the axis."""


@dataclass(frozen=True, slots=True)
class Line:
    """One node's line."""

    node: str
    number: int
    """Its place among the nodes, from 0: what it is drawn with."""
    path: str
    """SVG path data; empty where nothing was measured."""
    text: str
    """What the line says, in words."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines and the labels of both axes, by their places."""

    lines: tuple[Line, ...]
    rows: tuple[tuple[float, str], ...]
    columns: tuple[tuple[float, str], ...]


def chart(series: Mapping[str, Sequence[int | None]], step_s: int, unit_word: str = "ms") -> Chart:
    """Return the chart of values by node, oldest first, so many seconds apart; latencies in ms, if not told otherwise."""
    highest = max((value for values in series.values() for value in values if value is not None), default=0)
    unit = _unit(highest)
    top = unit * _LINES
    count = max((len(values) for values in series.values()), default=1)
    axis = f" {unit_word}" if len(unit_word) <= _AXIS_WORD_MAX else ""
    rows = tuple((_y(each * unit, top), f"{each * unit}{axis}") for each in range(_LINES + 1))
    return Chart(
        tuple(
            Line(node, number, _path(values, top), _text(values, unit_word))
            for number, (node, values) in enumerate(series.items())
        ),
        rows,
        tuple((_x(place, count), label) for place, label in _columns(count, step_s)),
    )


def _unit(highest: int) -> int:
    """Return the smallest round distance of lines with which the highest value fits."""
    power = 1
    while True:
        for step in _STEPS:
            if step * power * _LINES >= highest:
                return step * power
        power *= 10


def _columns(count: int, step_s: int) -> list[tuple[int, str]]:
    """Return places along the time axis with their labels: how long ago."""
    found = []
    for part in range(5):
        place = round((count - 1) * part / 4)
        back_s = (count - 1 - place) * step_s
        text = (
            "now" if not back_s else f"-{round(back_s / 60)} min" if back_s < 7200 else f"-{back_s // 3600} h"
        )
        found.append((place, text))
    return found


def _path(values: Sequence[int | None], top: int) -> str:
    """Write the line; a single measurement between gaps becomes a dash short enough to be a point."""
    parts, is_drawn = [], False
    for place, value in enumerate(values):
        if value is None:
            is_drawn = False
            continue
        x, y = _x(place, len(values)), _y(value, top)
        parts.append(f"L{x:.1f} {y:.1f}" if is_drawn else f"M{x:.1f} {y:.1f}h1")
        is_drawn = True
    return "".join(parts)


def _text(values: Sequence[int | None], unit_word: str) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "nothing measured"
    if min(known) == max(known):
        return f"{known[-1]} {unit_word} throughout"
    return f"{known[-1]} {unit_word} at last, {min(known)} to {max(known)} {unit_word}"


def _x(place: int, count: int) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * place / max(1, count - 1), 1)


def _y(value: int, top: int) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top, 1)
