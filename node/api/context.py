"""What the API needs of the rest of the node: values and callables that ``wiring`` fills in.

Nothing here does anything; the protocols say which attributes are read of objects that belong to
other rooms, so that a test can pass plain values.
"""

import contextlib
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from node.api.course import Course
from node.api.order import NameOrder
from node.api.requests import RequestCounts
from node.state.command import FORMAT, Command, Member, Ticket
from node.state.explaining import Explanation, Line
from node.state.past import NotHeld
from node.state.state import Changed, Receiver, State
from node.tally import Tally
from node.zone.lease import LeaseKey
from node.zone.name import Name, to_text
from node.zone.rrset import RRset
from raft.proposal import NotCommitted, Outcome

Listener = Callable[[State, Changed | None], None]


class PeerView(Protocol):
    """What the log knows of another member."""

    @property
    def name(self) -> str:
        """The member's name."""

    @property
    def address(self) -> str:
        """Where the log reaches it, ``ip:port``."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""

    @property
    def last_contact_s(self) -> float | None:
        """Seconds since it was last heard from; None for never."""

    @property
    def match_index(self) -> int | None:
        """How far its log is known to agree with the leader's; known on the leader only."""


class ReplicaView(Protocol):
    """What this node's log knows of itself; see ``raft.replica.ReplicaStatus``."""

    @property
    def node(self) -> str:
        """The node's name."""

    @property
    def role(self) -> str:
        """leader, follower, candidate or learner."""

    @property
    def leader(self) -> str | None:
        """The leader's name, None while there is none."""

    @property
    def term(self) -> int:
        """The election term."""

    @property
    def commit_index(self) -> int:
        """The newest entry known to be committed."""

    @property
    def applied_index(self) -> int:
        """The newest entry applied here."""

    @property
    def has_quorum(self) -> bool:
        """Whether a majority is in contact."""

    @property
    def ready(self) -> bool:
        """Whether the node's own log was replayed and the cluster was met once."""

    @property
    def peers(self) -> Sequence[PeerView]:
        """The other members."""

    @property
    def learners(self) -> Sequence[PeerView]:
        """The other nodes that do not vote."""

    @property
    def stale_s(self) -> float | None:
        """How long ago a leader was last heard; None for never."""

    @property
    def log_bytes(self) -> int:
        """Octets of the log on the disk."""

    @property
    def elections(self) -> int:
        """How often this node has asked to be elected since its start."""


LogLevel = Literal["debug", "info", "warning", "error"]


class Propose(Protocol):
    """Bring a command into the log; see ``node.cluster.Cluster.propose``."""

    def __call__(
        self, command: Command, *, actor: str, reason: str, timeout_s: float, ticket: Ticket | None
    ) -> Awaitable[Outcome]:
        """Return what became of the command; never raises."""


class ChangeMembers(Protocol):
    """Change who belongs to the cluster; see ``node.cluster.Cluster.change_nodes``."""

    def __call__(
        self,
        kind: Literal["add", "remove", "replace", "lead"],
        name: str,
        *,
        raft: str,
        role: Literal["learner", "replica"],
        member: Member | None,
        actor: str,
        reason: str,
    ) -> Awaitable[Outcome]:
        """Return what became of the change; never raises."""


async def _no_changes(*_arguments: object, **_more: object) -> Outcome:
    return NotCommitted("refused", "the nodes of this cluster cannot change")


def _no_explanation(state: State, name: Name, type_: int) -> Explanation:
    text = f"this node answers no DNS: {to_text(name)}"
    return Explanation(state.index, to_text(name), str(type_), "outside", 5, (), (Line(0, text),))


def _no_past(_state: State, name: Name, _type: int, _index: int) -> Explanation:
    raise NotHeld(f"this node answers no DNS: {to_text(name)}")


@dataclass(frozen=True, slots=True)
class Token:
    """Who may do what: a name for the events, the SHA-256 of the secret in hexadecimal, and scopes.

    What scopes there are says ``node.state.scopes``.
    """

    name: str
    sha256: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PushProgress:
    """What this node's pusher knows of one target beside the replicated deliveries."""

    target: str
    wanted: int
    """The plan (log index) that should stand on the target; 0 when nothing is to be pushed."""
    detail: str = ""
    behind_s: float = 0.0
    """For how long it has been behind without progress."""


@dataclass(frozen=True, slots=True)
class PushChange:
    """An RRset on a target, and what a push would put in its place; None is no RRset."""

    zone: Name
    name: Name
    type: int
    before: RRset | None
    after: RRset | None


class PushUnreadable(Exception):
    """A push target cannot be read from this node; the message says why."""


async def _no_diff(target: str) -> Sequence[PushChange]:
    raise PushUnreadable(f"this node does not push to {target}")


@dataclass(frozen=True, slots=True)
class ReceiverRow:
    """One who is told of events: as this node's configuration has it, and how far the log knows it to be."""

    name: str
    kind: str
    place: str
    progress: Receiver | None


class NotTold(Exception):
    """A receiver did not take a notice; the message says why."""


async def _no_receiver(_name: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class ProbeSummary:
    """How this node's prober is doing."""

    running: bool = True
    endpoints: int = 0
    late: int = 0
    """Endpoints whose probe is overdue by more than an interval."""
    late_percent: float = 0.0
    """The share of probes of late that began more than 100 ms after their time."""
    delay_ms: int = 0
    """The longest that a probe began after its time of late."""
    load: float = 0.0
    """How full the node is with probing; 1 is full."""
    isolated: bool = False
    """Nothing answers this node: it does not vote."""
    stale: int = 0
    """Endpoints of which this node has had no result for too long: it does not vote on them."""
    done: int = 0
    failed: int = 0
    started_late: int = 0
    """Since the start, as the two before."""


@dataclass(frozen=True, slots=True)
class Vital:
    """One part of the node, and what is wrong with it; an empty text when nothing is."""

    part: str
    problem: str = ""


async def _well() -> Sequence[Vital]:
    return (Vital("raft"), Vital("dns"), Vital("probes"))


@dataclass(frozen=True, slots=True)
class TrustSummary:
    """How this node proves who it is to the others, and whom it refuses or is refused by."""

    certificate_ends_ms: int | None = None
    """None without certificates."""
    problem: str = ""
    """Why newer certificate files are not in use; empty when they are."""
    refusals: Mapping[str, str] = field(default_factory=dict)
    """By the name of the other node: why there is no connection with it."""


class SeriesCell(Protocol):
    """What a node's own probes of one span of time came to; see ``node.probe.history.Cell``."""

    @property
    def probes(self) -> int:
        """How many there were."""

    @property
    def good(self) -> int:
        """How many of them found the endpoint up."""

    @property
    def mean_ms(self) -> int:
        """The mean latency of the good ones."""

    @property
    def longest_ms(self) -> int:
        """The longest latency of the good ones."""


def _no_series(_fqdn: Name, _address: str, count: int, _minutes: int) -> Sequence[SeriesCell | None]:
    return [None] * count


class ImportGate:
    """Lets so many zone files be read at one time; each needs much memory."""

    def __init__(self, count_max: int = 2) -> None:
        self._count_max = count_max
        self._count = 0

    @contextlib.contextmanager
    def entered(self) -> Iterator[bool]:
        """Be one of them; yields False when there are too many."""
        if self._count >= self._count_max:
            yield False
            return
        self._count += 1
        try:
            yield True
        finally:
            self._count -= 1


@dataclass(frozen=True, slots=True)
class ApiContext:
    """Everything the API reads and calls."""

    state: Callable[[], State]
    propose: Propose
    read_barrier: Callable[[float], Awaitable[Outcome]]
    wait_applied: Callable[[int, float], Awaitable[bool]]
    replica: Callable[[], ReplicaView]
    subscribe: Callable[[Listener], Callable[[], None]]
    """Calls the listener in the event loop after changes; returns what ends that."""
    digest: Callable[[], tuple[int, str]]
    """The newest State's index and digest."""
    now_ms: Callable[[], int]
    node: str
    cluster: str
    version: str
    started_at_ms: int
    dns_addresses: Callable[[], Sequence[str]]
    peer_urls: Mapping[str, str] = field(default_factory=dict)
    """Base URL of each other node's API, by name, as configured; the State's goes before."""
    configured: Mapping[str, str] = field(default_factory=dict)
    """Where each node's log listens by this node's configuration, by name; empty where there is none."""
    change_nodes: ChangeMembers = _no_changes
    api_ca: str | None = None
    """A file of authorities that the other nodes' API certificates are checked by; None for the system's."""
    node_token: str | None = None
    """The secret that nodes show each other; it may read, nothing else."""
    tokens: Sequence[Token] = ()
    """Of this node's configuration, as it is now; those of the cluster are in the State."""
    dev: bool = False
    pushes: Callable[[], Sequence[PushProgress]] = tuple
    push_diff: Callable[[str], Awaitable[Sequence[PushChange]]] = _no_diff
    """Reads a target. Raises ``PushUnreadable``."""
    receivers: Callable[[], Sequence[ReceiverRow]] = tuple
    test_receiver: Callable[[str], Awaitable[str | None]] = _no_receiver
    """Tells a receiver of a test; None when this node knows none of this name. Raises ``NotTold``."""
    probes: Callable[[], ProbeSummary] = ProbeSummary
    tally: Tally = field(default_factory=lambda: Tally(""))
    config_hash: Callable[[], str] = str
    """Of the part of the configuration that all nodes share; empty without a file."""
    log_level: Callable[[], str] = lambda: "info"
    set_log_level: Callable[[LogLevel], object] = lambda _level: None
    vitals: Callable[[], Awaitable[Sequence[Vital]]] = _well
    """Looks whether the log's thread, our own DNS and the probes go on; takes about a second when one does not."""
    answers: Callable[[], Mapping[str, Any]] = dict
    """What was answered since the start, for the node's row of the status."""
    reads_format: int = FORMAT
    """The newest format of the log's commands that this node reads."""
    restoring: Callable[[], bool] = lambda: False
    """Whether this node has a backup to restore, so that no other one may seed the cluster."""
    trusted_loopback: bool = True
    """Whether clients on this machine need no token while there is none at all."""
    lease_left_s: Callable[[LeaseKey], float | None] = lambda _key: None
    """How many seconds this node gives a lease; None where there is none that can run out."""
    imports: ImportGate = field(default_factory=ImportGate)
    order: NameOrder = field(default_factory=NameOrder)
    requests: RequestCounts = field(default_factory=RequestCounts)
    trust: Callable[[], TrustSummary] = TrustSummary
    explain: Callable[[State, Name, int], Explanation] = _no_explanation
    """Says why a question is answered as it is."""
    explain_at: Callable[[State, Name, int, int], Explanation] = _no_past
    """Says why it was answered so at an earlier log index. Raises ``NotHeld``."""
    refresh_target: Callable[[str], bool] = lambda _name: False
    """Lets this node read a push target anew and repair it; False when it follows no such target."""
    hear: Callable[[Name, str], bool] = lambda _fqdn, _address: False
    """Takes a heartbeat of an endpoint; False when this node does not listen to it."""
    series: Callable[[Name, str, int, int], Sequence[SeriesCell | None]] = _no_series
    """This node's own probes of an endpoint: so many spans of so many minutes, oldest first."""
    course: Course = field(default_factory=Course)
    form_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    """What this process makes the tokens of its pages' forms with."""
