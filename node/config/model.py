"""The configuration as the program sees it: frozen, checked, in the program's units.

The fields, for those who wire it::

    Config
      path        Path | None          the file that was read; None for text that came without a file
      base        Path                 the directory that relative paths of the file start from
      notes       tuple[str, ...]      what decided (file by CONF, node by LOCAL_NODE), to be logged once
      warnings    tuple[Fault, ...]    what a person should look at; nothing that stops the node
      sources     Mapping[str, str]    the texts of the files that were read, by name, for ``messages.render``
      is_rrdnsd   bool                 the file is rrdnsd's JSON, not TOML
      cluster     ClusterSettings      name, secret (Secret | None), tls (ClusterTls | None)
      nodes       tuple[Node, ...]     name, raft, api, site, bind, dns, api_listen; by order of the file
      node        Node                 this node, one of ``nodes``
      node_source str                  what chose it: flag, environment, file, address, only, unknown
      raft        RaftSettings         data_dir (Path of this node), election_timeout_s (low, high),
                                       heartbeat_s, snapshot_entries
      dns         DnsSettings          listen, tls_listen (of this node), default_ttl, udp_payload, and who may what
      zones       tuple[PutZone, ...]  to seed an empty cluster with, records parsed
      services    tuple[Service, ...]  likewise
      targets     tuple[Target, ...]   likewise, push targets
      push_tokens tuple[PushToken, ..] target, secret: what this node shows to the DNS services among them
      health      HealthDefaults       interval_ms, timeout_ms, recheck_ms, rise, fall, fail_open_percent
      checks      ChecksSettings       ca_file, references, exec_checks (argv by name); of this machine alone
      tsig        tuple[TsigKey, ...]  name (as in Target.tsig), algorithm, secret (Secret), grants
      api         ApiSettings          listen, socket, tls (of this node), tokens (tuple[Token, ...]: name, secret, scopes)
      notify      tuple[NotifyEntry, ..] who is told of events, with references to secrets
      statsd      StatsdSettings|None  host, port, prefix, tags
      log         LogSettings          level, format
      seed()      Seed                 the command that fills an empty cluster
      shared_hash str                  12 hexadecimal digits; equal on nodes that agree on the shared part

Secrets are ``Secret`` references; ``secret.read()`` gives the octets when they are needed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from node.config.messages import Fault
from node.config.secret import Secret
from node.dns.grants import Grant
from node.dns.networks import Network
from node.health.rule import Rule
from node.health.service import Service
from node.health.steadiness import Failback, FlapLimit
from node.notify.settings import Wish
from node.state.command import Member, PutZone, Seed
from node.state.pushes import Target
from node.statsd import StatsdSettings

NodeSource = Literal["flag", "environment", "file", "address", "only", "unknown"]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "console", "journal", "json"]


@dataclass(frozen=True, slots=True)
class ClusterTls:
    """The files of one node that prove who it is and say whom it trusts, all in PEM but ``refused``."""

    ca: Path
    cert: Path
    key: Secret
    """In a file or a credential."""
    refused: Path | None
    """Fingerprints of certificates that are trusted no more."""


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """What all nodes have in common. Without a secret and certificates all addresses are on loopback."""

    name: str
    secret: Secret | None
    tls: ClusterTls | None = None
    """This node's certificates; between nodes they stand over the secret."""
    tls_of: Callable[[str], ClusterTls | None] = field(default=lambda _node: None, compare=False, repr=False)
    """The certificates of any node, by its name."""


@dataclass(frozen=True, slots=True)
class Node:
    """One member. Addresses are ``ip:port`` texts, ``[ip6]:port`` for IPv6."""

    name: str
    raft: str
    """Where the other nodes reach it."""
    api: str
    """A URL without path, where the other nodes and the CLI reach its API."""
    site: str
    bind: str
    """Where it listens for the other nodes."""
    dns: tuple[str, ...]
    """Where it answers DNS, UDP and TCP."""
    api_listen: str
    role: Literal["voter", "replica"] = "voter"
    """A replica holds the log and serves from it, and never votes."""
    dns_tls: tuple[str, ...] = ()
    """Where it answers DNS over TLS."""


@dataclass(frozen=True, slots=True)
class RaftSettings:
    """The replicated log of this node."""

    data_dir: Path
    election_timeout_s: tuple[float, float]
    heartbeat_s: float
    snapshot_entries: int


@dataclass(frozen=True, slots=True)
class Allowed:
    """Who may do something: the holder of a key or, without one, a network."""

    text: str
    """As it is written in the file."""
    key: str = ""
    """The name of a TSIG key, lower case, without the final dot."""
    network: Network | None = None


@dataclass(frozen=True, slots=True)
class Secondary:
    """A server that is told of changes; ``address`` is ``ip:port``, ``key`` the name of a TSIG key or empty."""

    address: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What DNS over TLS shows; ``key`` refers to a file."""

    cert: Path
    key: Secret


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many answers of one kind a network gets over UDP without a cookie, and which networks are not counted."""

    responses_per_s: int
    slip: int
    ipv4_prefix: int
    ipv6_prefix: int
    exempt: tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """How this node answers; ``default_ttl`` in seconds, ``udp_payload`` in octets."""

    listen: tuple[str, ...]
    default_ttl: int
    udp_payload: int
    tls_listen: tuple[str, ...] = ()
    tls: Certificate | None = None
    nsid: str = ""
    """What names this node in NSID and ``id.server``; empty to say nothing."""
    version: str = ""
    cookies: bool = True
    cookie_secrets: tuple[Secret, ...] = ()
    """Of 32 hexadecimal digits; the first makes cookies, all are taken. None: they are derived."""
    rate_limit: RateLimit | None = None
    allow_transfer: tuple[Allowed, ...] = ()
    allow_update: tuple[Allowed, ...] | None = None
    """None: whoever has a key with a grant, from anywhere."""
    also_notify: tuple[Secondary, ...] = ()
    serve_stale_for_s: float | None = None
    """So long a node without a majority goes on answering; None: for ever."""
    answerers: int | None = None
    """Processes that answer UDP, 0 for none beside this one; None: as many as there are cores."""
    reader: Literal["auto", "python", "native"] = "auto"
    """What finds their answers: the compiled reader, Python, or the former where it was built."""
    forward: tuple[str, ...] = ()
    """``ip:port`` of servers that are asked for names outside our zones; none: nobody is."""
    forward_for: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class HealthDefaults:
    """How endpoints are judged where a service says nothing else."""

    interval_ms: int
    timeout_ms: int
    recheck_ms: int
    rise: int
    fall: int
    fail_open_percent: int
    """More than this share down keeps all, as in ``node.health.service``."""
    rule: Rule = field(default_factory=Rule)
    flap_limit: FlapLimit | None = None
    failback: Failback = field(default_factory=Failback)


@dataclass(frozen=True, slots=True)
class ChecksSettings:
    """What probing needs of this machine."""

    ca_file: Path | None = None
    """Trusted in addition to the system's store."""
    references: tuple[str, ...] = ()
    """``ip:port`` of targets beyond this node's uplink."""
    exec_checks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The argv of every exec check, by its name."""


@dataclass(frozen=True, slots=True)
class TsigKey:
    """A key that signs messages between servers; ``secret.read()`` gives it in base64."""

    name: str
    """Lower case, without the final dot, as in ``Target.tsig``."""
    algorithm: str
    secret: Secret
    grants: tuple[Grant, ...] = ()
    """What may be changed with it by UPDATE."""


@dataclass(frozen=True, slots=True)
class PushToken:
    """What proves to a DNS service that we may change it; the log knows nothing of it but the target's name."""

    target: str
    secret: Secret
    path: tuple[str | int, ...] = field(default=(), compare=False)
    """Its place in the file."""


@dataclass(frozen=True, slots=True)
class Token:
    """Who may use the HTTP API."""

    name: str
    secret: Secret
    scopes: tuple[str, ...]
    """As ``node.state.scopes`` reads them."""


@dataclass(frozen=True, slots=True)
class ApiTls:
    """What the HTTP API shows over TLS; ``key`` refers to a file."""

    cert: Path
    key: Secret
    ca: Path | None = None
    """What the certificates of the nodes' APIs are checked by; None for the system's store."""


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The HTTP API of this node. Without tokens ``listen`` is on loopback."""

    listen: str
    tokens: tuple[Token, ...]
    socket: Path | None = None
    """A Unix socket for whom its mode lets in."""
    tls: ApiTls | None = None
    tls_of: Callable[[str], ApiTls | None] = field(default=lambda _node: None, compare=False, repr=False)
    """What any node's API shows, by its name."""


@dataclass(frozen=True, slots=True)
class NotifyEntry:
    """A receiver as the file names it; ``url`` is one or refers to one."""

    name: str
    type: str
    wish: Wish
    url: "str | Secret" = ""
    secret: Secret | None = None
    argv: tuple[str, ...] = ()
    server: tuple[str, int] = ("", 0)
    """Host and port."""
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    user: str = ""
    password: Secret | None = None
    sender: str = ""
    to: tuple[str, ...] = ()

    @property
    def secrets(self) -> tuple[tuple[str, Secret], ...]:
        """The references with the keys where they stand."""
        found = {"url": self.url, "secret": self.secret, "password": self.password}
        return tuple((key, each) for key, each in found.items() if isinstance(each, Secret))


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What the program tells about itself."""

    level: LogLevel
    format: LogFormat


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a node is told before it starts; see the top of this module."""

    path: Path | None
    base: Path
    cluster: ClusterSettings
    nodes: tuple[Node, ...]
    node: Node
    node_source: NodeSource
    raft: RaftSettings
    dns: DnsSettings
    zones: tuple[PutZone, ...]
    services: tuple[Service, ...]
    targets: tuple[Target, ...]
    health: HealthDefaults
    tsig: tuple[TsigKey, ...]
    api: ApiSettings
    log: LogSettings
    shared_hash: str
    push_tokens: tuple[PushToken, ...] = ()
    checks: ChecksSettings = ChecksSettings()
    notify: tuple[NotifyEntry, ...] = ()
    statsd: StatsdSettings | None = None
    is_rrdnsd: bool = False
    notes: tuple[str, ...] = ()
    warnings: tuple[Fault, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict, repr=False)

    def seed(self) -> Seed:
        """Return the command that fills an empty cluster with what the file says."""
        members = tuple(Member(each.name, each.raft, each.api, each.site) for each in self.nodes)
        return Seed(members, self.zones, self.services, self.targets)
