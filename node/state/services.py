"""What the commands on services, endpoints and votes do."""

import msgspec

from node.counted import counted
from node.health.service import Endpoint, Service, endpoint_of, problem
from node.state.command import (
    Ballot,
    CastVotes,
    DeleteEndpoint,
    DeleteService,
    DropVotes,
    PutEndpoint,
    PutService,
)
from node.state.draft import Draft
from node.state.judging import MANAGED, judge, keep, remove_rrsets, settled, voters, write_rrsets
from node.state.leases import subtree_above, text_of
from node.state.standing import hiding
from node.state.state import EndpointState, Refused, Result, ServiceState, Vote
from node.state.targets import leave_behind
from node.state.telling import tell_published
from node.state.undoing import undo_of
from node.state.votes import Abstention, WithdrawVotes
from node.state.wording import service_changes
from node.state.zones import closest_zone, condition
from node.zone.name import Name, is_within, to_text
from node.zone.rrset import CNAME, type_to_text
from node.zone.zone import Zone

BALLOTS_MAX = 10_000
EVIDENCE_CHARACTERS_MAX = 200
RETIRED_MAX = 64
CHANGES_CHARACTERS_MAX = 400


def put_service(draft: Draft, command: PutService) -> Result:
    """Create the service or make it exactly this one; what is known of addresses that stay is kept."""
    service = command.service
    old = draft.state.services.get(service.fqdn)
    wrong = condition(draft, command.if_index, old.index if old else 0) or _service_problem(draft, service)
    if wrong:
        return wrong
    if old is not None and old.service == service:
        return draft.accepted()
    if old is not None and old.service.zone != service.zone:
        remove_rrsets(draft, old)
        leave_behind(draft, old.service, _addresses_ever(old))
    known = dict(old.endpoints) if old else {}
    endpoints = tuple(
        (
            each.address,
            settled(
                _of_electorate(known.get(each.address, EndpointState()), voters(draft, each)), service, old
            ),
        )
        for each in service.endpoints
    )
    published = old.published if old else ()
    current = {*service.fallback, *(address for address, _ in endpoints)}
    retired = tuple(each for each in _addresses_ever(old) if each not in current)[-RETIRED_MAX:] if old else ()
    fail_open = old.fail_open if old else False
    addresses = {address for address, _ in endpoints}
    overrides = tuple(each for each in old.overrides if each[0] in addresses) if old else ()
    maintenance = old.maintenance if old else None
    after = ServiceState(service, endpoints, published, fail_open, draft.index, retired, overrides, maintenance)
    if old is None:
        after = msgspec.structs.replace(after, published_index=draft.index)
    else:
        kept = {
            "published_index": old.published_index,
            "is_down": old.is_down,
            "is_unsettled": old.is_unsettled,
        }
        after = msgspec.structs.replace(after, **kept)
    keep(draft, after)
    text = to_text(service.fqdn)
    if old is None:
        draft.tell("service.created", text, counted(len(endpoints), "endpoint"), service=text)
    else:
        words = service_changes(old.service, service)[:CHANGES_CHARACTERS_MAX]
        draft.tell("service.changed", text, words, service=text)
        draft.keep_undo(undo_of(old, service))
    judge(draft, service.fqdn)
    return draft.accepted()


def delete_service(draft: Draft, command: DeleteService) -> Result:
    """Delete the service, what is known of it and its RRsets."""
    old = draft.state.services.get(command.fqdn)
    if old is None:
        return _no_service(draft, command.fqdn)
    wrong = condition(draft, command.if_index, old.index)
    if wrong:
        return wrong
    draft.update(services=draft.state.services.delete(command.fqdn))
    draft.touch_service(command.fqdn)
    text = to_text(command.fqdn)
    draft.tell("service.deleted", text, "the service and its records", service=text)
    draft.keep_undo(undo_of(old, None))
    nothing = msgspec.structs.replace(old.service, endpoints=())
    tell_published(draft, old, msgspec.structs.replace(old, service=nothing, endpoints=(), published=()))
    remove_rrsets(draft, old)
    leave_behind(draft, old.service, _addresses_ever(old))
    return draft.accepted()


def put_endpoint(draft: Draft, command: PutEndpoint) -> Result:
    """Add the endpoint to its service, or make it exactly this one."""
    old = draft.state.services.get(command.fqdn)
    if old is None:
        return _no_service(draft, command.fqdn)
    others = old.service.endpoints
    if endpoint_of(old.service, command.endpoint.address) is None:
        endpoints: tuple[Endpoint, ...] = (*others, command.endpoint)
    else:
        endpoints = tuple(
            command.endpoint if each.address == command.endpoint.address else each for each in others
        )
    return _with_endpoints(draft, old, endpoints, command.if_index)


def delete_endpoint(draft: Draft, command: DeleteEndpoint) -> Result:
    """Remove the endpoint from its service."""
    old = draft.state.services.get(command.fqdn)
    if old is None:
        return _no_service(draft, command.fqdn)
    if endpoint_of(old.service, command.address) is None:
        return draft.refused("not-found", f"{to_text(command.fqdn)} has no endpoint {command.address}")
    endpoints = tuple(each for each in old.service.endpoints if each.address != command.address)
    return _with_endpoints(draft, old, endpoints, command.if_index)


def cast_votes(draft: Draft, command: CastVotes) -> Result:
    """Count a node's votes that differ from what it said before, and publish what follows."""
    wrong = _ballot_problem(draft, command.node, command.after_drop, len(command.ballots))
    if wrong:
        return wrong
    by_service: dict[Name, list[Ballot]] = {}
    for ballot in command.ballots:
        by_service.setdefault(ballot.fqdn, []).append(ballot)
    touched = [fqdn for fqdn, ballots in by_service.items() if _cast(draft, command.node, fqdn, ballots)]
    for fqdn in touched:
        judge(draft, fqdn)
    return draft.accepted()


def withdraw_votes(draft: Draft, command: WithdrawVotes) -> Result:
    """Count a node's votes on these endpoints no longer, and publish what follows from the others'."""
    wrong = _ballot_problem(draft, command.node, command.after_drop, len(command.abstentions))
    if wrong:
        return wrong
    by_service: dict[Name, list[Abstention]] = {}
    for each in command.abstentions:
        by_service.setdefault(each.fqdn, []).append(each)
    for fqdn, abstentions in by_service.items():
        if _withdraw(draft, command.node, fqdn, abstentions):
            judge(draft, fqdn)
    return draft.accepted()


def drop_votes(draft: Draft, command: DropVotes) -> Result:
    """End a node's lease: its votes vanish; verdicts stay until a majority says otherwise."""
    dropped = 0
    services = draft.state.services.mutate()
    for fqdn in sorted(draft.state.services):
        each = draft.state.services[fqdn]
        endpoints = tuple((address, _without(known, command.node)) for address, known in each.endpoints)
        if endpoints != each.endpoints:
            services[fqdn] = msgspec.structs.replace(each, endpoints=endpoints)
            draft.touch_service(fqdn)
            dropped += 1
    if not dropped:
        return draft.accepted()
    drops = draft.state.drops.set(command.node, draft.state.drops.get(command.node, 0) + 1)
    draft.update(services=services.finish(), drops=drops)
    text = f"not heard from; its votes on {counted(dropped, 'service')} no longer count"
    draft.tell("votes.dropped", command.node, text, node=command.node)
    return draft.accepted()


def publish_zone(draft: Draft, zone: Name) -> None:
    """Write the RRsets of services that were there before their zone was."""
    for fqdn in sorted(draft.state.services):
        each = draft.state.services[fqdn]
        if each.service.zone == zone:
            write_rrsets(draft, each)


def electorate_changed(draft: Draft) -> None:
    """Nodes came or went: forget the votes of those who are none, and judge every endpoint anew."""
    for fqdn in sorted(draft.state.services):
        known = draft.state.services[fqdn]
        endpoints = tuple(
            (address, _of_electorate(state, voters(draft, endpoint)))
            for endpoint, (address, state) in zip(known.service.endpoints, known.endpoints, strict=True)
        )
        if endpoints != known.endpoints:
            keep(draft, msgspec.structs.replace(known, endpoints=endpoints))
        judge(draft, fqdn)


# --- definitions ----------------------------------------------------------------------------------


def _with_endpoints(
    draft: Draft, old: ServiceState, endpoints: tuple[Endpoint, ...], if_index: int | None
) -> Result:
    service = msgspec.structs.replace(old.service, endpoints=endpoints)
    return put_service(draft, PutService(service, if_index))


def _service_problem(draft: Draft, service: Service) -> Refused | None:
    text = to_text(service.fqdn)
    sentence = problem(service) or _electorate_problem(draft, service)
    if sentence:
        return draft.refused("invalid", f"{text}: {sentence}")
    zone = closest_zone(draft, service.fqdn)
    if zone is None or _is_elsewhere(draft, zone, service):
        return None  # pushed elsewhere only
    if zone.name != service.zone:
        return draft.refused(
            "invalid", f"{text} lies in the zone {to_text(zone.name)}, not {to_text(service.zone)}"
        )
    hidden_by = hiding(zone, service.fqdn)
    if hidden_by is not None:
        what = f"{to_text(hidden_by.name)} {type_to_text(hidden_by.type)}"
        return draft.refused("conflict", f"{what} would hide the service {text}")
    lease = subtree_above(draft, zone.name, service.fqdn)
    if lease is not None:
        what = f"{text} lies under a lease on {text_of(lease)}"
        return draft.refused("conflict", what, "choose a name that nobody else takes away")
    if service.fqdn in draft.state.services:
        return None
    for type_ in (*MANAGED, CNAME):
        if zone.get(service.fqdn, type_) is not None:
            what = f"{text} already has a record of type {type_to_text(type_)}"
            return draft.refused("conflict", what, f"qdns record rm {text} {type_to_text(type_)}")
    return None


def _is_elsewhere(draft: Draft, above: Zone, service: Service) -> bool:
    """Say whether the service's zone is below ours and not ours: delegated, or there before ours was."""
    if above.name == service.zone or not is_within(service.zone, above.name):
        return False
    known = draft.state.services.get(service.fqdn)
    is_known = known is not None and known.service.zone == service.zone
    return is_known or hiding(above, service.zone) is not None


def _electorate_problem(draft: Draft, service: Service) -> str | None:
    """Nodes that probe an endpoint must exist: without them its verdict would rest on fewer, or never come."""
    names = {member.name for member in draft.state.members}
    for endpoint in service.endpoints:
        for name in endpoint.probe_from:
            if name not in names:
                return f"endpoint {endpoint.address}: {name} in probe_from is not a node of the cluster"
    return None


def _addresses_ever(service_state: ServiceState) -> tuple[str, ...]:
    """Return every address known to have been an endpoint or a fallback, the latest ones last."""
    endpoints = (address for address, _ in service_state.endpoints)
    return tuple(dict.fromkeys((*service_state.retired, *service_state.service.fallback, *endpoints)))


def _no_service(draft: Draft, fqdn: Name) -> Refused:
    return draft.refused("not-found", f"there is no service {to_text(fqdn)}", "qdns service list")


# --- votes and verdicts ---------------------------------------------------------------------------


def _ballot_problem(draft: Draft, node: str, after_drop: int, count: int) -> Refused | None:
    if not any(member.name == node for member in draft.state.members):
        return draft.refused("forbidden", f"{node} is not a node of the cluster")
    if after_drop != draft.state.drops.get(node, 0):
        return draft.refused("precondition", f"the votes of {node} are from before its lease ended")
    if count > BALLOTS_MAX:
        return draft.refused("invalid", f"one entry can hold at most {BALLOTS_MAX} votes")
    return None


def _withdraw(draft: Draft, node: str, fqdn: Name, abstentions: list[Abstention]) -> bool:
    """Take a node's votes on endpoints of one service out of the state; say whether there was one."""
    known = draft.state.services.get(fqdn)
    endpoints = {} if known is None else dict(known.endpoints)
    counted = False
    for each in abstentions:
        before = endpoints.get(each.address)
        vote = None if before is None else dict(before.votes).get(node)
        if before is None or vote is None:
            continue
        counted = True
        endpoints[each.address] = _without(before, node)
        _tell_withdrawn(draft, node, each, vote)
    if known is not None and counted:
        keep(draft, msgspec.structs.replace(known, endpoints=tuple(endpoints.items())))
    return counted


def _tell_withdrawn(draft: Draft, node: str, abstention: Abstention, vote: Vote) -> None:
    text, word = to_text(abstention.fqdn), "up" if vote.up else "down"
    evidence = abstention.evidence[:EVIDENCE_CHARACTERS_MAX]
    draft.tell(
        "vote.withdrawn",
        f"{text} {abstention.address}",
        f"{node} no longer says {word}: {evidence}" if evidence else f"{node} no longer says {word}",
        service=text,
        endpoint=abstention.address,
        node=node,
        before=word,
        evidence=evidence,
    )


def _cast(draft: Draft, node: str, fqdn: Name, ballots: list[Ballot]) -> bool:
    """Put a node's votes on one service into the state; say whether one differs from its last one."""
    known = draft.state.services.get(fqdn)
    if known is None:
        return False
    definitions = {each.address: each for each in known.service.endpoints}
    endpoints = dict(known.endpoints)
    counted = False
    for ballot in ballots:
        endpoint = definitions.get(ballot.address)
        if endpoint is None or (endpoint.probe_from and node not in endpoint.probe_from):
            continue
        before = endpoints[ballot.address]
        endpoints[ballot.address] = _with_vote(draft, node, ballot, before)
        if known.service.check.kind == "push" and ballot.up:
            endpoints[ballot.address] = _heard(endpoints[ballot.address])
        counted = counted or endpoints[ballot.address] is not before
    if counted:
        keep(draft, msgspec.structs.replace(known, endpoints=tuple(endpoints.items())))
    return counted


def _with_vote(draft: Draft, node: str, ballot: Ballot, known: EndpointState) -> EndpointState:
    votes = dict(known.votes)
    if node in votes and votes[node].up == ballot.up:
        return known
    before = "" if node not in votes else "up" if votes[node].up else "down"
    evidence = ballot.evidence[:EVIDENCE_CHARACTERS_MAX]
    votes[node] = Vote(ballot.up, draft.index, draft.entry.at_ms, ballot.latency_ms, evidence)
    text = to_text(ballot.fqdn)
    word = "up" if ballot.up else "down"
    draft.tell(
        "vote.cast",
        f"{text} {ballot.address}",
        f"{node} {word}: {evidence}" if evidence else f"{node} {word}",
        service=text,
        endpoint=ballot.address,
        node=node,
        vote=word,
        before=before,
        evidence=evidence,
        latency_ms=str(ballot.latency_ms) if ballot.latency_ms else "",
    )
    return msgspec.structs.replace(known, votes=tuple(sorted(votes.items())))


def _heard(known: EndpointState) -> EndpointState:
    """Forget who said that an endpoint does not report: they did not hear it, and another node does."""
    votes = tuple((name, vote) for name, vote in known.votes if vote.up)
    return known if votes == known.votes else msgspec.structs.replace(known, votes=votes)


def _without(known: EndpointState, node: str) -> EndpointState:
    votes = tuple((name, vote) for name, vote in known.votes if name != node)
    return known if votes == known.votes else msgspec.structs.replace(known, votes=votes)


def _of_electorate(known: EndpointState, electorate: tuple[str, ...]) -> EndpointState:
    """Forget the votes of nodes that no longer probe, so that they never count again as they are."""
    votes = tuple((name, vote) for name, vote in known.votes if name in electorate)
    return known if votes == known.votes else msgspec.structs.replace(known, votes=votes)
