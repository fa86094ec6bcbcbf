"""What answers to writes have in common. Times are RFC 3339 in UTC with milliseconds, null for none."""

from typing import Annotated, NotRequired, TypedDict

import msgspec

Index = Annotated[int, msgspec.Meta(description="index of the log", ge=0)]
Moment = Annotated[str | None, msgspec.Meta(description="RFC 3339 in UTC, null for none")]


class Written(TypedDict):
    """Where a write stands in the log."""

    index: Index
    serial: Annotated[int | None, msgspec.Meta(description="the zone's serial")]
    changed: Annotated[bool, msgspec.Meta(description="whether it made a difference")]


class NodesChanged(TypedDict):
    """Where a change of the nodes stands in the log."""

    index: Index
    changed: bool


class LogLevel(TypedDict):
    """From which level on a node logs."""

    node: str
    level: str


class Token(TypedDict):
    """A token, without its secret and without the hash of that."""

    name: str
    scopes: list[str]
    source: Annotated[str, msgspec.Meta(description="cluster: in the log; file: in this node's configuration")]
    created_at: Moment
    created_by: str
    expires_at: Moment
    expired: bool
    last_used_on: Annotated[
        str | None,
        msgspec.Meta(
            description="the last day, in UTC, on which its secret was shown; null where none is known"
        ),
    ]
    index: Index


class Event(TypedDict):
    """Something that was committed."""

    index: Index
    number: Annotated[int, msgspec.Meta(description="among the events of its index")]
    at: Moment
    kind: str
    subject: str
    text: str
    actor: str
    reason: str
    data: dict[str, str]


class EventPage(TypedDict):
    """Events, oldest first."""

    items: list[Event]
    next: Annotated[str | None, msgspec.Meta(description="send it as after for the next page")]
    gap: NotRequired[
        Annotated[bool, msgspec.Meta(description="events after that index may be forgotten already")]
    ]


class Receiver(TypedDict):
    """Who is told of events, and how far that is."""

    receiver: str
    kind: str
    place: str
    state: Annotated[str, msgspec.Meta(description="new, ok or failing")]
    failures: int
    accepted: Index
    given_up: Index
    last_at: Moment
    node: str
    detail: str


class ReceiverTest(TypedDict):
    """What came of a test."""

    receiver: str
    node: str
    detail: str
