"""What can be asked behind the question mark of a path of ``/v1`` that is read.

A list refuses what it does not know: a filter that is spelled wrong would otherwise show everything.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from node.api.answers.table import ANSWERS, Items
from node.api.listing import LIMIT_MAX, read_limit
from node.api.message import Request
from node.api.problem import Problem
from node.glob import PATTERN_CHARACTERS_MAX, Glob

T = TypeVar("T")
Row = Mapping[str, Any]
VERDICTS = ("up", "down", "undecided")
PATTERNS = "with * and ?"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing that can be asked."""

    name: str
    schema: Mapping[str, Any]
    text: str


COMMON = (
    Parameter(
        "min_index", {"type": "integer", "minimum": 0}, "wait up to 5 s until this node has applied that index"
    ),
    Parameter("consistency", {"enum": ["local", "leader"]}, "leader: read what the leader knows"),
    Parameter("index", {"type": "integer", "minimum": 0}, "wait until the answer is newer than that index"),
    Parameter(
        "wait",
        {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h)?$", "examples": ["30s"]},
        "how long to wait with index, at most 10 minutes",
    ),
)
"""What every path of ``/v1`` that is read takes."""
_LIMIT = Parameter("limit", {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX}, "so many at most")
_AFTER = Parameter("after", {"type": "string"}, "the next of the page before")
_FIELDS = Parameter(
    "fields", {"type": "string", "examples": ["name,type"]}, "show these keys of each item alone, with commas"
)
_TYPE = Parameter("type", {"type": "string", "examples": ["AAAA"]}, "records of this type alone")
_VERDICT_SCHEMA = {"enum": list(VERDICTS)}
_FLAG = {"enum": ["true", "false"]}


def _name(of: str) -> Parameter:
    schema = {"type": "string", "maxLength": PATTERN_CHARACTERS_MAX, "examples": ["www.*"]}
    return Parameter("name", schema, f"{of} whose names fit, {PATTERNS}")


def _published(text: str) -> Parameter:
    return Parameter("published", _FLAG, text)


LISTS: Mapping[str, tuple[Parameter, ...]] = {
    "/v1/zones": (_name("zones"), _LIMIT, _AFTER, _FIELDS),
    "/v1/zones/{zone}/rrsets": (
        _name("records"),
        _TYPE,
        _published("false: records that are kept and not answered with; true: all others"),
        _LIMIT,
        _AFTER,
        _FIELDS,
    ),
    "/v1/services": (
        _name("services"),
        Parameter("verdict", _VERDICT_SCHEMA, "services with an endpoint that is judged so"),
        _published("true: services of which an address is in DNS; false: those of which none is"),
        _LIMIT,
        _AFTER,
        _FIELDS,
    ),
    "/v1/services/{fqdn}/endpoints": (
        Parameter("verdict", _VERDICT_SCHEMA, "endpoints that are judged so"),
        _published("true: endpoints whose addresses are in DNS; false: the others"),
        _LIMIT,
        _AFTER,
        _FIELDS,
    ),
    "/v1/nodes": (_LIMIT, _AFTER, _FIELDS),
    "/v1/push": (_LIMIT, _AFTER, _FIELDS),
    "/v1/notify": (_LIMIT, _AFTER, _FIELDS),
    "/v1/tokens": (_LIMIT, _AFTER, _FIELDS),
    "/v1/events": (
        Parameter(
            "kind",
            {"type": "string", "maxLength": 1_000, "examples": ["verdict.*"]},
            f"with commas, {PATTERNS}",
        ),
        _LIMIT,
        Parameter(
            "after", {"type": "string", "pattern": r"^[0-9]{1,18}(\.[0-9]{1,18})?$"}, "an index, or next"
        ),
    ),
}
"""What each list takes beside that."""
_OTHERS: Mapping[str, tuple[Parameter, ...]] = {
    "/v1/status": (Parameter("scope", {"enum": ["cluster", "local"]}, "local: what this node says of itself"),),
    "/v1/explain": (
        Parameter("name", {"type": "string", "examples": ["www.example.org"]}, "which name; must be said"),
        Parameter("type", {"type": "string", "default": "A"}, "which type"),
        Parameter(
            "at", {"type": "integer", "minimum": 0}, "as it was after that index, which events still tell of"
        ),
    ),
    "/v1/series": (
        Parameter(
            "service", {"type": "string", "examples": ["www.example.org"]}, "which service; must be said"
        ),
        Parameter("span", {"enum": ["1h", "24h"], "default": "1h"}, "how far back"),
    ),
}


def parameters_of(pattern: str) -> tuple[Parameter, ...]:
    """Return what a path of ``/v1`` that is read takes."""
    return (*LISTS.get(pattern, ()), *_OTHERS.get(pattern, ()), *COMMON)


def require_known(pattern: str, request: Request) -> None:
    """Refuse to read a list by what it does not know. Raises ``Problem``."""
    if pattern not in LISTS or request.method not in ("GET", "HEAD"):
        return
    known = [each.name for each in parameters_of(pattern)]
    for key in request.query:
        if key not in known:
            raise Problem(
                "bad_request", f"{key[:40]} is nothing to ask this list by; there are {', '.join(known)}"
            )


def listed(pattern: str, request: Request, items: Sequence[Row], after: str | None) -> Row:
    """Return a page of a list, of each item what ``fields`` asks for. Raises ``Problem``."""
    fields = _read_fields(pattern, request.query.get("fields"))
    rows = items if fields is None else [{key: each[key] for key in fields if key in each} for each in items]
    return {"items": rows, "next": after}


def listed_whole(pattern: str, request: Request, items: Sequence[Row], key: str) -> Row:
    """Return a page of a list that is at hand as a whole, and whose items have names at ``key``. Raises ``Problem``."""
    limit, after = read_limit(request, LIMIT_MAX), request.query.get("after")
    names = [str(each[key]) for each in items]
    if after in names:
        items = items[names.index(after) + 1 :]
    elif after is not None:  # it went between two pages
        items = [each for each, name in zip(items, names, strict=True) if name > after]
    cut = items[:limit]
    return listed(pattern, request, cut, str(cut[-1][key]) if len(items) > limit else None)


def _read_fields(pattern: str, text: str | None) -> list[str] | None:
    if text is None:
        return None
    answer = ANSWERS[f"GET {pattern}"]
    known = list(get_type_hints(answer.of)) if isinstance(answer, Items) else []
    fields = list(dict.fromkeys(each.strip() for each in text.split(",")))
    for each in fields:
        if each not in known:
            raise Problem(
                "bad_request", f"fields={each[:40]} is no key of these items; there are {', '.join(known)}"
            )
    return fields


def read_choice(request: Request, key: str, choices: Sequence[str]) -> str | None:
    """Read a filter that is one of a few words, None without it. Raises ``Problem``."""
    text = request.query.get(key)
    if text is not None and text not in choices:
        raise Problem("bad_request", f"{key}={text[:40]} is none of {', '.join(choices)}")
    return text


def read_flag(request: Request, key: str) -> bool | None:
    """Read a filter that is true or false, None without it. Raises ``Problem``."""
    text = read_choice(request, key, ("true", "false"))
    return None if text is None else text == "true"


def read_name_pattern(request: Request) -> str:
    """Read ``name`` in lower case, empty without it. Raises ``Problem``."""
    text = request.query.get("name", "").lower()
    if len(text) > PATTERN_CHARACTERS_MAX:
        detail = f"name has {len(text)} characters, at most {PATTERN_CHARACTERS_MAX} are looked for"
        raise Problem("bad_request", detail, "ask by a shorter pattern")
    return text


def named(request: Request, items: Iterable[T], name_of: Callable[[T], str]) -> list[T]:
    """Return the items whose name, without the final dot, fits ``name``. Raises ``Problem``."""
    text = read_name_pattern(request).removesuffix(".")
    pattern = Glob(text)
    return [each for each in items if not text or pattern.fits(name_of(each))]
