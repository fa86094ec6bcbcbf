"""What a node's answer means, and what it means that there is none: values, ``Failure`` with its exit code, ``Passed``."""

import ssl
from typing import Any

import requests
import urllib3

from node.cli.addresses import shown
from node.cli.changes import Json
from node.cli.faults import ExitCode, Failure
from node.cli.repeating import Passed

WRITE_METHODS = frozenset({"PUT", "DELETE", "PATCH", "POST"})
EXIT_CODES = {
    "invalid": ExitCode.USAGE,
    "bad_request": ExitCode.USAGE,
    "too_large": ExitCode.USAGE,
    "unauthorized": ExitCode.FORBIDDEN,
    "forbidden": ExitCode.FORBIDDEN,
    "too_many": ExitCode.FORBIDDEN,
    "not_found": ExitCode.NOT_FOUND,
    "gone": ExitCode.NOT_FOUND,
    "conflict": ExitCode.CONFLICT,
    "precondition": ExitCode.CONFLICT,
    "key_reused": ExitCode.CONFLICT,
    "no_leader": ExitCode.NO_QUORUM,
    "no_quorum": ExitCode.NO_QUORUM,
    "busy": ExitCode.NO_QUORUM,
    "stopped": ExitCode.NO_QUORUM,
    "outcome_unknown": ExitCode.UNKNOWN,
    "not_ready": ExitCode.UNREACHABLE,
    "read_only": ExitCode.UNREACHABLE,
}
_HINTS = {
    "unauthorized": "say who you are: QDNS_TOKEN_FILE=FILE, or --token-file FILE",
    "no_leader": "DNS answers go on from what is committed. Then: qdns status",
    "no_quorum": "DNS answers go on from what is committed. Then: qdns status",
    "outcome_unknown": "run it again; a set is safe to repeat",
}


def value_of(method: str, response: requests.Response) -> Any:
    """Return the JSON value of a good answer; raise what a refusal means."""
    try:
        value = response.json()
    except ValueError:
        value = None
    if response.ok and value is not None:
        return value
    if isinstance(value, dict) and "code" in value:
        raise _refused(method, value)
    kind = response.headers.get("Content-Type", "no content type").partition(";")[0]
    reason = f"answered {response.status_code} {kind}, which is not our API"
    if method in WRITE_METHODS and (response.ok or response.status_code >= 500):
        raise unknown(response.url, reason)
    raise Passed(reason)


def _refused(method: str, problem: Json) -> Exception:
    """Return what a problem document means."""
    code = str(problem["code"])
    detail = str(problem.get("detail") or problem.get("title") or code)
    if code in ("not_ready", "read_only"):
        return Passed(detail)
    if method in WRITE_METHODS and code in ("invalid", "conflict", "precondition", "not_found"):
        detail = detail if "nothing was changed" in detail else f"{detail}; nothing was changed"
    errors = problem.get("errors") or []
    facts = [f"{each.get('pointer', '')} {each.get('message', '')}".strip() for each in errors]
    if len(errors) == 1:
        detail = detail.removeprefix(f"{errors[0].get('pointer', '')} ")
    return Failure(
        detail,
        EXIT_CODES.get(code, ExitCode.BUG),
        facts=facts if len(facts) > 1 else (),
        hint=_HINTS.get(code, "") if code in _HINTS else str(problem.get("hint") or ""),
    )


def unknown(url: str, reason: str) -> Failure:
    """Return the failure of a write of which nobody knows whether it was carried out."""
    return Failure(
        f"outcome unknown: {shown(url.partition('/v1')[0])}: {reason}",
        ExitCode.UNKNOWN,
        hint=_HINTS["outcome_unknown"],
    )


_UNTRUSTED = "its certificate is of an authority that is not trusted here"
_ISSUER_UNKNOWN = (18, 19, 20, 21)
"""Of OpenSSL's X509_V_ERR: self-signed, alone or in the chain, and an issuer that is nowhere."""


def unreachable(passed: list[str]) -> Failure:
    """Return the failure that no node took a request; ``passed`` has a line each, the URL and why."""
    hint = "is it running? name another one: --api URL, or QDNS_API=URL,URL"
    if any(_UNTRUSTED in each for each in passed):
        hint = "name the authority of the cluster, tls/ca.pem on its nodes: --ca FILE, or QDNS_CA=FILE"
    return Failure(
        "no node answered",
        ExitCode.UNREACHABLE,
        facts=[shown(each) for each in passed],
        hint=hint,
    )


def was_never_sent(error: OSError) -> bool:
    """Say whether the request was certainly never sent."""
    if not isinstance(error, requests.RequestException):
        return True
    if isinstance(error, (requests.ConnectTimeout, requests.exceptions.SSLError)):
        return True
    cause = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(
        cause,
        (urllib3.exceptions.NewConnectionError, urllib3.exceptions.NameResolutionError),
    ) or isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema))


def reason_of(error: OSError) -> str:
    """Say in a few words why a request failed."""
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    cause: BaseException | None = error
    for _ in range(8):
        if isinstance(cause, ssl.SSLCertVerificationError):
            told = f"its certificate is not accepted: {cause.verify_message}"
            return _UNTRUSTED if cause.verify_code in _ISSUER_UNKNOWN else told
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        inner = getattr(cause, "reason", None) or (cause.args[0] if cause is not None and cause.args else None)
        following = cause.__cause__ or cause.__context__ if cause is not None else None
        cause = inner if isinstance(inner, BaseException) else following
        if cause is None:
            break
    if isinstance(error, requests.ConnectionError):
        return "the connection broke"
    return str(error) or type(error).__name__
