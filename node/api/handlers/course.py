"""``/v1/course``: how far this node saw the nodes behind the leader of late, and who led.

Every node tells what itself saw; whoever wants the whole asks each node.
"""

from collections.abc import Iterable, Mapping, Sequence

from node.api.context import ApiContext
from node.api.course import CELLS, STEP_S, Lags, Reign, first_seen, step_at, together
from node.api.message import PeerAnswer, Request, Response, shown
from node.api.views import Row, moment, read_moment

PATH = "/v1/course"


def get_course(context: ApiContext, _request: Request) -> Response:
    """Show by node the most entries it was behind in each step, oldest first, and the leaders by term."""
    now_ms = context.now_ms()
    row: Row = {
        "name": context.node,
        "step_s": STEP_S,
        "step": step_at(now_ms),
        "lag_entries": context.course.lags(now_ms),
        "leaders": [_leader_row(each) for each in context.course.reigns],
    }
    return shown(row, context.state().index)


def gathered(context: ApiContext, answers: Mapping[str, PeerAnswer]) -> tuple[Lags, Sequence[Reign]]:
    """Return what this node and the others together saw; strange answers are left out."""
    now_ms = context.now_ms()
    rows = [answer.row for answer in answers.values() if answer.row is not None]
    lags = together([context.course.lags(now_ms), *(_lags_of(row, step_at(now_ms)) for row in rows)])
    reigns = [*context.course.reigns, *(each for row in rows for each in _reigns_of(row))]
    return lags, first_seen(reigns)


def _leader_row(reign: Reign) -> Row:
    return {"term": reign.term, "leader": reign.leader, "at": moment(reign.at_ms), "began": reign.began}


def _lags_of(row: Mapping[str, object], last_step: int) -> Lags:
    """Return a peer's lags in the steps of ours; a node of another version may tell others."""
    told, step = row.get("lag_entries"), row.get("step")
    if row.get("step_s") != STEP_S or not isinstance(told, dict) or not isinstance(step, int):
        return {}
    return {
        str(name): _shifted(lags, last_step - step)
        for name, lags in told.items()
        if isinstance(lags, list) and len(lags) == CELLS and all(_is_lag(each) for each in lags)
    }


def _is_lag(value: object) -> bool:
    return value is None or (isinstance(value, int) and 0 <= value < 2**63)


def _shifted(lags: list[int | None], steps: int) -> list[int | None]:
    """Move cells so many steps into the past: the other clock may be in another step already."""
    return [lags[place] if 0 <= (place := each + steps) < CELLS else None for each in range(CELLS)]


def _reigns_of(row: Mapping[str, object]) -> Iterable[Reign]:
    told = row.get("leaders")
    for each in told if isinstance(told, list) else ():
        if not isinstance(each, dict):
            continue
        term, leader, at_ms = each.get("term"), each.get("leader"), read_moment(each.get("at"))
        if isinstance(term, int) and isinstance(leader, str) and at_ms is not None:
            yield Reign(term, leader, at_ms, began=each.get("began") is True)
