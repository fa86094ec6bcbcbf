"""The tables of ``cluster.toml`` and their keys: types, ranges and defaults.

What a key may hold is said here, what keys must be together in ``rules``. Defaults stand as they
would be written in the file, so that they can be shown.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from node.config.check_schema import CheckTable, RuleText, read_check_form
from node.config.dns_fields import AllowedEntry, GrantEntry, NetworkEntry, OrFalse, SecondaryEntry
from node.config.fields import (
    ApiAddress,
    ApiUrl,
    BindAddress,
    Contact,
    Count,
    DomainName,
    DurationMs,
    FilePath,
    HostPort,
    IpAddress,
    KeyName,
    Label,
    Listed,
    ListenAddress,
    NodeAddress,
    Percent,
    ScopeText,
    ServerAddress,
    StatsdPrefix,
    Table,
    Ttl,
    Word,
    written,
)
from node.config.model import LogFormat, LogLevel
from node.config.notify_schema import NotifyTable
from node.config.steadiness_fields import FailbackText, FlapLimitTable, OwnFlapLimit
from node.health.service import ENDPOINTS_MAX, FALLBACKS_MAX, TAGS_MAX


class ClusterTlsTable(Table):
    """``tls`` of [cluster]: certificates between nodes; ``{node}`` is the node's name."""

    ca: FilePath
    cert: FilePath
    key: str
    refused: FilePath | None = None


class ClusterTable(Table):
    """[cluster]: what all nodes have in common."""

    name: Word = "cluster"
    secret: str | None = None
    tls: ClusterTlsTable | None = None


class NodeTable(Table):
    """[[nodes]]: one member of the cluster."""

    name: Word
    raft: NodeAddress
    api: ApiAddress | None = None
    site: Label = ""
    bind: BindAddress | None = None
    role: Literal["voter", "replica"] = "voter"


class RaftTable(Table):
    """[raft]: the replicated log."""

    data_dir: FilePath | None = None
    election_timeout: Annotated[list[DurationMs], Field(min_length=2, max_length=2)] = written(
        ["250ms", "500ms"]
    )
    heartbeat: DurationMs = written("50ms")
    snapshot_every: Annotated[int, Field(ge=100, le=10_000_000)] = 20_000


class CertificateTable(Table):
    """``tls`` of [dns]: files in PEM form, read again when they change."""

    cert: FilePath
    key: str


class RateLimitTable(Table):
    """``rate_limit`` of [dns]: what one network may ask over UDP without a cookie."""

    responses_per_second: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    slip: Annotated[int, Field(ge=0, le=100)] = 2
    ipv4_prefix: Annotated[int, Field(ge=1, le=32)] = 24
    ipv6_prefix: Annotated[int, Field(ge=1, le=128)] = 56
    exempt: Annotated[list[NetworkEntry], Listed] = written(["127.0.0.0/8", "::1"])


_PRIVATE = ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1", "fc00::/7"]


class DnsTable(Table):
    """[dns]: how this cluster answers."""

    listen: Annotated[list[ListenAddress], Listed] | None = None
    tls_listen: Annotated[list[ListenAddress], Listed] = Field(default_factory=list)
    tls: CertificateTable | None = None
    default_ttl: Ttl = 5
    udp_payload: Annotated[int, Field(ge=512, le=4096)] = 1232
    nsid: Label = "{node}"
    version: Label = ""
    cookies: bool = True
    cookie_secret: Annotated[list[str], Listed, Field(max_length=3)] = Field(default_factory=list)
    rate_limit: Annotated[RateLimitTable | None, OrFalse] = RateLimitTable()
    allow_transfer: Annotated[list[AllowedEntry], Listed] = written(["127.0.0.0/8", "::1"])
    allow_update: Annotated[list[AllowedEntry], Listed] | None = None
    also_notify: Annotated[list[SecondaryEntry], Listed, Field(max_length=256)] = Field(default_factory=list)
    serve_stale_for: DurationMs | None = None
    answerers: Annotated[int, Field(ge=0, le=64)] | Literal["auto"] = "auto"
    reader: Literal["auto", "python", "native"] = "auto"
    forward: Annotated[list[ServerAddress], Listed, Field(max_length=8)] = Field(default_factory=list)
    forward_for: Annotated[list[NetworkEntry], Listed] = written(_PRIVATE)


class ZoneTable(Table):
    """[[zones]]: a zone that an empty cluster is seeded with."""

    name: DomainName
    nameservers: Annotated[list[DomainName], Field(min_length=1, max_length=32)] | None = None
    contact: Contact | None = None
    default_ttl: Ttl | None = None
    negative_ttl: Ttl | None = None
    records: str | None = None
    file: FilePath | None = None


class HealthTable(Table):
    """[health]: how endpoints are judged, for every service that says nothing else."""

    interval: DurationMs = written("2s")
    timeout: DurationMs = written("1s")
    recheck: DurationMs = written("500ms")
    rise: Count = 2
    fall: Count = 3
    fail_open: Percent = written("50%")
    rule: RuleText = written("majority")
    flap_limit: FlapLimitTable | None = None
    failback: FailbackText = written("auto")


class EndpointTable(Table):
    """One endpoint of a service, when more than its address is said."""

    address: IpAddress
    name: Label = ""
    priority: Annotated[int, Field(ge=1, le=1000)] = 1
    weight: Annotated[int, Field(ge=0, lt=2**20)] = 1
    probe_from: Annotated[list[Word], Listed] = Field(default_factory=list)
    probe_address: IpAddress | None = None
    site: Label = ""
    tags: Annotated[list[Word], Listed, Field(max_length=TAGS_MAX)] = Field(default_factory=list)


def _endpoint(value: Any) -> Any:
    return {"address": value} if isinstance(value, str) else value


class ServiceTable(Table):
    """[[services]]: a name whose addresses follow their health."""

    fqdn: DomainName
    zone: DomainName | None = None
    ttl: Ttl | None = None
    mode: Literal["active-active", "active-standby"] = "active-active"
    interval: DurationMs | None = None
    timeout: DurationMs | None = None
    recheck: DurationMs | None = None
    rise: Count | None = None
    fall: Count | None = None
    fail_open: Percent | None = None
    rule: RuleText | None = None
    min_voters: Annotated[int, Field(ge=0, le=99)] = 0
    when_down: Literal["nodata", "all", "last_good", "fallback"] | None = None
    fallback: Annotated[list[IpAddress], Listed, Field(max_length=FALLBACKS_MAX)] = Field(default_factory=list)
    min_up: Annotated[int, Field(ge=0, le=ENDPOINTS_MAX)] = 0
    max_answers: Annotated[int, Field(ge=0, le=ENDPOINTS_MAX)] = 0
    flap_limit: OwnFlapLimit = None
    failback: FailbackText | None = None
    ttl_min: Annotated[int, Field(ge=0, le=604_800)] = 0
    separate_families: bool = False
    selection: Literal["all", "weighted", "weighted-one", "sticky", "site"] = "all"
    healthcheck: Annotated[
        CheckTable, BeforeValidator(read_check_form, json_schema_input_type=str | CheckTable)
    ]
    endpoints: list[
        Annotated[EndpointTable, BeforeValidator(_endpoint, json_schema_input_type=str | EndpointTable)]
    ]


class ExecTable(Table):
    """[checks.exec.NAME]: what an exec check of this name runs; 0 is good, the first line of output is evidence."""

    argv: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=64)]


class ChecksTable(Table):
    """[checks]: what probing needs of the machine, never replicated."""

    ca_file: FilePath | None = None
    references: Annotated[list[ServerAddress], Listed, Field(max_length=16)] = Field(default_factory=list)
    exec: dict[Word, ExecTable] = Field(default_factory=dict)


class PushTable(Table):
    """[[push]]: another name server, or a DNS service, that follows the committed state."""

    name: Word | None = None
    type: Literal[
        "rfc2136", "powerdns", "desec", "gandi", "hetzner", "digitalocean", "cloudflare", "dynu", "route53"
    ]
    server: ServerAddress | None = None
    url: ApiUrl | None = None
    token: str | None = None
    zones: Annotated[list[DomainName], Listed, Field(min_length=1)]
    what: Literal["services", "all"] = "services"
    own: Literal["addresses", "name"] = "addresses"
    tsig: KeyName | None = None
    method: Literal["native", "nsupdate", "knsupdate"] = "native"
    fence: bool = False
    min_interval: DurationMs = written("0s")
    max_withdrawal: Percent = written("50%")


TSIG_OCTETS = {"hmac-sha1": 20, "hmac-sha224": 28, "hmac-sha256": 32, "hmac-sha384": 48, "hmac-sha512": 64}
"""Lengths of the digests, the least that a secret should have (RFC 8945 section 6, RFC 2104 section 3)."""


class TsigTable(Table):
    """[[tsig]]: a key that signs messages between servers."""

    name: KeyName
    algorithm: Literal["hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"] = "hmac-sha256"
    secret: str
    grant: Annotated[list[GrantEntry], Listed] = Field(default_factory=list)


class TokenTable(Table):
    """[[api.tokens]]: who may use the HTTP API."""

    name: Word
    token: str
    scopes: Annotated[list[ScopeText], Listed, Field(min_length=1)] = written(["admin"])


class ApiTlsTable(Table):
    """``tls`` of [api]: files in PEM form, read again when they change; ``{node}`` is the node's name.

    ``ca`` is what the certificates of the nodes' APIs are checked by, else the system's store.
    """

    cert: FilePath
    key: str
    ca: FilePath | None = None


class ApiTable(Table):
    """[api]: the HTTP API."""

    listen: ListenAddress | None = None
    socket: FilePath | None = None
    tls: ApiTlsTable | None = None
    tokens: list[TokenTable] = Field(default_factory=list)


class StatsdTable(Table):
    """[statsd]: where metrics go in rrdnsd's names."""

    server: HostPort
    prefix: StatsdPrefix = ""
    tags: Literal["none", "datadog"] = "none"


class LogTable(Table):
    """[log]: what the program tells about itself."""

    level: LogLevel = "info"
    format: LogFormat = "auto"


class Root(Table):
    """The whole file."""

    cluster: ClusterTable = ClusterTable()
    nodes: list[NodeTable] = Field(default_factory=list)
    raft: RaftTable = RaftTable()
    dns: DnsTable = DnsTable()
    zones: list[ZoneTable] = Field(default_factory=list)
    health: HealthTable = HealthTable()
    checks: ChecksTable = ChecksTable()
    services: list[ServiceTable] = Field(default_factory=list)
    push: list[PushTable] = Field(default_factory=list)
    tsig: list[TsigTable] = Field(default_factory=list)
    api: ApiTable = ApiTable()
    notify: list[NotifyTable] = Field(default_factory=list)
    statsd: StatsdTable | None = None
    log: LogTable = LogTable()
