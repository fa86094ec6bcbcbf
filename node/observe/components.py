"""Which part of the program writes a line: ``main``, ``load_conf`` (as rrdnsd says), or the name of its room."""

from functools import lru_cache
from pathlib import Path

from structlog.processors import CallsiteParameter, CallsiteParameterAdder
from structlog.typing import EventDict

_ROOT = Path(__file__).parent.parent.parent
_LOADING = ("config", "plan", "reload", "notify_plan", "dns_plan")
_ROOMS = ("api", "cli", "dns", "notify", "probe", "push")

add_callsite = CallsiteParameterAdder(
    {CallsiteParameter.PATHNAME, CallsiteParameter.LINENO, CallsiteParameter.FUNC_NAME},
    additional_ignores=["node.observe"],
)


def add_component(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Name the part by the file that the line is written in."""
    event.setdefault("component", component_of(event.get("pathname", "")))
    return event


def drop_callsite(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Leave out where the line is written in: only the journal keeps that."""
    for key in ("pathname", "lineno", "func_name"):
        event.pop(key, None)
    return event


@lru_cache(maxsize=1024)
def component_of(path: str) -> str:
    """Return the part that a file belongs to."""
    try:
        parts = Path(path).relative_to(_ROOT).parts
    except ValueError:
        return "main"
    if parts[0] == "raft":
        return "raft"
    room = parts[1].removesuffix(".py") if len(parts) > 1 else ""
    if room in _LOADING:
        return "load_conf"
    return room if room in _ROOMS else "dns" if room == "dns_room" else "main"
