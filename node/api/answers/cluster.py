"""The nodes and the whole picture."""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec

from node.api.answers.common import Index, Moment
from node.api.answers.services import ServiceSummary
from node.api.answers.zones import PushTarget, ZoneSummary


class Probes(TypedDict):
    """How a node's prober is doing."""

    running: bool
    endpoints: int
    late: int
    late_percent: float
    delay_ms: int
    load: float
    isolated: bool
    stale: int


class Certificate(TypedDict):
    """A node's own certificate."""

    ends_at: Moment
    days_left: int
    problem: str


class Node(TypedDict):
    """What a node says of itself; of one that does not answer what is known, else null."""

    name: str
    part: Literal["voter", "learner", "replica"]
    site: str
    api: str
    role: str | None
    leader: str | None
    quorum: bool | None
    state: Literal["ready", "starting", "unreachable"]
    term: int | None
    commit_index: int | None
    applied_index: int | None
    lag_entries: int | None
    state_digest: str | None
    version: str | None
    started_at: Moment
    dns: list[str]
    format: int | None
    reads_format: int | None
    restoring: bool
    config_hash: str
    probes: Probes | None
    answers: Annotated[dict[str, Any], msgspec.Meta(description="counts of DNS answers since the start")]
    stale_s: Annotated[float | None, msgspec.Meta(description="since it heard a leader")]
    error: str | None
    certificate: Certificate | None
    refusals: Annotated[dict[str, str], msgspec.Meta(description="by node: why there is no connection")]
    clock_offset_s: NotRequired[float | None]
    clock_ms: NotRequired[int]
    since_at: NotRequired[Moment]


class Reign(TypedDict):
    """Somebody led in a term."""

    term: int
    leader: str
    at: Moment
    began: Annotated[bool, msgspec.Meta(description="seen to begin; else found so at the node's start")]


class Course(TypedDict):
    """How far one node saw the nodes behind the leader of late, and who led."""

    name: Annotated[str, msgspec.Meta(description="the node that saw it")]
    step_s: int
    step: Annotated[int, msgspec.Meta(description="number of the last step")]
    lag_entries: Annotated[
        dict[str, list[int | None]], msgspec.Meta(description="by node, oldest first; null where unknown")
    ]
    leaders: list[Reign]


class Trouble(TypedDict):
    """What needs a person, or is as somebody wanted it (note)."""

    code: Annotated[str, msgspec.Meta(description="one word for programs")]
    severity: Literal["critical", "warning", "note"]
    text: str
    since_at: Moment
    next: Annotated[list[str], msgspec.Meta(description="the command to go on with")]


class Format(TypedDict):
    """Which format of the log is allowed, which one any node reads, and who holds it back."""

    present: int
    newest: int
    held_back_by: list[str]


class Status(TypedDict):
    """The whole picture as one node sees it."""

    cluster: str
    health: Literal["healthy", "degraded", "critical"]
    node: str
    leader: str | None
    term: int
    quorum: bool
    commit_index: Index
    applied_index: Index
    state_digest: str
    format: Format
    nodes: list[Node]
    services: list[ServiceSummary]
    pushes: list[PushTarget]
    zones: list[ZoneSummary]
    problems: list[Trouble]
