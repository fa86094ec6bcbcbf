"""``/v1/zones/{zone}/file`` and ``/check``: whole zones as master files, and what is wrong with them."""

import asyncio
import time
from collections.abc import Iterator
from uuid import uuid4

from node.api.context import ApiContext
from node.api.going_on import go_on
from node.api.message import Compute, Download, Perform, Request, Response, Steps, encode, heavy, shown
from node.api.names import named_zone, plain, read_name
from node.api.problem import Problem, of_refused
from node.api.zone_import import Plan, plan_text
from node.state.scopes import Need, reaches
from node.state.state import Accepted, Refused, State
from node.zone.check import check
from node.zone.master_write import iter_lines
from node.zone.name import Name
from node.zone.release import release
from node.zone.rrset import SOA, RRset, type_to_text
from node.zone.zone import Zone

MASTER_FILE = "text/dns"
"""RFC 4027."""
SMALL_OCTETS = 64 * 1024
TRIES_MAX = 3
"""An import that somebody else's change made void is planned again, unless the client named the serial it saw."""
_PAUSE_S = 0.0005


def get_file(context: ApiContext, request: Request) -> Download:
    """Write a zone as a master file, in canonical order; comments and disabled RRsets are comments in it."""
    state = context.state()
    zone = named_zone(state, request.values["zone"])

    def pieces() -> Iterator[bytes]:
        for line in iter_lines(_iter_ordered(context, zone), zone.name):
            yield line.encode()

    return Download(
        pieces, MASTER_FILE, f"{plain(zone.name) if len(zone.name) > 1 else 'root'}.zone", state.index
    )


def _iter_ordered(context: ApiContext, zone: Zone) -> Iterator[RRset]:
    soa = zone.get(zone.name, SOA)
    if soa is not None:
        yield soa
    for name in context.order.after(zone, None):
        for rrset in zone.nodes[name].rrsets:
            if rrset is not soa:
                yield rrset


def get_check(context: ApiContext, request: Request) -> Response | Compute:
    """Say what is wrong with a zone: missing glue, aliases where none may be, targets without addresses."""
    state = context.state()
    zone = named_zone(state, request.values["zone"])

    def work() -> Response:
        found = check(zone.iter_rrsets(), zone.name, _pause)
        items = [
            {
                "level": each.level,
                "name": plain(each.name),
                "type": type_to_text(each.type) if each.type else None,
                "text": each.text,
            }
            for each in found
        ]
        return shown({"items": items, "serial": zone.serial}, state.index)

    reply = heavy(zone.rrset_count, work)
    assert isinstance(reply, Response | Compute)
    return reply


def require_reach(request: Request) -> None:
    """Refuse a file for a zone in which who asks can change nothing. Raises ``Problem``."""
    apex, identity = read_name(request.values["zone"]), request.identity
    if not reaches(identity.scopes, "records:write", apex):
        need = Need("records:write", apex)
        raise Problem("forbidden", f"the token {identity.name} lacks the scope {need}; nothing was changed")


def put_file(context: ApiContext, request: Request) -> Steps:
    """Make a zone what a master file says, all at one index; ``dry_run=true`` only tells what would change.

    What health or a lease decides is left alone.
    """
    apex = read_name(request.values["zone"])
    is_dry = _flag(request, "dry_run")
    if_serial = _number(request, "if_serial")
    try:
        text = request.body.decode()
    except UnicodeDecodeError as error:
        raise Problem(
            "invalid", f"the file is not UTF-8 text at octet {error.start}; nothing was changed"
        ) from None

    async def run(perform: Perform) -> Response:
        with context.imports.entered() as is_in:
            if not is_in:
                raise Problem("busy", "other zone files are being read; nothing was changed", "try again")
            for attempt in range(TRIES_MAX):
                state = context.state()
                plan = await _planned(state, apex, text)
                if if_serial is not None and plan.base_serial != if_serial:
                    raise _moved_on(plan, if_serial)
                if is_dry:
                    row = await asyncio.to_thread(plan.row)
                    await _let_go(plan)
                    return shown(row, state.index)
                result = await _carried_out(plan, perform)
                is_lost = isinstance(result, Refused) and result.code == "precondition"
                if not is_lost or if_serial is not None or attempt == TRIES_MAX - 1:
                    told = await asyncio.to_thread(_told, plan, result)
                    await _let_go(plan)
                    return told
        raise AssertionError("the last try returns")

    return Steps(run)


async def _let_go(plan: Plan) -> None:
    await asyncio.to_thread(release, plan.found, _pause)


async def _planned(state: State, apex: Name, text: str) -> Plan:
    """Plan a small text at once; a larger one, and one that generates records, in a thread."""
    if len(text) <= SMALL_OCTETS and apex not in state.zones and "$G" not in text.upper():
        return plan_text(state, apex, text, lambda: None)
    return await asyncio.to_thread(plan_text, state, apex, text, _pause)


async def _carried_out(plan: Plan, perform: Perform) -> Accepted | Refused:
    """Bring it into the log, in one entry or in parts that nobody sees before the last. Raises ``Problem``."""
    command = await asyncio.to_thread(plan.at_once)
    if command is not None:
        return await perform(command)
    id_ = uuid4().hex
    parts = 0
    for part in plan.parts(id_):
        result = await perform(part)
        if isinstance(result, Refused):
            return result
        parts += 1
    return await perform(plan.commit(id_, parts))


def _told(plan: Plan, result: Accepted | Refused) -> Response:
    if isinstance(result, Refused):
        raise of_refused(result)
    body = {"index": result.index, "serial": result.serial, "changed": bool(plan.found or plan.create)}
    return Response(body=encode(body | plan.row()), headers=(("Qdns-Index", str(result.index)),))


def _moved_on(plan: Plan, expected: int) -> Problem:
    now = "does not exist" if plan.base_serial is None else f"has serial {plan.base_serial}"
    return Problem(
        "precondition", f"{plain(plan.zone)} {now}, not {expected}; nothing was changed", "look again"
    )


def _pause() -> None:
    """Let the event loop and the log have their turn, and end when nobody waits for this."""
    go_on()
    time.sleep(_PAUSE_S)


def _flag(request: Request, key: str) -> bool:
    text = request.query.get(key, "false")
    if text not in ("true", "false"):
        raise Problem("bad_request", f"{key}={text} is neither true nor false")
    return text == "true"


def _number(request: Request, key: str) -> int | None:
    text = request.query.get(key)
    if text is not None and not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise Problem("bad_request", f"{key}={text} is not a serial")
    return None if text is None else int(text)
