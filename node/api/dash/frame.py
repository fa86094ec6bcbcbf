"""What every page of the dashboard has around its own part: who asks, which node this is, and the others."""

from typing import Any

from node.api.context import ApiContext
from node.api.dash.forms import FIELD, allowed, form_token
from node.api.dash.rendering import html
from node.api.elsewhere import asked, others
from node.api.message import LOCAL, Request, Response
from node.api.views import Row, event_row
from node.state.events import iter_after

_DONE_EVENTS_MAX = 20


def framed(
    template: str, context: ApiContext, request: Request, *, part: str, command: str, **values: Any
) -> Response:
    """Render a page of the dashboard; ``part`` is its place in the navigation, ``command`` tells the same."""
    state, elsewhere = context.state(), others(context, request)
    frame: dict[str, Any] = {
        "cluster": context.cluster,
        "node": context.node,
        "who": request.identity.name,
        "logged_in": "cookie" in request.headers and request.identity.name != "local",
        "others": elsewhere,
        "moves": request.identity == LOCAL,
        "part": part,
        "command": command,
        "may": allowed(request),
        "form_field": FIELD,
        "form_token": form_token(context, request),
        "now_ms": context.now_ms(),
        "index": state.index,
        "done": _done(context, request),
    }
    return html(template, shown_index=state.index, asked=asked(elsewhere), **frame, **values)


def _done(context: ApiContext, request: Request) -> dict[str, Any] | None:
    """Return what the action came to that led here: the events of the log index in ``?done=``."""
    text = request.query.get("done", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        return None
    rows: list[Row] = []
    for event in iter_after(context.state(), int(text) - 1):
        if event.index != int(text) or len(rows) == _DONE_EVENTS_MAX:
            break
        rows.append(event_row(event))
    return {"index": int(text), "events": rows}
