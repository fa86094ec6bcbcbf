"""From votes to verdicts and from these to what stands in DNS, for a whole service at once.

Total and deterministic, as all of apply. Who changed what is told by those who call.
"""

from collections.abc import Collection

import msgspec

from node.health import publish, steadiness
from node.health.rule import judge as judge_votes
from node.health.rule import write_rule
from node.health.service import Endpoint, Service
from node.health.steadiness import Wait
from node.state.draft import Draft
from node.state.state import EndpointState, ServiceState
from node.state.telling import selection_of, tell_endpoint, tell_published
from node.zone.name import Name, to_text
from node.zone.rrset import AAAA, A
from node.zone.zone import Replacement

MANAGED = (A, AAAA)
"""The types that belong to a service at its name."""


def keep(draft: Draft, service_state: ServiceState) -> None:
    """Put a version of a service into the State."""
    fqdn = service_state.service.fqdn
    draft.update(services=draft.state.services.set(fqdn, service_state))
    draft.touch_service(fqdn)


def voters(draft: Draft, endpoint: Endpoint) -> tuple[str, ...]:
    """Return the nodes whose votes on the endpoint count: all members, or those told to probe it."""
    names = tuple(member.name for member in draft.state.members)
    return tuple(name for name in names if name in endpoint.probe_from) if endpoint.probe_from else names


def judge(draft: Draft, fqdn: Name) -> None:
    """Decide every endpoint's verdict anew and publish what follows, for the whole service at once."""
    known = draft.state.services[fqdn]
    endpoints = tuple(
        (address, _decided(draft, known, endpoint, state))
        for endpoint, (address, state) in zip(known.service.endpoints, known.endpoints, strict=True)
    )
    after = msgspec.structs.replace(known, endpoints=endpoints)
    if known.maintenance is not None and known.maintenance.active:
        addresses = {address for address, _ in endpoints}
        kept = tuple(each for each in known.published if each in addresses or each in known.service.fallback)
        after = msgspec.structs.replace(after, published=kept)
    else:
        selection = selection_of(after)
        after = msgspec.structs.replace(
            after,
            published=selection.published,
            fail_open=selection.fail_open,
            is_unsettled=_is_unsettled(after),
            is_down=_all_down(after),
        )
        after = _without_needless_waits(draft, after)
        _tell_service(draft, known, after)
    if (after.published, after.ttl) != (known.published, known.ttl):
        after = msgspec.structs.replace(after, published_index=draft.index)
        tell_published(draft, known, after)
    if after != known:
        keep(draft, after)
    write_rrsets(draft, after)


def _is_unsettled(known: ServiceState) -> bool:
    """Say whether the ttl should be low; what operators decided about is settled."""
    if not known.service.ttl_min:
        return False
    overrides = dict(known.overrides)
    return not all(
        publish.is_settled(state.verdict, [vote.up for _, vote in state.votes], state.wait)
        for address, state in known.endpoints
        if address not in overrides
    )


def _decided(draft: Draft, known: ServiceState, endpoint: Endpoint, state: EndpointState) -> EndpointState:
    service = known.service
    electorate = voters(draft, endpoint)
    sites = {member.name: member.site for member in draft.state.members if member.name in electorate}
    votes = {name: vote.up for name, vote in state.votes}
    verdict = judge_votes(service.rule, votes, sites, state.verdict, is_told=service.check.kind == "push")
    if verdict == state.verdict:
        return state
    agreeing = sum(1 for name, vote in state.votes if name in electorate and vote.up == (verdict == "up"))
    fqdn = to_text(service.fqdn)
    draft.tell(
        "verdict.changed",
        f"{fqdn} {endpoint.address}",
        f"{state.verdict} -> {verdict} ({agreeing} of {len(electorate)})",
        service=fqdn,
        endpoint=endpoint.address,
        before=state.verdict,
        after=verdict,
        rule=write_rule(service.rule),
    )
    after = msgspec.structs.replace(state, verdict=verdict, index=draft.index, at_ms=draft.entry.at_ms)
    return after if state.verdict == "undecided" else _watched(draft, known, endpoint.address, after)


# --- waits ----------------------------------------------------------------------------------------


def settled(state: EndpointState, service: Service, old: ServiceState | None) -> EndpointState:
    """Return an endpoint as a service's new definition knows it: waits it has no word for end, others begin anew."""
    if old is None or (old.service.flap_limit, old.service.failback) == (service.flap_limit, service.failback):
        return state
    wait = state.wait
    if wait is not None and steadiness.is_wanted(wait, service.flap_limit, service.failback):
        wait = msgspec.structs.replace(wait, until_ms=0)
    else:
        wait = None
    return msgspec.structs.replace(state, wait=wait, changes=state.changes if service.flap_limit else ())


def _watched(draft: Draft, known: ServiceState, address: str, state: EndpointState) -> EndpointState:
    """Begin and end the waits that follow from a verdict that changed."""
    limit, wait, at_ms = known.service.flap_limit, state.wait, draft.entry.at_ms
    changes = () if limit is None else steadiness.changes_within(limit, state.changes, at_ms)
    is_held = wait is not None and wait.kind == "flapping"
    if limit is not None and (is_held or steadiness.is_flapping(limit, changes)):
        wait = Wait("flapping", draft.index, at_ms)
    elif state.verdict == "down":
        wait = None
    elif known.service.failback.kind != "auto" and address not in known.published:
        wait = Wait("failback", draft.index, at_ms)
    if wait is not None and (state.wait is None or state.wait.kind != wait.kind):
        _tell_wait(draft, known.service, address, wait)
    return msgspec.structs.replace(state, changes=changes, wait=wait)


def _tell_wait(draft: Draft, service: Service, address: str, wait: Wait) -> None:
    limit, failback = service.flap_limit, service.failback
    if wait.kind == "flapping" and limit is not None:
        times = f"{limit.changes} times within {limit.per_ms / 1000:g} s"
        text = f"up and down {times}: held out of DNS until it is steady for {limit.hold_ms / 1000:g} s"
    elif failback.kind == "after":
        text = f"up again: it comes back after {failback.after_ms / 1000:g} s"
    else:
        text = "up again: it comes back when somebody says so"
    tell_endpoint(draft, "endpoint.held", service, address, text, wait=wait.kind)


def _without_needless_waits(draft: Draft, known: ServiceState) -> ServiceState:
    """End the waits for coming back of what is in DNS already, because nothing better is left."""
    needed = [
        address
        for address, state in known.endpoints
        if state.wait is not None and state.wait.kind == "failback" and address in known.published
    ]
    for address in needed:
        text = "it is used: nothing better is left"
        tell_endpoint(draft, "endpoint.hold_ended", known.service, address, text, wait="failback")
    return without_waits(known, needed) if needed else known


def without_waits(known: ServiceState, addresses: Collection[str]) -> ServiceState:
    """Return a service some of whose endpoints wait no longer."""
    endpoints = tuple(
        (address, msgspec.structs.replace(state, wait=None, changes=()) if address in addresses else state)
        for address, state in known.endpoints
    )
    return msgspec.structs.replace(known, endpoints=endpoints)


# --- what follows ---------------------------------------------------------------------------------


def _tell_service(draft: Draft, before: ServiceState, after: ServiceState) -> None:
    """Tell of what concerns the whole service: fail-open and the loss of every endpoint."""
    text = to_text(after.service.fqdn)
    if before.fail_open != after.fail_open:
        kind = "service.fail_open" if after.fail_open else "service.fail_open_ended"
        sentence = "too many endpoints are down: all are kept" if after.fail_open else "verdicts decide again"
        draft.tell(kind, text, sentence, service=text)
    if before.is_down != after.is_down:
        kind = "service.down" if after.is_down else "service.up"
        draft.tell(
            kind, text, "every endpoint is down" if after.is_down else "an endpoint is back", service=text
        )


def _all_down(known: ServiceState) -> bool:
    """Say whether all is down that counts: what operators took out does not, what they forced up is up."""
    overrides = dict(known.overrides)
    counted = [
        state.verdict == "down" and address not in overrides
        for address, state in known.endpoints
        if address not in overrides or overrides[address].kind == "up"
    ]
    return bool(counted) and all(counted)


def write_rrsets(draft: Draft, known: ServiceState) -> None:
    """Make the service's RRsets in our own zone follow; a zone that is not ours is only pushed to."""
    zone = draft.state.zones.get(known.service.zone)
    if zone is None:
        return
    wanted = {rrset.type: rrset for rrset in publish.rrsets(known.service, known.published, known.ttl)}
    changes = [Replacement(known.service.fqdn, type_, wanted.get(type_)) for type_ in MANAGED]
    draft.change_zone(zone, changes)


def remove_rrsets(draft: Draft, known: ServiceState) -> None:
    """Take the service's RRsets out of our own zone."""
    write_rrsets(draft, msgspec.structs.replace(known, published=()))
