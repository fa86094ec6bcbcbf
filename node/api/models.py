"""The bodies of ``/v1`` as models: what they may hold, and the values of our own they stand for.

A model finds every fault it can see by itself; what depends on the state is judged when the command
is applied.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from node.api.body import Body
from node.api.check import CheckBody, RuleBody, long_check, long_rule
from node.health.service import FALLBACKS_MAX, TAGS_MAX, Endpoint, Service, canonical_address
from node.health.steadiness import Failback, FlapLimit
from node.state.api_url import CHARACTERS_MAX as API_URL_CHARACTERS_MAX
from node.state.api_url import parse_api_url
from node.state.leases import LEASE_S_MAX
from node.zone.name import Name
from node.zone.rrset import RDATAS_MAX

COMMENT_CHARACTERS_MAX = 255
OPERATIONS_MAX = 1_000
EXPIRES_S_MAX = 10 * 365 * 86_400


class LogBody(Body):
    """From which level on a node logs."""

    level: Literal["debug", "info", "warning", "error"]


class ZoneBody(Body):
    """A zone's settings; names may leave out the final dot."""

    nameservers: list[str] = Field(min_length=1, examples=[["ns1.example.com", "ns2.example.com"]])
    contact: str | None = Field(None, description="mailbox of the SOA, as a name or an e-mail address")
    default_ttl: int = 5
    negative_ttl: int = 60
    refresh_s: int = 3600
    retry_s: int = 600
    expire_s: int = 604_800
    serial_policy: Literal["increment", "unixtime", "date", "keep"] | None = Field(
        None, description="how serials are chosen; left out: as it is"
    )


def _api_url(text: str) -> str:
    return parse_api_url(text, None) if text else ""


ApiUrl = Annotated[str, Field(max_length=API_URL_CHARACTERS_MAX), AfterValidator(_api_url)]
"""Where a node's API is, with its scheme; empty where it has none that others reach."""


class NodeBody(Body):
    """Where a node is reached."""

    raft: str = Field(
        examples=["192.0.2.4:7300"], description="IP:PORT of its log, as the other nodes reach it"
    )
    api: ApiUrl | None = Field(
        None, examples=["https://192.0.2.4:7380"], description="URL of its API: scheme, host and port"
    )
    site: str | None = Field(None, max_length=63)
    role: Literal["voter", "replica"] = Field("voter", description="a replica serves and never votes")


class Operation(Body):
    """One write of ``/v1`` in a batch."""

    method: Literal["PUT", "PATCH", "DELETE", "POST"]
    path: str = Field(
        min_length=1, max_length=2_048, examples=["/v1/zones/example.org/rrsets/www.example.org/A"]
    )
    body: dict[str, Any] | None = Field(None, description="as the path takes it alone")
    if_match: str | None = Field(None, max_length=32, description="as the header If-Match")
    if_none_match: Literal["*"] | None = Field(None, description="as the header If-None-Match")


class BatchBody(Body):
    """Writes that are carried out together, in this order, or not at all."""

    operations: list[Operation] = Field(min_length=1, max_length=OPERATIONS_MAX)


class TokenBody(Body):
    """A token: the hash of a secret that whoever asks has made, and what it lets do."""

    sha256: str = Field(
        pattern="^[0-9a-f]{64}$",
        description="of the whole secret in hexadecimal; the secret itself is never sent",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    scopes: list[str] = Field(min_length=1, max_length=16, examples=[["records:write zone=example.org"]])
    expires_in_s: int | None = Field(
        None, ge=1, le=EXPIRES_S_MAX, description="worth nothing after so many seconds; left out: never"
    )


class ReplaceBody(Body):
    """What is new about a node that begins anew."""

    raft: str | None = Field(None, examples=["192.0.2.4:7300"])
    api: ApiUrl | None = None


class RRsetBody(Body):
    """All records of one name and type, in master-file text."""

    rdatas: list[str] = Field(min_length=1, max_length=RDATAS_MAX, examples=[["192.0.2.1", "192.0.2.2"]])
    ttl: int | None = Field(None, description="seconds; the zone's default when left out")
    comment: str = Field("", max_length=COMMENT_CHARACTERS_MAX)
    disabled: bool = False
    lease_s: int | None = Field(
        None, ge=1, le=LEASE_S_MAX, description="gone after so many seconds unless it is put again"
    )


class RRsetPatch(Body):
    """Records to add to an RRset and to remove from it."""

    add: list[str] = Field([], max_length=RDATAS_MAX)
    remove: list[str] = Field([], max_length=RDATAS_MAX)
    ttl: int | None = None
    lease_s: int | None = Field(
        None,
        ge=1,
        le=LEASE_S_MAX,
        description="each added record is gone after so many seconds unless added again",
    )


def _canonical_or_none(text: str) -> str:
    return canonical_address(text) if text else ""


class EndpointSettings(Body):
    """What an endpoint can have beside its address."""

    name: str = ""
    priority: int = 1
    weight: int = 1
    probe_from: list[str] = Field(default=[])
    probe_address: Annotated[str, AfterValidator(_canonical_or_none)] = ""
    site: str = Field("", max_length=63)
    tags: list[str] = Field([], max_length=TAGS_MAX, examples=[["rack7"]])

    def endpoint(self, address: str) -> Endpoint:
        """Return the endpoint with this canonical address."""
        return Endpoint(
            address,
            self.name,
            self.priority,
            self.weight,
            tuple(self.probe_from),
            self.probe_address,
            self.site,
            tuple(self.tags),
        )


class EndpointBody(EndpointSettings):
    """One endpoint of a service."""

    address: Annotated[str, AfterValidator(canonical_address)]


def _long_endpoint(value: object) -> object:
    return {"address": value} if isinstance(value, str) else value


class FlapLimitBody(Body):
    """When an endpoint that is up and down again and again is held out of DNS."""

    changes: int = 6
    per_ms: int = 600_000
    hold_ms: int = Field(300_000, description="so long it must be steady")

    def limit(self) -> FlapLimit:
        """Return the limit this stands for."""
        return FlapLimit(self.changes, self.per_ms, self.hold_ms)


class ServiceBody(Body):
    """A service: its check, its endpoints and the rules for publishing them."""

    check: Annotated[CheckBody, BeforeValidator(long_check, json_schema_input_type=str | CheckBody)] = Field(
        examples=["http://{}:80/health"]
    )
    endpoints: list[
        Annotated[EndpointBody, BeforeValidator(_long_endpoint, json_schema_input_type=str | EndpointBody)]
    ] = Field([], max_length=256, examples=[["192.0.2.10", "192.0.2.11"]])
    zone: str | None = None
    ttl: int = 5
    interval_ms: int = 2000
    timeout_ms: int = 1000
    recheck_ms: int = 500
    rise: int = 2
    fall: int = 3
    fail_open_percent: int = 50
    mode: Literal["active-active", "active-standby"] = "active-active"
    rule: Annotated[RuleBody, BeforeValidator(long_rule, json_schema_input_type=str | int | RuleBody)] = Field(
        RuleBody(), examples=["any", 2, "40%"]
    )
    when_down: Literal["nodata", "all", "last_good", "fallback"] = "nodata"
    fallback: list[Annotated[str, AfterValidator(canonical_address)]] = Field([], max_length=FALLBACKS_MAX)
    min_up: int = 0
    max_answers: int = 0
    flap_limit: FlapLimitBody | None = None
    failback: Literal["auto", "after", "manual"] = Field(
        "auto", description="when an endpoint that was withdrawn and is up again comes back"
    )
    failback_after_ms: int = 0
    ttl_min: int = Field(
        0, description="the ttl while an endpoint is undecided, down or changing; 0: always ttl"
    )
    selection: Literal["all", "weighted", "weighted-one", "sticky", "site"] = Field(
        "all", description="which of the published addresses one answer holds"
    )
    separate_families: bool = Field(False, description="whether A and AAAA are judged separately")

    def service(self, fqdn: Name, zone: Name) -> Service:
        """Return the service this stands for."""
        return Service(
            fqdn=fqdn,
            zone=zone,
            check=self.check.check(),
            endpoints=tuple(each.endpoint(each.address) for each in self.endpoints),
            ttl=self.ttl,
            interval_ms=self.interval_ms,
            timeout_ms=self.timeout_ms,
            recheck_ms=self.recheck_ms,
            rise=self.rise,
            fall=self.fall,
            fail_open_percent=self.fail_open_percent,
            mode=self.mode,
            rule=self.rule.rule(),
            when_down="fallback" if self.fallback and self.when_down == "nodata" else self.when_down,
            fallback=tuple(self.fallback),
            min_up=self.min_up,
            max_answers=self.max_answers,
            flap_limit=self.flap_limit.limit() if self.flap_limit is not None else None,
            failback=Failback(self.failback, self.failback_after_ms),
            ttl_min=self.ttl_min,
            separate_families=self.separate_families,
            selection=self.selection,
        )
