"""The ends of waits: by the leader's clock, or because somebody said so.

A wait begins with a verdict and has no end, because a verdict knows no clock. ``KeepSchedule`` brings the leader's:
the first that finds the wait gives it an end, a later one ends it.
"""

import msgspec

from node.health import steadiness
from node.health.steadiness import Wait
from node.state.draft import Draft
from node.state.judging import judge, keep, without_waits
from node.state.operations import EndWaits
from node.state.state import EndpointState, Result, ServiceState
from node.state.telling import tell_endpoint
from node.zone.name import Name


def next_wait_ms(known: ServiceState) -> int | None:
    """Return when the leader has to look at a service's waits, 0 for at once; None when there is no need."""
    waits = (state.wait for _, state in known.endpoints if state.wait is not None)
    return min((wait.until_ms for wait in waits if _span_ms(known, wait)), default=None)


def keep_waits(draft: Draft, fqdn: Name, now_ms: int) -> None:
    """Measure the waits that have just begun, and end those that are over."""
    known = draft.state.services[fqdn]
    if all(state.wait is None for _, state in known.endpoints):
        return
    over = [
        address for address, state in known.endpoints if state.wait is not None and _is_over(state.wait, now_ms)
    ]
    endpoints = tuple((address, _measured(known, state, now_ms)) for address, state in known.endpoints)
    after = msgspec.structs.replace(known, endpoints=endpoints)
    if after != known:
        keep(draft, after)
    _end(draft, fqdn, over, "it has waited long enough", "time")


def end_waits(draft: Draft, command: EndWaits) -> Result:
    """Let endpoints come back that wait; those that do not are left as they are."""
    by_service: dict[Name, list[str]] = {}
    for place in command.places:
        by_service.setdefault(place.fqdn, []).append(place.address)
    for fqdn, addresses in by_service.items():
        known = dict(draft.state.services[fqdn].endpoints)
        waiting = [each for each in addresses if known[each].wait is not None]
        _end(draft, fqdn, waiting, "somebody said so", "operator")
    return draft.accepted()


def _end(draft: Draft, fqdn: Name, addresses: list[str], why: str, cause: str) -> None:
    if not addresses:
        return
    known = draft.state.services[fqdn]
    waits = {address: state.wait for address, state in known.endpoints}
    for address in addresses:
        wait, text = waits[address], f"held no longer: {why}"
        kind = wait.kind if wait is not None else ""
        tell_endpoint(draft, "endpoint.hold_ended", known.service, address, text, wait=kind, cause=cause)
    keep(draft, without_waits(known, addresses))
    judge(draft, fqdn)


def _span_ms(known: ServiceState, wait: Wait) -> int:
    return steadiness.span_ms(wait, known.service.flap_limit, known.service.failback)


def _is_over(wait: Wait, now_ms: int) -> bool:
    return 0 < wait.until_ms <= now_ms


def _measured(known: ServiceState, state: EndpointState, now_ms: int) -> EndpointState:
    wait = state.wait
    if wait is None or wait.until_ms:
        return state
    span_ms = _span_ms(known, wait)
    if not span_ms:
        return state
    return msgspec.structs.replace(state, wait=msgspec.structs.replace(wait, until_ms=now_ms + span_ms))
