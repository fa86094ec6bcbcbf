"""What the command on notices does: how far each receiver of notices is."""

import msgspec

from node.state.draft import Draft
from node.state.notices import ReportNotice
from node.state.state import Receiver, Result

DETAIL_CHARACTERS_MAX = 200
NAME_CHARACTERS_MAX = 64
RECEIVERS_MAX = 100
"""One more lets the one go that was longest without any report: it stands in no configuration any more."""


def report_notice(draft: Draft, command: ReportNotice) -> Result:
    """Keep how far a receiver is; what is settled stays settled, and an older report changes nothing."""
    if not 0 < len(command.receiver) <= NAME_CHARACTERS_MAX:
        return draft.refused("invalid", f"the name of a receiver has 1 to {NAME_CHARACTERS_MAX} characters")
    known = draft.state.receivers.get(command.receiver)
    if command.word == "begun":
        if known is None:
            _make_room(draft)
            _keep(draft, command, Receiver(draft.state.events_next, draft.index))
        return draft.accepted()
    if known is None:
        return draft.refused("not-found", f"nothing is known of a receiver {command.receiver}")
    after = _failed(draft, command, known) if command.word == "failed" else _settled(draft, command, known)
    if after is not None:
        _keep(draft, command, after)
    return draft.accepted()


def _failed(draft: Draft, command: ReportNotice, known: Receiver) -> Receiver | None:
    if command.next != known.next and not _is_ahead(draft, command, known):
        return None
    detail = command.detail[:DETAIL_CHARACTERS_MAX]
    if not known.failures:
        text = f"{command.node}: {detail}"
        draft.tell("notice.failed", command.receiver, text, receiver=command.receiver, node=command.node)
    return msgspec.structs.replace(
        known,
        next=max(known.next, command.next),
        index=draft.index,
        failures=known.failures + 1,
        node=command.node,
        detail=detail,
    )


def _settled(draft: Draft, command: ReportNotice, known: Receiver) -> Receiver | None:
    if not _is_ahead(draft, command, known):
        return None
    after = msgspec.structs.replace(known, next=command.next, index=draft.index)
    if command.word == "skipped":
        return after
    detail = command.detail[:DETAIL_CHARACTERS_MAX]
    after = msgspec.structs.replace(after, failures=0, node=command.node, detail=detail)
    if command.word == "accepted":
        return msgspec.structs.replace(after, accepted=known.accepted + 1, at_ms=draft.entry.at_ms)
    draft.tell("notice.given_up", command.receiver, detail, receiver=command.receiver, node=command.node)
    return msgspec.structs.replace(after, given_up=known.given_up + 1)


def _is_ahead(draft: Draft, command: ReportNotice, known: Receiver) -> bool:
    return known.next < command.next <= draft.state.events_next


def _keep(draft: Draft, command: ReportNotice, receiver: Receiver) -> None:
    draft.update(receivers=draft.state.receivers.set(command.receiver, receiver))


def _make_room(draft: Draft) -> None:
    receivers = draft.state.receivers
    if len(receivers) >= RECEIVERS_MAX:
        oldest = min(receivers, key=lambda name: (receivers[name].index, name))
        draft.update(receivers=receivers.delete(oldest))
