"""A plan as ``/v1`` and ``qdns plan --json`` show it: what changes, and how it is defined before and after. Pure."""

from collections import Counter

import msgspec

from node.api.names import plain
from node.api.views import Row, address_row, checking_row, settings_row
from node.health.service import Endpoint, Service
from node.state.command import ZoneSettings
from node.state.planning import Defined, Difference, Plan
from node.state.pushes import Target
from node.zone.rrset import RRset, rdata_to_text

CHANGES = ("added", "changed", "removed", "left")


def plan_row(plan: Plan, index: int) -> Row:
    """Show a plan that was made at this log index."""
    counts = Counter[str](each.change for each in plan.differences)
    return {
        "index": index,
        "plan": plan.mark,
        "changes": [_change_row(each) for each in plan.differences],
        "counts": {change: counts[change] for change in CHANGES},
    }


def _change_row(each: Difference) -> Row:
    """Show one change; of what is otherwise only those fields that are."""
    before, after = (_defined_row(value) for value in (each.before, each.after))
    if each.change == "changed" and each.kind != "record" and before is not None and after is not None:
        keys = [key for key in after if before[key] != after[key]]
        if len(keys) > 1:  # endpoints are changes of their own, but for their order
            keys = [key for key in keys if key != "endpoints"]
        before, after = ({key: row[key] for key in keys} for row in (before, after))
    row = {"change": each.change, "kind": each.kind, "what": each.name, "before": before, "after": after}
    return row | {"text": each.text}


def _defined_row(value: Defined | None) -> Row | None:
    match value:
        case None:
            return None
        case RRset():
            return _record_row(value)
        case ZoneSettings():
            return settings_row(value)
        case Service():
            return _service_row(value)
        case Endpoint():
            return address_row(value)
        case Target():
            return _target_row(value)


def _record_row(rrset: RRset) -> Row:
    rdatas = [rdata_to_text(rrset.type, each) for each in rrset.rdatas]
    return {"ttl": rrset.ttl, "rdatas": rdatas, "disabled": rrset.disabled}


def _service_row(service: Service) -> Row:
    row = {"zone": plain(service.zone), "ttl": service.ttl, "mode": service.mode} | checking_row(service)
    return row | {"endpoints": [address_row(each) for each in service.endpoints]}


def _target_row(target: Target) -> Row:
    """Show a push target; ``tsig`` and ``token`` are names of secrets, which the log never has."""
    row = msgspec.structs.asdict(target)
    del row["name"]
    row["max_withdrawal_percent"] = row.pop("withdrawal_percent_max")
    return row | {"zones": [plain(zone) for zone in target.zones]}
