"""What people and the breaker say of pushing to a target: pause, resume, refresh, hold, release."""

from typing import Any

import msgspec

from node.state.draft import Draft
from node.state.pushes import HoldPush, SteerPush
from node.state.state import Delivery, Result
from node.state.targets import no_target
from node.zone.name import to_text

_TOLD = {
    "paused": "nothing is pushed until it is resumed",
    "resumed": "changes are pushed again",
    "refreshed": "everything is read and repaired",
    "released": "what was held is pushed",
}


def steer_push(draft: Draft, command: SteerPush) -> Result:
    """Do what a person asks of a target; what is so already changes nothing."""
    if command.target not in draft.state.targets:
        return no_target(draft, command.target)
    delivery = draft.state.deliveries.get(command.target, Delivery())
    if command.action == "pause":
        return draft.accepted() if delivery.paused else _told(draft, command, "paused", paused=True)
    if command.action == "resume":
        return _told(draft, command, "resumed", paused=False) if delivery.paused else draft.accepted()
    if command.action == "release":
        return _release(draft, command, delivery)
    return _refresh(draft, command, delivery)


def hold_push(draft: Draft, command: HoldPush) -> Result:
    """Hold a target, unless it is held already or what was seen has been released since."""
    if command.target not in draft.state.targets:
        return no_target(draft, command.target)
    delivery = draft.state.deliveries.get(command.target, Delivery())
    if delivery.held or command.index <= delivery.released_index:
        return draft.accepted()
    why = (
        f"{command.withdrawn} of {command.of} service records of {to_text(command.zone)} "
        "were withdrawn within a minute"
    )
    _change(draft, command.target, held=why, held_index=draft.index)
    draft.tell("push.held", command.target, why, target=command.target, node=command.node)
    return draft.accepted()


def _release(draft: Draft, command: SteerPush, delivery: Delivery) -> Result:
    if not delivery.held:
        return draft.refused("precondition", f"{command.target} is not held", "qdns push list")
    return _told(draft, command, "released", held="", held_index=0, released_index=draft.index)


def _refresh(draft: Draft, command: SteerPush, delivery: Delivery) -> Result:
    if delivery.paused:
        hint = f"qdns push resume {command.target}"
        return draft.refused("precondition", f"{command.target} is paused", hint)
    if delivery.held:
        hint = f"qdns push release {command.target}"
        return draft.refused("precondition", f"{command.target} is held: {delivery.held}", hint)
    return _told(draft, command, "refreshed", refresh_index=draft.index)


def _told(draft: Draft, command: SteerPush, word: str, **fields: Any) -> Result:
    _change(draft, command.target, **fields)
    draft.tell(f"push.{word}", command.target, _TOLD[word], target=command.target)
    return draft.accepted()


def _change(draft: Draft, target: str, **fields: Any) -> None:
    before = draft.state.deliveries.get(target, Delivery())
    after = msgspec.structs.replace(before, **fields)
    draft.update(deliveries=draft.state.deliveries.set(target, after))
