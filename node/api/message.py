"""One request, one response, and the plans a handler can return in place of a response.

Handlers are plain functions of ``(ApiContext, Request)``. What takes time (a proposal, asking the
peers, waiting for a change) they return as a plan; ``node.api.perform`` carries it out.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from node.api.context import ApiContext
from node.api.order import HEAVY_ROWS
from node.state.command import Command, Member
from node.state.state import Accepted, Refused, State

JSON = "application/json"
HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
PROBLEM = "application/problem+json"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 section 9.2.1)."""


async def never() -> None:
    """Wait until cancelled."""
    await asyncio.get_running_loop().create_future()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: a name for the events, and scopes."""

    name: str
    scopes: tuple[str, ...]
    is_by_log: bool = False
    """Whether it is so by the log as far as this node has read it: by a token there, or by there being none."""


LOCAL = Identity("local", ("admin",), is_by_log=True)
"""A process on this machine while there is no token at all."""


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request with the parts handlers look at, all decoded."""

    method: str
    path: str
    """As sent, percent-encoded, without the query."""
    values: Mapping[str, str] = field(default_factory=dict)
    """The variable segments of the path, each decoded once."""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name."""
    body: bytes = b""
    client: str = ""
    """The client's IP address; over the Unix socket ``unix:`` and the user's name."""
    identity: Identity = LOCAL
    form: Mapping[str, str] = field(default_factory=dict)
    """The fields of a page's form, once it is clear that the page was ours."""
    is_tls: bool = False
    """Whether it came over TLS."""
    gone: Callable[[], Awaitable[object]] = never
    """Returns when the client has gone; to be asked only when the body was read."""


@dataclass(frozen=True, slots=True)
class Response:
    """What the client gets."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    index: int | None = None
    """Log index of what the body shows: the ``ETag``, and what a blocking query compares."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """Propose the command, then answer from the State after it was applied here."""

    command: Command
    answer: Callable[[State, Accepted], Response]
    refuse: Callable[[Refused, State], Response] | None = None
    """How a refusal is told; None for problem+json."""
    replan: Callable[[State], "Reply"] | None = None
    """Plans again when the command was refused for a precondition that the handler itself added."""


@dataclass(frozen=True, slots=True)
class ChangeNodes:
    """Have the leader change who belongs to the cluster, then answer with the log index of that."""

    kind: Literal["add", "remove", "replace", "lead"]
    name: str
    answer: Callable[[int], Response]
    raft: str = ""
    role: Literal["learner", "replica"] = "learner"
    member: Member | None = None
    """What the State is to know of the node beside its place in the log."""


@dataclass(frozen=True, slots=True)
class AskPeers:
    """Fetch the other nodes' own rows, then answer with them."""

    answer: Callable[[Mapping[str, "PeerAnswer"]], Response]


@dataclass(frozen=True, slots=True)
class AskPeersBoth:
    """Fetch the other nodes' own rows and what they answer on another path, then answer with both."""

    path: str
    answer: Callable[[Mapping[str, "PeerAnswer"], Mapping[str, "PeerAnswer"]], Response]


@dataclass(frozen=True, slots=True)
class PeerAnswer:
    """A peer's own status row, or a sentence that says why there is none."""

    row: Mapping[str, Any] | None = None
    error: str = ""
    clock_offset_s: float | None = None
    """How far the peer's clock is ahead of this node's."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Wait until ``look`` finds something in a later State; at the deadline answer ``late``."""

    look: Callable[[State], Response | None]
    late: Callable[[State], Response]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Follow:
    """Stream the events after a log index, or after one event of it, for as long as who asked may read them."""

    after: int
    number: int | None
    may_read: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Download:
    """Stream octets that are made piece by piece; each piece is made in a thread when there is room for it."""

    pieces: Callable[[], Iterator[bytes]]
    content_type: str
    file_name: str
    index: int


@dataclass(frozen=True, slots=True)
class Compute:
    """Work on an immutable State that would hold up the event loop, to be done in a thread."""

    work: Callable[[], Response]
    kind: Literal["rows", "past", "metrics"] = "rows"
    """What it looks at: very many rows, an earlier State that is put together, or what Prometheus scrapes."""


Perform = Callable[[Command], Awaitable[Accepted | Refused]]
"""Brings one command into the log and returns what it came to. Raises ``Problem`` when that is not known."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Several commands in a row, each after the one before is known to be applied."""

    run: Callable[[Perform], Awaitable[Response]]


Streamed = Follow | Download
Reply = Response | Proposal | ChangeNodes | AskPeers | AskPeersBoth | Watch | Streamed | Compute | Steps
Handler = Callable[[ApiContext, Request], Reply]


def heavy(rows: int, work: Callable[[], Response]) -> Reply:
    """Do work on few rows at once, and leave work on many to a thread."""
    return Compute(work) if rows > HEAVY_ROWS else work()


def encode(value: object) -> bytes:
    """Write JSON in the one form all answers have."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def shown(value: object, index: int | None = None, status: int = 200) -> Response:
    """Answer with JSON; ``index`` becomes the ETag."""
    return Response(status, encode(value), index=index)
