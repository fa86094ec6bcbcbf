"""Why an endpoint stands in DNS or not: told from the State alone, so alike on every node at one index. Pure.

Times are those that the log knows; how long ago that was is for whoever shows it.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import msgspec

from node.counted import counted
from node.health.override import Override
from node.health.publish import Reason, part_of
from node.health.rule import judge
from node.health.service import Endpoint, Service
from node.state.command import Member
from node.state.events import iter_after
from node.state.state import EndpointState, Event, ServiceState, State
from node.state.telling import selection_of
from node.zone.name import to_text

_LATEST_MS = 253_402_300_799_000
"""The end of the year 9999, beyond which a time has no text."""
_SELECTIONS = {
    "weighted": "all, in an order drawn by weight,",
    "weighted-one": "one, drawn by weight,",
    "sticky": "one, the same for all clients of a network,",
    "site": "what is at the answering node's site, or all where nothing is,",
}
_OF_NODES = ("votes.dropped", "node.removed", "node.changed")
"""Events after which none of a node's votes stands."""
_OVERRIDES = {"drain": "drained", "up": "forced up", "down": "forced down"}


class Line(msgspec.Struct, frozen=True):
    """One sentence; those of more ``depth`` say why the one above them is so."""

    depth: int
    text: str


class EndpointStory(msgspec.Struct, frozen=True):
    """One endpoint: whether it is published, the word for why, and the whole of it in sentences."""

    address: str
    published: bool
    reason: str
    lines: tuple[Line, ...]


class Explanation(msgspec.Struct, frozen=True):
    """Why a question is answered as it is."""

    index: int
    name: str
    type: str
    kind: str
    """answer, nodata, nxdomain, referral, outside ..."""
    rcode: int
    records: tuple[str, ...]
    """The records of the answer section in master-file text, without ttl."""
    lines: tuple[Line, ...]
    endpoints: tuple[EndpointStory, ...] = ()


def explain_service(state: State, known: ServiceState) -> tuple[EndpointStory, ...]:
    """Tell of every endpoint of a service, in the service's order."""
    verdicts = {address: each.verdict for address, each in known.endpoints}
    reasons = dict(selection_of(known).reasons)
    states = dict(known.endpoints)
    is_whole = all(
        len(states[each.address].votes) == len(_voters(state, each)) for each in known.service.endpoints
    )
    silences = {} if is_whole else _silences(state, known)
    stories = []
    for endpoint in known.service.endpoints:
        published = endpoint.address in known.published
        reason = reasons[endpoint.address]
        lines = (
            Line(
                0, f"{endpoint.address} is {'' if published else 'not '}published: {_headline(known, reason)}"
            ),
            *_operator_lines(known, endpoint.address),
            *_verdict_lines(state, known.service, endpoint, states[endpoint.address], silences),
            *_wait_lines(known.service, states[endpoint.address]),
            *_selection_lines(known, endpoint, reason, verdicts),
            *_change_lines(known, endpoint.address, reason, states[endpoint.address]),
        )
        stories.append(EndpointStory(endpoint.address, published, reason, lines))
    return tuple(stories)


def moment(at_ms: int) -> str:
    """Write a time of the log as people read it, in UTC."""
    when = datetime.fromtimestamp(min(max(at_ms, 0), _LATEST_MS) / 1000, UTC)
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def _since(at_ms: int, index: int) -> str:
    """Write since when; index 0 is of the past of which nothing is held any more."""
    return f"since {_moment_or_earlier(at_ms)}" + (f" (index {index})" if index else "")


def _moment_or_earlier(at_ms: int) -> str:
    return moment(at_ms) if at_ms else "before what is held"


def _is_maintained(known: ServiceState) -> bool:
    return known.maintenance is not None and known.maintenance.active


def _headline(known: ServiceState, reason: Reason) -> str:
    if _is_maintained(known):
        return "maintenance keeps DNS as it was"
    words: Mapping[str, str] = {
        "up": "it is up",
        "undecided": "nothing says that it is down",
        "down": "it is down",
        "kept": "it is down and kept",
        "standby": "others go before it",
        "flapping": "it was up and down too often",
        "waiting": "it is up again and waits to come back",
        "drained": "it is drained",
        "forced up": "it is forced up",
        "forced down": "it is forced down",
    }
    return words[reason]


def _operator_lines(known: ServiceState, address: str) -> Iterator[Line]:
    maintenance = known.maintenance
    if maintenance is not None:
        at_ms = maintenance.from_ms or maintenance.at_ms
        begins = (
            f"planned from {moment(at_ms)}" if not maintenance.active else f"since {_moment_or_earlier(at_ms)}"
        )
        yield Line(
            1, f"maintenance {begins}{_said(maintenance.author, maintenance.reason, maintenance.until_ms)}"
        )
    override = dict(known.overrides).get(address)
    if override is not None:
        yield Line(1, _override_text(override))
    elif maintenance is None:
        yield Line(1, "not drained, not forced, not in maintenance")


def _override_text(override: Override) -> str:
    since = f"{_OVERRIDES[override.kind]} {_since(override.at_ms, override.index)}"
    return since + _said(override.author, override.reason, override.until_ms)


def _said(author: str, reason: str, until_ms: int) -> str:
    until = f" until {moment(until_ms)}" if until_ms else " until it is taken back"
    return f"{f' by {author}' if author else ''}{f': {reason}' if reason else ''},{until}"


# --- votes ----------------------------------------------------------------------------------------


def _voters(state: State, endpoint: Endpoint) -> tuple[Member, ...]:
    return tuple(each for each in state.members if not endpoint.probe_from or each.name in endpoint.probe_from)


def _silences(state: State, known: ServiceState) -> dict[tuple[str, str], Event]:
    """Return with which event a node has taken back its latest vote on an endpoint, by address and node.

    Those from before the service was defined as it is are left out: its endpoints may have been others.
    """
    found: dict[tuple[str, str], Event] = {}
    fqdn = to_text(known.service.fqdn)
    for event in iter_after(state, known.index):
        if event.index > state.index:
            break
        data = event.data
        if event.kind == "vote.withdrawn" and data["service"] == fqdn:
            found[data["endpoint"], data["node"]] = event
        elif found and event.kind == "vote.cast" and data["service"] == fqdn:
            found.pop((data["endpoint"], data["node"]), None)
        elif found and event.kind in _OF_NODES:
            found = {place: each for place, each in found.items() if place[1] != data.get("node")}
    return found


def _verdict_lines(
    state: State,
    service: Service,
    endpoint: Endpoint,
    known: EndpointState,
    silences: Mapping[tuple[str, str], Event],
) -> Iterator[Line]:
    voters, votes = _voters(state, endpoint), dict(known.votes)
    ups = {name: vote.up for name, vote in known.votes}
    since = f" since {moment(known.at_ms)} (index {known.index})" if known.index else ""
    up, down = sum(ups.values()), sum(not each for each in ups.values())
    tally = f"{up} of {len(voters)} nodes say up, {down} down, {len(voters) - up - down} nothing"
    yield Line(1, f"verdict {known.verdict}{since}: {tally}; {_needed(service)}")
    for voter in voters:
        name = f"{voter.name} {voter.site}".strip()
        vote = votes.get(voter.name)
        silence = silences.get((endpoint.address, voter.name))
        if vote is None:
            why = f": {silence.data['evidence']}, {_since(silence.at_ms, silence.index)}" if silence else ""
            yield Line(2, f"· {name}  no vote{why}")
            continue
        said = f"▲ {name}  {vote.latency_ms} ms" if vote.up else f"▼ {name}"
        evidence = f"  {vote.evidence}" if vote.evidence else ""
        yield Line(2, f"{said}{evidence}, {_since(vote.at_ms, vote.index)}")
    sites = {each.name: each.site for each in voters}
    if known.verdict != "undecided" and _decides_nothing(service, ups, sites):
        yield Line(2, "these votes decide nothing: the last verdict stays")


def _decides_nothing(service: Service, votes: Mapping[str, bool], sites: Mapping[str, str]) -> bool:
    is_told = service.check.kind == "push"
    return judge(service.rule, votes, sites, "undecided", is_told=is_told) == "undecided"


def _needed(service: Service) -> str:
    rule = service.rule
    least = f", with at least {counted(rule.min_voters, 'vote')}" if rule.min_voters else ""
    if service.check.kind == "push":
        return f"one that hears it is enough for up, and {rule} must say down{least}"
    return f"the rule is that {rule} must say down{least}"


def _wait_lines(service: Service, known: EndpointState) -> Iterator[Line]:
    """Say what keeps an endpoint back that is up, or would once it is."""
    wait, limit = known.wait, service.flap_limit
    if wait is None:
        if limit is not None and known.changes:
            count = f"{len(known.changes)} of {limit.changes}"
            yield Line(1, f"not held for flapping: {count} changes within {limit.per_ms / 1000:g} s")
        return
    until = f"until {moment(wait.until_ms)}" if wait.until_ms else "until somebody says so"
    if wait.kind == "flapping" and limit is not None:
        until = until if wait.until_ms else f"for {limit.hold_ms / 1000:g} s"
        why = f"its verdict changed {limit.changes} times within {limit.per_ms / 1000:g} s"
        yield Line(1, f"held {until}, longer if it changes again: {why} ({_since(wait.at_ms, wait.index)})")
        return
    if not wait.until_ms and service.failback.kind == "after":
        until = f"for {service.failback.after_ms / 1000:g} s"
    yield Line(1, f"up again {_since(wait.at_ms, wait.index)}, waits {until}")


# --- from verdicts to records ---------------------------------------------------------------------


def _selection_lines(
    known: ServiceState, endpoint: Endpoint, reason: Reason, verdicts: Mapping[str, str]
) -> Iterator[Line]:
    service = part_of(known.service, endpoint.address)
    overrides = dict(known.overrides)
    is_open = known.fail_open
    if service is not known.service:
        is_open = selection_of(msgspec.structs.replace(known, service=service)).fail_open
    counted = [each for each in service.endpoints if _counts(overrides.get(each.address))]
    down = [each for each in counted if verdicts[each.address] == "down" and each.address not in overrides]
    share = (
        f"{len(down)} of {len(counted)} counted endpoints are down, the limit is {service.fail_open_percent} %"
    )
    if service is not known.service:
        yield Line(1, "A and AAAA are judged separately")
    if is_open:
        yield Line(1, f"fail-open keeps all: {share}{_min_up(service)}")
    elif down:
        yield Line(1, f"fail-open does not apply: {share}{_min_up(service)}")
    if down and len(down) == len(counted) and not is_open:
        yield Line(1, f"every counted endpoint is down: {_when_down(service)}")
    if reason == "standby":
        limit = f", at most {service.max_answers} are published" if service.max_answers else ""
        yield Line(1, f"priority {endpoint.priority}, weight {endpoint.weight}, {service.mode}{limit}")


def _counts(override: Override | None) -> bool:
    return override is None or override.kind == "up"


def _min_up(service: Service) -> str:
    return f", and at least {service.min_up} must be up" if service.min_up else ""


def _when_down(service: Service) -> str:
    words = {
        "nodata": "no records are published",
        "all": "all are published",
        "last_good": "what was published last stays",
        "fallback": f"{', '.join(service.fallback) or 'no records'} are published instead",
    }
    return words[service.when_down]


def _change_lines(known: ServiceState, address: str, reason: Reason, endpoint: EndpointState) -> Iterator[Line]:
    """Say when it will change."""
    service = known.service
    override = dict(known.overrides).get(address)
    if _is_maintained(known):
        yield Line(1, "it is judged anew when the maintenance ends")
    elif override is not None:
        yield Line(1, "the votes decide again when that ends")
    elif reason in ("flapping", "waiting"):
        yield Line(1, "it is used before that where nothing better is left")
    elif service.check.kind == "push":
        yield Line(1, _report_text(service, endpoint.verdict))
    elif reason in ("down", "kept") or endpoint.verdict == "down":
        seconds = service.rise * service.recheck_ms / 1000
        yield Line(
            1,
            f"it is up again when enough nodes say so, each after {counted(service.rise, 'good probe')} in a row: "
            f"about {seconds:g} s after it works",
        )
    else:
        seconds = service.fall * service.recheck_ms / 1000
        yield Line(
            1,
            f"it would be down when {service.rule} say so, each after {counted(service.fall, 'bad probe')} in a row: "
            f"about {seconds:g} s, and {service.timeout_ms / 1000:g} s each where nothing answers",
        )


def _report_text(service: Service, verdict: str) -> str:
    if verdict == "down":
        return "it is up again with its next heartbeat, to whichever node"
    return f"it would be down when no node has heard it for {service.check.lease_s} s"


def delivery_lines(state: State, known: ServiceState) -> Iterator[Line]:
    """Say how far each push target of the service is."""
    index = max(known.index, known.published_index)
    for name in sorted(state.targets):
        target = state.targets[name]
        if target.zones and known.service.zone not in target.zones:
            continue
        delivery = state.deliveries.get(name)
        plan = delivery.plan if delivery is not None else 0
        if delivery is not None and plan >= index:
            yield Line(0, f"elsewhere: {name} has it (plan {plan} since {moment(delivery.at_ms)})")
        else:
            yield Line(0, f"elsewhere: {name} does not have it yet (plan {plan} stands, {index} is wanted)")
    if known.service.selection != "all":
        yield Line(0, f"an answer holds {_SELECTIONS[known.service.selection]} of what is published here")
    if known.service.ttl_min:
        yield Line(0, _ttl_text(known))
    yield Line(
        0, f"resolvers may keep an old answer of {to_text(known.service.fqdn)} for {known.service.ttl} s (ttl)"
    )


def _ttl_text(known: ServiceState) -> str:
    if known.ttl == known.service.ttl:
        return f"the ttl is {known.ttl} s: no endpoint is undecided, down or changing"
    text = f"the ttl is {known.ttl} s while an endpoint is undecided, down or changing"
    return f"{text}, {known.service.ttl} s otherwise"
