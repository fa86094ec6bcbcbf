"""Services, their endpoints, and what operators said of them."""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec

from node.api.answers.common import Index, Moment

Verdict = Literal["up", "down", "undecided"]


class Vote(TypedDict):
    """What one node says of an endpoint."""

    node: str
    up: bool
    latency_ms: int
    evidence: str
    at: Moment


class Override(TypedDict):
    """What an operator said of an endpoint."""

    kind: Literal["drain", "up", "down"]
    author: str
    reason: str
    since_at: Moment
    until_at: Moment
    automated: bool
    index: Index


class Wait(TypedDict):
    """Why an endpoint that is up does not come back yet."""

    kind: str
    since_at: Moment
    until_at: Moment
    index: Index


class Maintenance(TypedDict):
    """A maintenance, one that goes on or a planned one."""

    active: bool
    author: str
    reason: str
    from_at: Moment
    until_at: Moment
    index: Index


class Endpoint(TypedDict):
    """An endpoint: what each node says of it, what the cluster says, and whether it is in DNS."""

    address: str
    name: str
    priority: int
    weight: int
    probe_from: list[str]
    probe_address: str
    site: str
    tags: list[str]
    verdict: Verdict
    published: bool
    reason: Annotated[str, msgspec.Meta(description="one word for why it is published or not")]
    since_at: Moment
    votes: list[Vote]
    override: Override | None
    wait: Wait | None


class ServiceSummary(TypedDict):
    """A service as the status tells of it."""

    fqdn: str
    zone: str
    types: list[str]
    ttl: int
    ttl_now: int
    mode: Literal["active-active", "active-standby"]
    fail_open: bool
    published: Annotated[list[str], msgspec.Meta(description="the addresses that are in DNS")]
    changed_at: Moment
    endpoints: list[Endpoint]
    maintenance: Maintenance | None


class Rule(TypedDict):
    """How votes become a verdict."""

    kind: str
    number: int
    min_voters: int


class FlapLimit(TypedDict):
    """When an endpoint that is up and down again and again is held out of DNS."""

    changes: int
    per_ms: int
    hold_ms: int


class Service(ServiceSummary):
    """A service with its definition."""

    check: Annotated[dict[str, Any], msgspec.Meta(description="as PUT takes it in its long form")]
    check_text: str
    interval_ms: int
    timeout_ms: int
    recheck_ms: int
    rise: int
    fall: int
    fail_open_percent: int
    rule: Rule
    when_down: str
    fallback: list[str]
    min_up: int
    max_answers: int
    flap_limit: FlapLimit | None
    ttl_min: int
    separate_families: bool
    selection: str
    failback: str
    failback_after_ms: int
    index: Index


class Placed(TypedDict):
    """An endpoint that something was said of."""

    service: str
    address: str
    published: bool
    ttl: int | None
    override: Override | None


class Operated(TypedDict):
    """What became of draining, forcing or releasing endpoints."""

    index: Index
    serial: int | None
    changed: bool
    places: list[Placed]


class Maintained(TypedDict):
    """What became of beginning, planning or ending a maintenance."""

    index: Index
    serial: int | None
    changed: bool
    service: str
    maintenance: Maintenance | None
    published: NotRequired[int]
    endpoints: NotRequired[int]


class Refreshed(TypedDict):
    """Which push targets of a service are read anew."""

    service: str
    targets: list[str]


class Heard(TypedDict):
    """A heartbeat that was heard, for how long it counts, and how the endpoint stands."""

    service: str
    address: str
    node: str
    lease_s: int
    verdict: Verdict
    published: bool
    index: Index


class Absence(TypedDict):
    """A time for which an endpoint was withdrawn."""

    out_at: Moment
    back_at: Moment
    reason: str


class WhatIfRow(TypedDict):
    """A withdrawal under the present settings and under the others."""

    endpoint: str
    change: Literal["same", "gone", "new"]
    present: Absence | None
    other: Absence | None


class WhatIf(TypedDict):
    """Which withdrawals would have come or gone."""

    service: str
    index: Index
    begins_at: Moment
    votes: int
    withdrawals: int
    would_be: int
    rows: list[WhatIfRow]
    notes: list[str]


class Cell(TypedDict):
    """What probes came to within one span."""

    probes: int
    good: int
    mean_ms: float | None
    longest_ms: float | None


class Series(TypedDict):
    """What one node's own probes of a service came to, oldest first."""

    name: Annotated[str, msgspec.Meta(description="the node")]
    service: str
    span: str
    step_s: int
    endpoints: dict[str, list[Cell | None]]
