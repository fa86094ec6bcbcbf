"""The replicated state: everything the log has decided so far, as one frozen value.

A change builds a new State that shares all it did not touch with the old one, so readers keep a
finished version for as long as they like. Maps are persistent (``immutables``); whoever walks one
sorts first, as their order is not part of the state.
"""

from typing import Literal

import msgspec
from immutables import Map

from node.health.override import Maintenance, Override
from node.health.service import Service
from node.health.steadiness import Wait
from node.health.verdict import VerdictWord
from node.state.api_tokens import ApiToken
from node.state.command import Member, ZoneSettings
from node.state.pushes import Target
from node.zone.lease import LeaseKey
from node.zone.name import Name
from node.zone.serial import Policy
from node.zone.zone import Zone

EVENTS_MAX = 10_000


class Vote(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one node last said of an endpoint."""

    up: bool
    index: int
    at_ms: int
    latency_ms: int = 0
    evidence: str = ""


class EndpointState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of one endpoint: votes by node name, and the cluster's verdict.

    ``verdict`` is the last decided one; ``undecided`` only until there has been one.
    """

    votes: tuple[tuple[str, Vote], ...] = ()
    verdict: VerdictWord = "undecided"
    index: int = 0
    """Log index at which the verdict last changed."""
    at_ms: int = 0
    changes: tuple[int, ...] = ()
    """When the verdict changed lately, where the service counts that."""
    wait: Wait | None = None
    """Why it does not come back into DNS yet."""


class Learner(msgspec.Struct, frozen=True, omit_defaults=True):
    """A node that holds the log and does not vote: not yet, or never."""

    member: Member
    role: Literal["learner", "replica"]


class ServiceState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A service with what is known of its endpoints, and which of them are published."""

    service: Service
    endpoints: tuple[tuple[str, EndpointState], ...]
    """By canonical address, in the order of ``service.endpoints``."""
    published: tuple[str, ...]
    fail_open: bool
    index: int
    """Log index at which the service's definition last changed."""
    retired: tuple[str, ...] = ()
    """The newest addresses that were endpoints once: ours to take away where they still stand."""
    overrides: tuple[tuple[str, Override], ...] = ()
    """By address: what operators said of endpoints."""
    maintenance: Maintenance | None = None
    """While it is active, what stands in DNS stays as it is."""
    published_index: int = 0
    """Log index at which ``published`` or the ttl last changed."""
    is_unsettled: bool = False
    """Whether what stands in DNS may change soon, where the service's ttl follows that."""
    is_down: bool = False
    """Whether every endpoint that counts is down, as was told last: maintenance tells nothing."""

    @property
    def ttl(self) -> int:
        """The ttl of what stands in DNS now, in seconds."""
        return self.service.ttl_min if self.is_unsettled and self.service.ttl_min else self.service.ttl


class Leftover(msgspec.Struct, frozen=True, omit_defaults=True):
    """Addresses of a service that went at ``index``, perhaps still standing on a target."""

    index: int
    zone: Name
    fqdn: Name
    addresses: tuple[str, ...]


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a push target is, and what each node's last try came to."""

    plan: int = 0
    """The newest plan (log index) that is known to stand on the target."""
    at_ms: int = 0
    tries: tuple[tuple[str, "Try"], ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    """Services that went since ``plan``."""
    paused: bool = False
    """Nothing is pushed until somebody says so."""
    refresh_index: int = 0
    """Log index at which somebody asked to have everything read and repaired."""
    held: str = ""
    """Why a plan is held that would take most of a zone away; empty when none is."""
    held_index: int = 0
    """Log index of the hold."""
    released_index: int = 0
    """Log index at which the latest hold was released: what was withdrawn up to there is meant."""

    @property
    def is_stopped(self) -> bool:
        """Say whether nothing may be pushed now."""
        return self.paused or bool(self.held)


class Try(msgspec.Struct, frozen=True, omit_defaults=True):
    """A node's last try to carry a plan to a target."""

    plan: int
    ok: bool
    at_ms: int
    detail: str = ""


class Receiver(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far one receiver of notices is: every event before running number ``next`` is settled."""

    next: int
    index: int
    """Log index of the latest report."""
    at_ms: int = 0
    """When it last accepted one."""
    failures: int = 0
    """Tries in a row, by any node, that came to nothing."""
    node: str = ""
    """Who tried last."""
    detail: str = ""
    accepted: int = 0
    given_up: int = 0


class Lease(msgspec.Struct, frozen=True, array_like=True):
    """How long something stays: ``ttl_s`` seconds from log index ``index``; 0 is for ever (a directory that was made)."""

    ttl_s: int
    index: int
    """Log index at which it was granted or last renewed."""
    since: int
    """Log index at which it was first granted."""


class KnownToken(msgspec.Struct, frozen=True, omit_defaults=True):
    """A token of the API as the log has it."""

    token: ApiToken
    index: int
    """Log index at which it last changed."""
    at_ms: int = 0
    actor: str = ""
    """Who made it so."""
    used_day: int = 0
    """The last day on which its secret was shown to a node, in days since 1970-01-01 UTC; 0 for none that is known."""


class Import(msgspec.Struct, frozen=True, omit_defaults=True):
    """A zone that is being built beside the one that is served."""

    zone: Zone
    base_serial: int | None
    """Serial of the zone it began from; None for a zone that does not exist yet."""
    settings: ZoneSettings | None
    parts: int
    index: int
    """Log index of the latest part."""


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One committed change, for people, SSE and webhooks."""

    index: int
    number: int
    """Position among the events of one index, from 0."""
    at_ms: int
    kind: str
    """``noun.verb``: verdict.changed, zone.changed, vote.cast ..."""
    subject: str
    text: str
    actor: str = ""
    reason: str = ""
    data: dict[str, str] = {}
    undo: bytes = b""
    """What of a service's definition is no more; for ``node.state.past``, shown to nobody as it may hold secrets."""


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The command was applied; ``changed`` says whether it made a difference."""

    index: int
    changed: bool
    serial: int | None = None


class Refused(msgspec.Struct, frozen=True, gc=False):
    """The command was not applied and nothing changed."""

    index: int
    code: Literal[
        "invalid", "not-found", "conflict", "precondition", "forbidden", "failed", "key-reused", "stale"
    ]
    """``stale``: what the entry's ticket came to may have been forgotten; see ``node.state.once``."""
    detail: str
    hint: str = ""


Result = Accepted | Refused


class Kept(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the first entry with a ticket came to: one of the two results."""

    client: str
    key: int | str
    digest: bytes
    accepted: Accepted | None
    refused: Refused | None

    @property
    def result(self) -> Result:
        """The one there is."""
        result = self.accepted or self.refused
        assert result is not None
        return result


class Book(msgspec.Struct, frozen=True, omit_defaults=True):
    """The newest used tickets; see ``node.state.once``."""

    rows: "Map[int, Kept]" = Map()
    """By running number, without gaps."""
    numbers: "Map[tuple[str, int | str], int]" = Map()
    """The row of a ticket, by client and key."""
    next: int = 0
    forgotten_index: int = 0
    """Log index of the newest row that had to go; 0 while none had."""
    digest: int = 0
    """Of the rows: the exclusive or of the digests of each."""


class Restoring(msgspec.Struct, frozen=True, omit_defaults=True):
    """A backup on its way in: what has come of it so far stands apart and is served to nobody."""

    restore: str
    members: tuple[Member, ...]
    serial_step: int
    source: str
    content: "State"
    next: int = 0
    """Position of the piece that is to come."""
    zone: Name | None = None
    """The zone whose RRsets come."""


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything the log has decided up to ``index``."""

    index: int = 0
    format: int = 1
    seeded: bool = False
    members: tuple[Member, ...] = ()
    zones: "Map[Name, Zone]" = Map()
    zone_settings: "Map[Name, ZoneSettings]" = Map()
    zone_indexes: "Map[Name, int]" = Map()
    """Log index at which the zone's settings last changed."""
    services: "Map[Name, ServiceState]" = Map()
    targets: "Map[str, Target]" = Map()
    target_indexes: "Map[str, int]" = Map()
    deliveries: "Map[str, Delivery]" = Map()
    drops: "Map[str, int]" = Map()
    """How often each node's votes were dropped; see ``CastVotes.after_drop``."""
    events: "Map[int, Event]" = Map()
    """A ring of the newest ``EVENTS_MAX`` events by running number."""
    events_next: int = 0
    leases: "Map[LeaseKey, Lease]" = Map()
    imports: "Map[str, Import]" = Map()
    serial_policies: "Map[Name, Policy]" = Map()
    """Of the zones whose serials do not simply count."""
    tries: Book = Book()
    """Tickets of the nodes' own numbers."""
    keys: Book = Book()
    """Tickets of keys that users of the API chose."""
    learners: tuple[Learner, ...] = ()
    """Nodes that hold the log and do not vote: on their way to be members, or replicas for good."""
    restoring: Restoring | None = None
    """A backup that comes into this cluster, until it is whole."""
    restored: str = ""
    """The checksum of the backup that this cluster began with."""
    receivers: "Map[str, Receiver]" = Map()
    """By name, who is told of events, and how far each is."""
    tokens: "Map[str, KnownToken]" = Map()
    """Tokens of the API by name; those of configuration files are not among them."""


class Changed(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an entry touched, for those who follow the state."""

    names: tuple[tuple[Name, Name], ...] = ()
    """(zone, name) pairs whose RRsets changed."""
    zones: tuple[Name, ...] = ()
    """Zones that appeared, vanished, or whose serial changed."""
    services: tuple[Name, ...] = ()
    events: tuple[Event, ...] = ()
    leases: tuple[LeaseKey, ...] = ()
    """Leases that were granted, renewed or ended."""
    imports: bool = False
    """Whether an import began, went on or ended."""


class Applied(msgspec.Struct, frozen=True, omit_defaults=True):
    """What ``machine.apply`` returns."""

    state: State
    result: Result
    changed: Changed


def advanced(state: State, index: int) -> State:
    """Return the state after an entry that changed nothing."""
    return msgspec.structs.replace(state, index=index)
