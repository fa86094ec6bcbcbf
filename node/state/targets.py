"""What the commands on push targets do."""

import msgspec

from node.health.service import Service
from node.state.draft import Draft
from node.state.pushes import DeleteTarget, PutTarget, ReportPush, Target
from node.state.state import Delivery, Leftover, Refused, Result, Try
from node.state.zones import condition
from node.zone.name import Name

DETAIL_CHARACTERS_MAX = 200
TARGETS_MAX = 1_000
LEFTOVERS_MAX = 10_000


def covers(target: Target, zone: Name) -> bool:
    """Say whether what changes in the zone concerns the target; without zones of its own it follows all."""
    return not target.zones or zone in target.zones


def leave_behind(draft: Draft, service: Service, addresses: tuple[str, ...]) -> None:
    """Remember a service that goes, for every target where its addresses may still stand."""
    leftover = Leftover(draft.index, service.zone, service.fqdn, addresses)
    deliveries = draft.state.deliveries
    for name in sorted(draft.state.targets):
        if covers(draft.state.targets[name], service.zone):
            before = deliveries.get(name, Delivery())
            leftovers = (*before.leftovers, leftover)[-LEFTOVERS_MAX:]
            deliveries = deliveries.set(name, msgspec.structs.replace(before, leftovers=leftovers))
    draft.update(deliveries=deliveries)


def put_target(draft: Draft, command: PutTarget) -> Result:
    """Create the push target or make it exactly this one; it starts over when it changed."""
    target = command.target
    old = draft.state.targets.get(target.name)
    wrong = condition(draft, command.if_index, draft.state.target_indexes.get(target.name, 0))
    if wrong:
        return wrong
    if not target.name or (old is None and len(draft.state.targets) >= TARGETS_MAX):
        return draft.refused("invalid", f"a push target needs a name, and there can be {TARGETS_MAX} of them")
    if old == target:
        return draft.accepted()
    draft.update(
        targets=draft.state.targets.set(target.name, target),
        target_indexes=draft.state.target_indexes.set(target.name, draft.index),
    )
    draft.tell("target.changed" if old else "target.created", target.name, target.server or target.url)
    return draft.accepted()


def delete_target(draft: Draft, command: DeleteTarget) -> Result:
    """Delete the push target; what was pushed stays on the other server."""
    if command.name not in draft.state.targets:
        return no_target(draft, command.name)
    wrong = condition(draft, command.if_index, draft.state.target_indexes.get(command.name, 0))
    if wrong:
        return wrong
    deliveries = draft.state.deliveries
    draft.update(
        targets=draft.state.targets.delete(command.name),
        target_indexes=draft.state.target_indexes.delete(command.name),
        deliveries=deliveries.delete(command.name) if command.name in deliveries else deliveries,
    )
    draft.tell("target.deleted", command.name, "what was pushed stays there")
    return draft.accepted()


def report_push(draft: Draft, command: ReportPush) -> Result:
    """Keep what became of a push; an older plan never stands for a newer one."""
    if command.target not in draft.state.targets:
        return no_target(draft, command.target)
    before = draft.state.deliveries.get(command.target, Delivery())
    tries = dict(before.tries)
    last = tries.get(command.node)
    detail = command.detail[:DETAIL_CHARACTERS_MAX]
    tries[command.node] = Try(command.plan, command.ok, draft.entry.at_ms, detail)
    after = msgspec.structs.replace(before, tries=tuple(sorted(tries.items())))
    if command.ok and command.plan > before.plan:
        leftovers = tuple(each for each in before.leftovers if each.index > command.plan)
        after = msgspec.structs.replace(after, plan=command.plan, at_ms=draft.entry.at_ms, leftovers=leftovers)
        text = f"plan {command.plan} stands, carried by {command.node}"
        draft.tell("push.done", command.target, text, target=command.target, node=command.node)
    if not command.ok and (last is None or last.ok):
        text = f"{command.node}: {detail}"
        draft.tell("push.failed", command.target, text, target=command.target, node=command.node)
    draft.update(deliveries=draft.state.deliveries.set(command.target, after))
    return draft.accepted()


def no_target(draft: Draft, name: str) -> Refused:
    """Refuse what is said of a target that is not there."""
    return draft.refused("not-found", f"there is no push target {name}", "qdns push list")
