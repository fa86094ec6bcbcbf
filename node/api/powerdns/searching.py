"""``search-data``: zones and records by a pattern of their name or content."""

from itertools import islice

from node.api.context import ApiContext
from node.api.listing import read_count
from node.api.message import Reply, Request, heavy, shown
from node.api.powerdns.rows import Row, iter_rrset_rows
from node.api.problem import Problem
from node.glob import PATTERN_CHARACTERS_MAX, Glob
from node.state.state import State
from node.zone.name import sort_key, to_text
from node.zone.zone import Zone

_RRSETS_MAX = 100_000
_CONTENT_CHARACTERS_MAX = 1_024
"""How much of a record's content is looked at: it can be 64 KB, and there are many."""
_KINDS = ("all", "zone", "record", "comment")


def search(context: ApiContext, request: Request) -> Reply:
    """Find zones by name, and records by name or content."""
    pattern, kind = request.query.get("q", "").lower(), request.query.get("object_type", "all")
    if not pattern:
        raise Problem("invalid", "q is missing: what to look for, with * and ?")
    if len(pattern) > PATTERN_CHARACTERS_MAX:
        detail = f"q has {len(pattern)} characters, at most {PATTERN_CHARACTERS_MAX} are looked for"
        raise Problem("invalid", detail, "ask by a shorter pattern")
    if kind not in _KINDS:
        raise Problem("invalid", f"object_type={kind[:20]} is none of {', '.join(_KINDS)}")
    limit = read_count(request, "max", 100, 1, 1_000)
    state = context.state()
    count = sum(zone.rrset_count for zone in state.zones.values())
    return heavy(count, lambda: shown(_found(context, state, Glob(pattern), kind, limit)))


def _found(context: ApiContext, state: State, pattern: Glob, kind: str, limit: int) -> list[Row]:
    """Return zones first, as they are few, then records; comments are found by nobody."""
    zones = [state.zones[name] for name in sorted(state.zones, key=sort_key)]
    found = [_zone_row(zone) for zone in zones if pattern.fits(_text(zone).removesuffix("."))]
    found = found if kind in ("all", "zone") else []
    for zone in zones if kind in ("all", "record") else ():
        if len(found) >= limit:
            break
        found += _records(context, state, zone, pattern, limit - len(found))
    return found[:limit]


def _records(context: ApiContext, state: State, zone: Zone, pattern: Glob, limit: int) -> list[Row]:
    found: list[Row] = []
    for row in islice(iter_rrset_rows(state, context.order, zone), _RRSETS_MAX):
        owner = row["name"].removesuffix(".")
        found += [
            {"object_type": "record", "zone": _text(zone), "zone_id": _text(zone)}
            | {key: row[key] for key in ("name", "type", "ttl")}
            | record
            for record in row["records"]
            if pattern.fits(owner) or pattern.fits(record["content"][:_CONTENT_CHARACTERS_MAX].lower())
        ]
        if len(found) >= limit:
            break
    return found


def _zone_row(zone: Zone) -> Row:
    return {"object_type": "zone", "name": _text(zone), "zone": _text(zone), "zone_id": _text(zone)}


def _text(zone: Zone) -> str:
    return to_text(zone.name)
