"""Refusals: ``application/problem+json`` (RFC 9457), always with a sentence and often with a next step."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from node.api.message import PROBLEM, Response, encode
from node.state.state import Refused, State
from raft.proposal import NotCommitted, Unknown

_STATUS = {
    "bad_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "gone": 410,
    "precondition": 412,
    "too_large": 413,
    "invalid": 422,
    "key_reused": 422,
    "too_many": 429,
    "failed": 500,
    "unreachable": 502,
    "busy": 503,
    "no_leader": 503,
    "no_quorum": 503,
    "not_ready": 503,
    "read_only": 503,
    "outcome_unknown": 503,
    "stopped": 503,
    "stale": 503,
}


class Problem(Exception):
    """The request cannot be served; carries the code, a sentence, a next step and single faults."""

    def __init__(
        self,
        code: str,
        detail: str,
        hint: str = "",
        errors: tuple[Mapping[str, str], ...] = (),
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.hint = hint
        self.errors = errors
        self.headers = headers


def rendered(problem: Problem, **more: Any) -> Response:
    """Write a problem as a response; ``more`` are further members of the object."""
    status = _STATUS[problem.code]
    value: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": problem.code,
        "detail": problem.detail,
        "hint": problem.hint,
    }
    if problem.errors:
        value["errors"] = list(problem.errors)
    headers = problem.headers
    if status == 503:
        headers = (*headers, ("Retry-After", "1"))
    if problem.code == "stopped":  # a connection that is kept would be told so for as long as it lasts
        headers = (*headers, ("Connection", "close"))
    return Response(status, encode(value | more), PROBLEM, headers)


def of_refused(refused: Refused) -> Problem:
    """Say what the state machine refused."""
    return Problem(refused.code.replace("-", "_"), refused.detail, refused.hint)


def of_outcome(outcome: NotCommitted | Unknown) -> Problem:
    """Say what became of a proposal that is not known to be committed."""
    if isinstance(outcome, Unknown):
        return Problem(
            "outcome_unknown",
            f"outcome unknown: {outcome.detail}",
            "it may or may not have been committed; send it again with the same Idempotency-Key, or look first",
        )
    code = outcome.reason.replace("-", "_")
    detail = f"not changed: {outcome.detail}" if outcome.detail else f"not changed: {outcome.reason}"
    hint = "DNS answers go on from what is committed" if code in ("no_leader", "no_quorum") else ""
    return Problem(code, detail, hint)


def tell(problem: Problem, _state: State) -> Response:
    """Tell of a problem as ``/v1`` does."""
    return rendered(problem)
