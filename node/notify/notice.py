"""An event in the words that leave the cluster. Pure.

The octets of a notice depend on the event alone, so that a repetition by another node is the same request.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from node.notify.names import name_of, phase_of, severity_of
from node.state.state import Event


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told of one event."""

    cluster: str
    event: Event

    @property
    def key(self) -> str:
        """By which a receiver knows a notice that comes twice: log index and position among its events."""
        event = self.event
        return f"{event.index}-{event.number}" if event.number >= 0 else f"{event.kind}-{event.data['key']}"

    @property
    def name(self) -> str:
        """What happened."""
        return name_of(self.event)

    @property
    def line(self) -> str:
        """It in one line for people."""
        return f"{self.name} {self.event.subject}: {self.event.text}"

    @property
    def at(self) -> str:
        """When it was proposed, RFC 3339."""
        return datetime.fromtimestamp(self.event.at_ms / 1000, UTC).isoformat(timespec="milliseconds")

    def body(self) -> dict[str, Any]:
        """Return what programs read."""
        event = self.event
        return {
            "id": self.key,
            "cluster": self.cluster,
            "index": event.index,
            "number": max(event.number, 0),
            "at": self.at,
            "event": self.name,
            "severity": severity_of(event),
            "phase": phase_of(event),
            "subject": event.subject,
            "text": event.text,
            "actor": event.actor,
            "reason": event.reason,
            "data": dict(event.data),
        }

    def octets(self) -> bytes:
        """Return the body as JSON."""
        return json.dumps(self.body(), ensure_ascii=False, sort_keys=True).encode()


def of_our_own(kind: str, index: int, at_ms: int, subject: str, text: str, key: str) -> Event:
    """Return an event that is not in the log; ``key`` tells it from others of its kind."""
    return Event(index, -1, at_ms, kind, subject, text, data={"key": key})


class NotAccepted(Exception):
    """A receiver did not take a notice; the message says why and holds no secret.

    ``is_its_fault``: the receiver will not have this notice, however often it gets it.
    """

    def __init__(self, text: str, *, is_its_fault: bool = False) -> None:
        super().__init__(text)
        self.is_its_fault = is_its_fault
