"""``POST .../whatif``: which withdrawals of the past would have come or gone under other settings. Nothing is written."""

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BeforeValidator, Field

from node.api.body import Body, faulty, read_model
from node.api.check import RuleBody, long_rule
from node.api.context import ApiContext
from node.api.handlers.services import service_of
from node.api.message import Perform, Request, Response, Steps, shown
from node.api.models import FlapLimitBody
from node.api.names import plain
from node.api.problem import Problem
from node.api.views import Row, moment
from node.health.service import Service, problem
from node.health.steadiness import Failback
from node.state.state import ServiceState
from node.state.whatif import Comparison, WhatIf, Withdrawal, compare

SINCE_S_MAX = 366 * 86_400


class WhatIfBody(Body):
    """Settings that a service might have; what is left out is as it is."""

    since_s: float = Field(3600, gt=0, le=SINCE_S_MAX, description="how far back to look")
    rise: int | None = None
    fall: int | None = None
    recheck_ms: int | None = None
    rule: Annotated[
        RuleBody | None, BeforeValidator(long_rule, json_schema_input_type=str | int | RuleBody)
    ] = Field(None, examples=["any"])
    fail_open_percent: int | None = None
    mode: Literal["active-active", "active-standby"] | None = None
    min_up: int | None = None
    max_answers: int | None = None
    flap_limit: FlapLimitBody | None = None
    failback: Literal["auto", "after", "manual"] | None = None
    failback_after_ms: int = 0
    separate_families: bool | None = None

    def service(self, present: Service) -> Service:
        """Return the service with these settings."""
        plain_keys = ("rise", "fall", "recheck_ms", "fail_open_percent", "mode", "min_up", "max_answers")
        found: dict[str, Any] = {
            key: getattr(self, key)
            for key in (*plain_keys, "separate_families")
            if getattr(self, key) is not None
        }
        if self.rule is not None:
            found["rule"] = self.rule.rule()
        if self.flap_limit is not None:
            found["flap_limit"] = self.flap_limit.limit()
        if self.failback is not None:
            found["failback"] = Failback(self.failback, self.failback_after_ms)
        return msgspec.structs.replace(present, **found)


def post_whatif(context: ApiContext, request: Request) -> Steps:
    """Play the votes that are still held, once under the service's settings and once under these."""
    state = context.state()
    known = service_of(state, request)
    body = read_model(WhatIfBody, request)
    other = body.service(known.service)
    wrong = problem(other)
    if wrong is not None:
        raise faulty([("", wrong)])
    now_ms = context.now_ms()
    since_ms = now_ms - round(body.since_s * 1000)

    async def run(_perform: Perform) -> Response:
        with context.imports.entered() as is_in:
            if not is_in:
                raise Problem("busy", "this node is busy with other long work of this kind", "try again")
            found = await asyncio.to_thread(compare, state, known, other, since_ms, now_ms)
            return _shown(state.index, known, found)

    return Steps(run)


def _shown(index: int, known: ServiceState, found: WhatIf) -> Response:
    row: Row = {
        "service": plain(known.service.fqdn),
        "index": index,
        "begins_at": moment(found.begins_ms),
        "votes": found.votes,
        "withdrawals": sum(each.present is not None for each in found.rows),
        "would_be": sum(each.other is not None for each in found.rows),
        "rows": [_row(each) for each in found.rows],
        "notes": list(found.notes),
    }
    return shown(row, index)


def _row(each: Comparison) -> Row:
    change = "same" if each.present and each.other else "gone" if each.present else "new"
    return {
        "endpoint": each.address,
        "change": change,
        "present": _absence(each.present),
        "other": _absence(each.other),
    }


def _absence(each: Withdrawal | None) -> Row | None:
    if each is None:
        return None
    return {"out_at": moment(each.out_ms), "back_at": moment(each.back_ms), "reason": each.reason}
