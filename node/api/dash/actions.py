"""What operators do to services and endpoints from the pages: a form becomes the request that ``/v1`` takes."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from node.api.context import ApiContext
from node.api.handlers import overrides
from node.api.message import Proposal, Reply, Request, Response
from node.api.problem import Problem
from node.api.units import read_duration_s
from node.state.state import Accepted, State

Handler = Callable[[ApiContext, Request], Reply]


def post_action(context: ApiContext, request: Request) -> Reply:
    """Drain, force, fail over, maintain, or take one of these back; who does so gives a reason."""
    form = request.form
    handler, body = _meant(form)
    if not form.get("reason"):
        raise Problem("invalid", "say why: the reason stands in the journal; nothing was changed", "go back")
    asked = replace(
        request,
        values={"fqdn": request.values["fqdn"], "address": form.get("endpoint", "")},
        body=json.dumps(body).encode() if body is not None else b"",
    )
    reply = handler(context, asked)
    back = f"/services/{request.values['fqdn']}"

    def answer(_state: State, accepted: Accepted) -> Response:
        return _to(f"{back}?done={accepted.index}")

    if isinstance(reply, Proposal):
        return replace(reply, answer=answer, refuse=None)
    return _to(back)


def _to(place: str) -> Response:
    return Response(303, headers=(("Location", place),))


def _meant(form: Mapping[str, str]) -> tuple[Handler, dict[str, Any] | None]:
    """Return what serves the form's action, and the body it takes. Raises ``Problem``."""
    action = form.get("action", "")
    lasting = {"for_s": read_duration_s(form["for"])} if form.get("for") else {}
    meant: dict[str, tuple[Handler, dict[str, Any] | None]] = {
        "drain": (overrides.put_drain, lasting | _empty(form)),
        "undrain": (overrides.delete_drain, None),
        "force-up": (overrides.put_force, {"verdict": "up"} | lasting | _empty(form)),
        "force-down": (overrides.put_force, {"verdict": "down"} | lasting | _empty(form)),
        "unforce": (overrides.delete_force, None),
        "failover": (overrides.put_failover, {"to": form.get("endpoint", "")} | lasting | _empty(form)),
        "failback": (overrides.delete_failover, None),
        "maintenance": (overrides.put_maintenance, lasting),
        "maintained": (overrides.delete_maintenance, None),
    }
    if action not in meant:
        raise Problem("bad_request", f"{action!r} is none of {', '.join(meant)}; nothing was changed")
    return meant[action]


def _empty(form: Mapping[str, str]) -> dict[str, Any]:
    return {"allow_empty": True} if "allow_empty" in form else {}
