"""The table of paths: which handler serves what, who may ask, and what the body is.

A path is matched segment by segment before anything is decoded, so that a name may hold a slash.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from pydantic import BaseModel

from node.api.message import Handler, Request, Response
from node.api.problem import Problem, tell
from node.state.state import State


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path. ``{name}`` is a segment, a final ``{name...}`` the raw rest of the path."""

    method: str
    pattern: str
    handler: Handler
    scope: str | None
    """What a client must be allowed to do; None for everybody."""
    summary: str
    body: type[BaseModel] | None = None
    refuse: Callable[[Problem, State], Response] = tell
    """How this door tells of problems."""
    documented: bool = True
    before_body: Callable[[Request], None] | None = None
    """What of the path is judged before a body is taken in. Raises ``Problem``."""
    body_octets_max: int | None = None
    """How long a body may be; None for the usual limit."""
    is_form: bool = False
    """Whether the body is a form of the pages, for which their cookie serves."""
    makes_entry: bool = True
    """Whether a write becomes one entry of the log: only such take an Idempotency-Key and go into a batch."""
    answers_early: bool = False
    """Whether it tells the truth also before the node has caught up after its start."""


class Table:
    """Routes by their segments."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self.routes = routes
        self._split = [(route.pattern.strip("/").split("/"), route) for route in routes]

    def match(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        """Return the route for a request and the variable segments of its path. Raises ``Problem``."""
        segments = path.strip("/").split("/")
        method = "GET" if method == "HEAD" else method
        allowed: list[str] = []
        for parts, route in self._split:
            values = _values(parts, segments)
            if values is None:
                continue
            if route.method == method:
                return route, values
            allowed.append(route.method)
        if not allowed:
            raise Problem("not_found", f"there is nothing at {path}", "see /openapi.json")
        methods = ", ".join(dict.fromkeys(allowed))
        raise Problem(
            "method_not_allowed", f"{path} knows {methods}, not {method}", headers=(("Allow", methods),)
        )


def _values(parts: list[str], segments: list[str]) -> Mapping[str, str] | None:
    """Return the variable segments when the path fits the pattern, else None. Raises ``Problem``."""
    if parts[-1].endswith("...}"):
        if segments[: len(parts) - 1] != parts[:-1]:
            return None
        return {parts[-1][1:-4]: "/".join(segments[len(parts) - 1 :])}
    if len(parts) != len(segments):
        return None
    pairs = list(zip(parts, segments, strict=True))
    if any(part != segment for part, segment in pairs if not part.startswith("{")):
        return None
    return {part[1:-1]: decoded(segment) for part, segment in pairs if part.startswith("{")}


def decoded(segment: str) -> str:
    """Decode the percent signs of one segment. Raises ``Problem``."""
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise Problem("bad_request", f"{segment} is not UTF-8 behind its percent signs") from None
