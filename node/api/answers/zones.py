"""Zones and records, explanations, and what pushes and plans change."""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec

from node.api.answers.common import Event, Index, Moment


class ZoneSummary(TypedDict):
    """A zone as the status tells of it."""

    zone: str
    serial: int
    rrsets: Annotated[int, msgspec.Meta(description="how many there are")]


class Zone(ZoneSummary):
    """A zone with its settings, as the cluster knows them."""

    index: Index
    nameservers: NotRequired[list[str]]
    contact: NotRequired[str]
    default_ttl: NotRequired[int]
    negative_ttl: NotRequired[int]
    refresh_s: NotRequired[int]
    retry_s: NotRequired[int]
    expire_s: NotRequired[int]
    serial_policy: NotRequired[str]


class RecordLease(TypedDict):
    """What is left of one record."""

    rdata: str
    lease_s: int
    lease_left_s: float


class RRset(TypedDict):
    """All records of one name and type."""

    name: str
    type: str
    ttl: int
    rdatas: Annotated[list[str], msgspec.Meta(description="in master-file text")]
    comment: str
    disabled: bool
    managed_by: Annotated[str | None, msgspec.Meta(description="the service whose verdicts decide it")]
    index: Index
    lease_s: int | None
    lease_left_s: float | None
    record_leases: list[RecordLease]


class Finding(TypedDict):
    """One thing that is wrong with a zone."""

    level: str
    name: str
    type: str | None
    text: str


class ZoneCheck(TypedDict):
    """What is wrong with a zone."""

    items: list[Finding]
    serial: int


class Imported(TypedDict):
    """What a master file changes, or with dry_run would change."""

    zone: str
    is_new: bool
    base_serial: int | None
    records: int
    rrsets_added: int
    rrsets_changed: int
    rrsets_removed: int
    diff: list[str]
    diff_is_cut: bool
    findings: list[str]
    index: NotRequired[Index]
    serial: NotRequired[int | None]
    changed: NotRequired[bool]


class Line(TypedDict):
    """One sentence; those of more depth say why the one above them is so."""

    depth: int
    text: str


class Story(TypedDict):
    """One endpoint, and why it is published or not."""

    address: str
    published: bool
    reason: str
    lines: list[Line]


class Explanation(TypedDict):
    """Why a name is answered as it is."""

    index: Index
    node: str
    name: str
    type: str
    kind: str
    rcode: int
    records: list[str]
    lines: list[Line]
    endpoints: list[Story]


class ServiceChange(TypedDict):
    """What a service had in DNS before and after an entry, and why."""

    service: str
    before: Annotated[
        list[str] | None, msgspec.Meta(description="null where events do not tell of it any more")
    ]
    after: list[str]
    lines: list[Line]


class RecordChange(TypedDict):
    """The records that came and went in a zone."""

    zone: str
    serial_from: int
    serial_to: int
    removed: list[str]
    added: list[str]
    more: Annotated[int, msgspec.Meta(description="records that are not shown")]


class Entry(TypedDict):
    """All that one entry of the log changed."""

    index: Index
    node: str
    at: Moment
    actor: str
    reason: str
    events: list[Event]
    services: list[ServiceChange]
    records: list[RecordChange]
    notes: Annotated[list[str], msgspec.Meta(description="what is not known any more")]


class Try(TypedDict):
    """A node's last try to bring a push target up to date."""

    node: str
    plan: int
    ok: bool
    at: Moment
    detail: str


class PushTarget(TypedDict):
    """An outside server that gets our RRsets, and how far it is."""

    target: str
    kind: str
    server: str
    zones: list[str]
    state: Literal["idle", "synced", "behind", "failing", "paused", "held"]
    what: str
    own: str
    fence: bool
    min_interval_ms: int
    max_withdrawal_percent: int
    held: Annotated[str, msgspec.Meta(description="why a push waits for a person, empty when none does")]
    plan: Annotated[int, msgspec.Meta(description="the index of the log that stands there")]
    wanted: int
    behind_s: float
    done_at: Moment
    detail: str
    tries: list[Try]
    index: Index


class Records(TypedDict):
    """The records of one name and type on a push target."""

    ttl: int
    records: list[str]


class PushChange(TypedDict):
    """An RRset that a push would replace."""

    zone: str
    name: str
    type: str
    before: Records | None
    after: Records | None


class PushDiff(TypedDict):
    """What a push would replace on a target."""

    target: str
    changes: list[PushChange]


class PlanChange(TypedDict):
    """One thing that is otherwise in a file than in the cluster."""

    change: Literal["added", "changed", "removed", "left"]
    kind: Literal["zone", "record", "service", "endpoint", "target"]
    what: str
    before: Annotated[dict[str, Any] | None, msgspec.Meta(description="as the cluster has it")]
    after: Annotated[dict[str, Any] | None, msgspec.Meta(description="as the file wants it")]
    text: Annotated[str, msgspec.Meta(description="for people")]


class PlanCounts(TypedDict):
    """How many of each kind."""

    added: int
    changed: int
    removed: int
    left: int


class Plan(TypedDict):
    """What applying a file would do."""

    index: Index
    plan: Annotated[str, msgspec.Meta(description="equal for plans that do the same")]
    changes: list[PlanChange]
    counts: PlanCounts


class Applied(Plan):
    """What applying a file did."""

    changed: bool
