"""What the steps of ``respond`` see and return. Pure values."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from node.dns.choice import Choice
from node.dns.grants import Access
from node.dns.networks import Network
from node.dns.query import QUERY, Query
from node.dns.tsig import Key, Signature
from node.state.command import ChangeZone
from node.zone.name import ROOT, Name
from node.zone.zone import Zone
from raft.proposal import Outcome as ProposalOutcome

Transport = Literal["udp", "tcp", "tls"]

NOT_READY, PROHIBITED, NOT_AUTHORITATIVE, NOT_SUPPORTED, INVALID_DATA = 14, 18, 20, 21, 24
"""Info codes of extended errors (RFC 8914 section 4)."""


@dataclass(frozen=True, slots=True)
class RespondSettings:
    """How answers are made; sizes in octets."""

    udp_payload_octets: int = 1232
    """Longest answer over UDP, and what we say we can receive ourselves."""
    version: str = ""
    """Answer to ``version.bind`` (RFC 4892 section 3.1); empty to refuse."""
    show_node: bool = True
    """Tell the node's name in ``id.server`` and NSID (RFC 4892, RFC 5001)."""
    cookie_secrets: tuple[bytes, ...] = ()
    """Of 16 octets, the same on all nodes; the first makes cookies, all are accepted. None: no cookies."""
    require_cookies: bool = False
    """Answer BADCOOKIE over UDP to clients that know cookies but bring none of ours (RFC 7873 section 5.2.3)."""
    keys: Mapping[Name, Key] = field(default_factory=dict)
    """Of signed requests, by name."""
    access: Access = field(default_factory=Access)
    """Who may change and transfer zones."""
    forward_for: tuple[Network, ...] = ()
    """Whose questions outside our zones are forwarded; none: nobody's."""


@dataclass(frozen=True, slots=True)
class View:
    """All that answers are made from, at one moment."""

    zones: Mapping[Name, Zone]
    ready: bool
    """The node has applied what it knew to be committed; before that it cannot say what does not exist."""
    node: str
    settings: RespondSettings = field(default_factory=RespondSettings)
    replicated: Mapping[Name, Zone] | None = None
    """The zones as the log has them, for transfers and updates; None: ``zones`` are those."""
    is_stale: bool = False
    """The node has been without a majority for longer than it may go on answering."""
    choices: Mapping[Name, Choice] = field(default_factory=dict)
    """Of the names whose answers depend on who asks, or are drawn."""

    @property
    def log_zones(self) -> Mapping[Name, Zone]:
        """The zones as all nodes have them at this index."""
        return self.zones if self.replicated is None else self.replicated


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: the IP address without port, and over what."""

    address: str
    transport: Transport
    idle_s: float = 0.0
    """How long its connection may be idle."""


@dataclass(frozen=True, slots=True)
class Send:
    """A message to be sent back; ``rcode``, ``type`` and ``opcode`` are for counting."""

    packet: bytes
    rcode: int
    type: int | None = None
    opcode: int = QUERY
    source: Name = ROOT
    """What the answer comes from; with ``rcode`` it says which answers are alike."""
    is_trusted: bool = False
    """The client's address is not forged: a cookie of ours came with the query."""
    note: str = ""
    """Why an update, a transfer or a signed request was refused, for the log."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Nothing is to be sent, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Propose:
    """A change for the log. What becomes of it goes to ``finish``, with the view and the time (s) after that."""

    command: ChangeZone
    actor: str
    finish: Callable[[ProposalOutcome, View, int], Send]


@dataclass(frozen=True, slots=True)
class Stream:
    """Messages to be sent one after the other as the client takes them; ``type`` is for counting."""

    messages: Iterator[bytes]
    type: int


@dataclass(frozen=True, slots=True)
class Forward:
    """A question for another server, with an id of 0. What came back, or None, goes to ``finish``."""

    packet: bytes
    is_stream: bool
    """The client can take a long answer."""
    finish: Callable[[bytes | None], Send]


Outcome = Send | Drop | Propose | Stream | Forward


@dataclass(frozen=True, slots=True)
class Exchange:
    """One message with all that is known of it.

    ``now_s`` is seconds since 1970 UTC, ``cookie`` the well-formed cookie option, ``signature`` what was found out of
    a TSIG record.
    """

    packet: bytes
    query: Query
    client: Client
    view: View
    now_s: int
    cookie: bytes | None = None
    is_trusted: bool = False
    signature: Signature | None = None
    turn: int = 0
    """Counts answers, so that the next one can be another."""
