"""Parts of the State as the JSON rows that ``/v1`` shows. Pure."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from node.api.check import check_row, rule_row
from node.api.context import PushProgress, ReceiverRow
from node.api.names import plain
from node.health.check_text import write_check
from node.health.override import Maintenance, Override
from node.health.service import Endpoint, Service
from node.health.steadiness import FlapLimit, Wait
from node.state.command import ZoneSettings
from node.state.pushes import Target
from node.state.state import Delivery, EndpointState, Event, ServiceState, State, Try
from node.state.telling import selection_of
from node.state.tokens import DAY_MAX
from node.zone.name import Name, to_text
from node.zone.rrset import AAAA, A, RRset, rdata_to_text, type_to_text
from node.zone.zone import Zone

Row = dict[str, Any]
DAY_MS = 86_400_000


def moment(at_ms: int) -> str | None:
    """Write a time as RFC 3339 in UTC with milliseconds; 0 is no time."""
    if at_ms <= 0:
        return None
    when = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def day(number: int) -> str | None:
    """Write a day, counted from 1970-01-01, as RFC 3339 does; 0 is no day."""
    return None if number <= 0 else f"{date(1970, 1, 1) + timedelta(days=min(number, DAY_MAX))}"


def read_moment(text: object) -> int | None:
    """Read such a time into ms since 1970; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def zone_row(state: State, zone: Zone) -> Row:
    """Show a zone with its settings."""
    settings = state.zone_settings.get(zone.name)
    row: Row = {"zone": plain(zone.name), "serial": zone.serial, "rrsets": zone.rrset_count}
    row["index"] = state.zone_indexes.get(zone.name, 0)
    if settings is not None:
        policy = state.serial_policies.get(zone.name, "increment")
        row |= settings_row(settings) | {"serial_policy": policy}
    return row


def settings_row(settings: ZoneSettings) -> Row:
    """Show what a zone's SOA and apex NS are made from."""
    return {
        "nameservers": [to_text(name) for name in settings.nameservers],
        "contact": to_text(settings.contact),
        "default_ttl": settings.default_ttl,
        "negative_ttl": settings.negative_ttl,
        "refresh_s": settings.refresh_s,
        "retry_s": settings.retry_s,
        "expire_s": settings.expire_s,
    }


def rrset_row(state: State, rrset: RRset, index: int) -> Row:
    """Show an RRset; ``managed_by`` names the service whose verdicts decide it."""
    return {
        "name": to_text(rrset.name),
        "type": type_to_text(rrset.type),
        "ttl": rrset.ttl,
        "rdatas": [rdata_to_text(rrset.type, rdata) for rdata in rrset.rdatas],
        "comment": rrset.comment,
        "disabled": rrset.disabled,
        "managed_by": managed_by(state, rrset.name, rrset.type),
        "index": index,
    }


def managed_by(state: State, name: Name, type_: int) -> str | None:
    """Return the service that an RRset belongs to, or None."""
    return plain(name) if type_ in (A, AAAA) and name in state.services else None


def service_row(known: ServiceState) -> Row:
    """Show a service with its endpoints and their votes, as the status does."""
    service = known.service
    overrides = dict(known.overrides)
    reasons = dict(selection_of(known).reasons)
    by_address = {each.address: each for each in service.endpoints}
    return {
        "fqdn": plain(service.fqdn),
        "zone": plain(service.zone),
        "types": _families(service.endpoints),
        "ttl": service.ttl,
        "ttl_now": known.ttl,
        "mode": service.mode,
        "fail_open": known.fail_open,
        "published": list(known.published),
        "changed_at": moment(max((each.at_ms for _, each in known.endpoints), default=0)),
        "endpoints": [
            endpoint_row(by_address[address], each, address in known.published, reasons.get(address, ""))
            | {"override": override_row(overrides.get(address)), "wait": wait_row(each.wait)}
            for address, each in known.endpoints
        ],
        "maintenance": maintenance_row(known.maintenance),
    }


def override_row(override: Override | None) -> Row | None:
    """Show what an operator said of an endpoint."""
    if override is None:
        return None
    return {
        "kind": override.kind,
        "author": override.author,
        "reason": override.reason,
        "since_at": moment(override.at_ms),
        "until_at": moment(override.until_ms),
        "automated": override.automated,
        "index": override.index,
    }


def wait_row(wait: Wait | None) -> Row | None:
    """Show why an endpoint that is up does not come back yet."""
    if wait is None:
        return None
    row = {"kind": wait.kind, "since_at": moment(wait.at_ms), "until_at": moment(wait.until_ms)}
    return row | {"index": wait.index}


def maintenance_row(maintenance: Maintenance | None) -> Row | None:
    """Show a maintenance, one that goes on or a planned one."""
    if maintenance is None:
        return None
    return {
        "active": maintenance.active,
        "author": maintenance.author,
        "reason": maintenance.reason,
        "from_at": moment(maintenance.from_ms or maintenance.at_ms),
        "until_at": moment(maintenance.until_ms),
        "index": maintenance.index,
    }


def service_definition(known: ServiceState) -> Row:
    """Show what only the definition of a service says."""
    return checking_row(known.service) | {"index": known.index}


def checking_row(service: Service) -> Row:
    """Show how a service is checked and judged."""
    return {
        "check": check_row(service.check),
        "check_text": write_check(service.check),
        "interval_ms": service.interval_ms,
        "timeout_ms": service.timeout_ms,
        "recheck_ms": service.recheck_ms,
        "rise": service.rise,
        "fall": service.fall,
        "fail_open_percent": service.fail_open_percent,
        "rule": rule_row(service.rule),
        "when_down": service.when_down,
        "fallback": list(service.fallback),
        "min_up": service.min_up,
        "max_answers": service.max_answers,
        "flap_limit": _flap_row(service.flap_limit),
        "ttl_min": service.ttl_min,
        "separate_families": service.separate_families,
        "selection": service.selection,
        "failback": service.failback.kind,
        "failback_after_ms": service.failback.after_ms,
    }


def _flap_row(limit: FlapLimit | None) -> Row | None:
    return None if limit is None else msgspec.structs.asdict(limit)


def endpoint_row(endpoint: Endpoint, known: EndpointState, published: bool, reason: str) -> Row:
    """Show an endpoint: what each node says of it, what the cluster says, and whether it is in DNS."""
    return address_row(endpoint) | {
        "verdict": known.verdict,
        "published": published,
        "reason": reason,
        "since_at": moment(known.at_ms),
        "votes": [
            {
                "node": node,
                "up": vote.up,
                "latency_ms": vote.latency_ms,
                "evidence": vote.evidence,
                "at": moment(vote.at_ms),
            }
            for node, vote in known.votes
        ],
    }


def address_row(endpoint: Endpoint) -> Row:
    """Show what the definition of an endpoint says."""
    return {
        "address": endpoint.address,
        "name": endpoint.name,
        "priority": endpoint.priority,
        "weight": endpoint.weight,
        "probe_from": list(endpoint.probe_from),
        "probe_address": endpoint.probe_address,
        "site": endpoint.site,
        "tags": list(endpoint.tags),
    }


def _families(endpoints: tuple[Endpoint, ...]) -> list[str]:
    texts = {"AAAA" if ":" in endpoint.address else "A" for endpoint in endpoints}
    return sorted(texts)


def push_rows(state: State, progress: Mapping[str, PushProgress]) -> list[Row]:
    """Show every push target."""
    return [push_row(state, state.targets[name], progress.get(name)) for name in sorted(state.targets)]


def push_row(state: State, target: Target, progress: PushProgress | None) -> Row:
    """Show one push target: what should stand there, what does, and each node's last try."""
    delivery = state.deliveries.get(target.name, Delivery())
    wanted = progress.wanted if progress is not None else delivery.plan
    tries = [_try_row(node, each) for node, each in delivery.tries]
    return {
        "target": target.name,
        "kind": target.kind,
        "server": target.server or target.url,
        "zones": [plain(zone) for zone in target.zones],
        "state": _push_state(delivery, wanted),
        "what": target.what,
        "own": target.own,
        "fence": target.fence,
        "min_interval_ms": target.min_interval_ms,
        "max_withdrawal_percent": target.withdrawal_percent_max,
        "held": delivery.held,
        "plan": delivery.plan,
        "wanted": wanted,
        "behind_s": round(progress.behind_s, 1) if progress is not None else 0.0,
        "done_at": moment(delivery.at_ms),
        "detail": (progress.detail if progress is not None else "") or _last_failure(delivery),
        "tries": tries,
        "index": state.target_indexes.get(target.name, 0),
    }


def _push_state(delivery: Delivery, wanted: int) -> str:
    if delivery.held:
        return "held"
    if delivery.paused:
        return "paused"
    if wanted == 0:
        return "idle"
    if delivery.plan >= wanted:
        return "synced"
    return "failing" if _last_failure(delivery) else "behind"


def _last_failure(delivery: Delivery) -> str:
    """Return what the latest try said when it failed, else nothing."""
    latest = max((each for _, each in delivery.tries), key=lambda each: each.at_ms, default=None)
    return latest.detail if latest is not None and not latest.ok and latest.plan > delivery.plan else ""


def _try_row(node: str, each: Try) -> Row:
    return {"node": node, "plan": each.plan, "ok": each.ok, "at": moment(each.at_ms), "detail": each.detail}


def receiver_row(receiver: ReceiverRow) -> Row:
    """Show who is told of events, and how far that is."""
    progress = receiver.progress
    failures = 0 if progress is None else progress.failures
    return {
        "receiver": receiver.name,
        "kind": receiver.kind,
        "place": receiver.place,
        "state": "new" if progress is None else "failing" if failures else "ok",
        "failures": failures,
        "accepted": 0 if progress is None else progress.accepted,
        "given_up": 0 if progress is None else progress.given_up,
        "last_at": None if progress is None or not progress.at_ms else moment(progress.at_ms),
        "node": "" if progress is None else progress.node,
        "detail": "" if progress is None else progress.detail,
    }


def event_row(event: Event) -> Row:
    """Show one committed event."""
    return {
        "index": event.index,
        "number": event.number,
        "at": moment(event.at_ms),
        "kind": event.kind,
        "subject": event.subject,
        "text": event.text,
        "actor": event.actor,
        "reason": event.reason,
        "data": dict(event.data),
    }
