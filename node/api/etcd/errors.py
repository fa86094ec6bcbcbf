"""etcd's error codes, each with a readable cause."""

from node.api.message import Response, encode
from node.api.problem import Problem
from node.state.state import State

NOT_FOUND, COMPARE_FAILED, NOT_FILE, NOT_DIR, EXISTS = 100, 101, 102, 104, 105
PRESERVED, ROOT_READ_ONLY, DIR_NOT_EMPTY, UNAUTHORIZED = 106, 107, 108, 110
TTL_NOT_NUMBER, INDEX_NOT_NUMBER, INVALID_FIELD, INVALID_FORM = 202, 203, 209, 210
VALUE_ON_REFRESH, TTL_REQUIRED = 212, 213
RAFT, LEADER_ELECT, CLEARED = 300, 301, 401

_MESSAGES = {
    NOT_FOUND: (404, "Key not found"),
    COMPARE_FAILED: (412, "Compare failed"),
    NOT_FILE: (403, "Not a file"),
    NOT_DIR: (403, "Not a directory"),
    EXISTS: (412, "Key already exists"),
    PRESERVED: (403, "The key is preserved"),
    ROOT_READ_ONLY: (403, "Root is read only"),
    DIR_NOT_EMPTY: (403, "Directory not empty"),
    UNAUTHORIZED: (401, "The request requires user authentication"),
    TTL_NOT_NUMBER: (400, "The given TTL in POST form is not a number"),
    INDEX_NOT_NUMBER: (400, "The given index in POST form is not a number"),
    INVALID_FIELD: (400, "Invalid field"),
    INVALID_FORM: (400, "Invalid POST form"),
    VALUE_ON_REFRESH: (400, "Value provided on refresh"),
    TTL_REQUIRED: (400, "A TTL must be provided on refresh"),
    RAFT: (500, "Raft Internal Error"),
    LEADER_ELECT: (503, "During Leader Election"),
    CLEARED: (400, "The event in requested index is outdated and cleared"),
}

_OF_PROBLEM = {
    "not_found": NOT_FOUND,
    "precondition": COMPARE_FAILED,
    "conflict": PRESERVED,
    "invalid": INVALID_FIELD,
    "bad_request": INVALID_FIELD,
    "too_large": INVALID_FIELD,
    "forbidden": UNAUTHORIZED,
    "unauthorized": UNAUTHORIZED,
    "no_leader": LEADER_ELECT,
    "no_quorum": LEADER_ELECT,
}


class EtcdProblem(Problem):
    """A refusal with etcd's code; ``cause`` is the sentence."""

    def __init__(self, code: int, cause: str) -> None:
        super().__init__("not_found" if code == NOT_FOUND else "invalid", cause)
        self.etcd_code = code


def tell(problem: Problem, state: State) -> Response:
    """Tell of a problem as etcd does."""
    code = problem.etcd_code if isinstance(problem, EtcdProblem) else _OF_PROBLEM.get(problem.code, RAFT)
    status, message = _MESSAGES[code]
    if problem.code in ("forbidden", "too_many", "busy", "outcome_unknown", "not_ready", "stopped"):
        status = {"forbidden": 403, "too_many": 429}.get(problem.code, 503)
    cause = f"{problem.detail} ({problem.hint})" if problem.hint else problem.detail
    body = {"errorCode": code, "message": message, "cause": cause, "index": state.index}
    headers = (("X-Etcd-Index", str(state.index)), *problem.headers)
    return Response(status, encode(body), headers=headers)
