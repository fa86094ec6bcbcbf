"""What a node is to be, in the settings of the rooms: made from a Config, or for development mode.

Secrets are read here, once, at start; from here on they live in memory only.
"""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from node.api_plan import ApiPlan, api_plan_of
from node.config import Config, Secret, SecretError
from node.config.model import ClusterTls
from node.config.rules_secrets import tsig_octets
from node.config.secret import path_of
from node.dns.fast import is_supported
from node.dns_plan import ANSWERERS, DnsPlan, NoReader, dns_plan_of
from node.duties import DutySettings
from node.notify.settings import NotifierSettings
from node.notify_plan import notifier_settings
from node.observe import LogFormat
from node.probe.settings import ProberSettings
from node.push.settings import TsigSecret
from node.restore import BackupFile
from node.state.command import Member, Seed
from node.statsd import StatsdSettings
from raft.identity import Certified
from raft.protection import TlsFiles
from raft.seal import stretch_secret
from raft.settings import RaftSettings
from raft.trust import check_files

logger = structlog.get_logger()

EXIT_CONFIGURATION = 3
LOOPBACK = "127.0.0.1"
DEV_ORPHAN_LIFE_S = 5.0
"""Who ends a development node wants its port back."""


class StartError(Exception):
    """The node cannot start; the message says why and what to do, ``exit_code`` how to end."""

    def __init__(self, message: str, exit_code: int = EXIT_CONFIGURATION) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Plan:
    """A node, ready to be built."""

    cluster: str
    node: str
    raft: RaftSettings
    seed: Seed
    dns: DnsPlan
    duties: DutySettings
    api: ApiPlan
    peer_urls: Mapping[str, str]
    configured: Mapping[str, str]
    """Where each node's log listens, by name; empty where nothing is configured."""
    node_token: str | None
    tsig: Mapping[str, TsigSecret] = field(repr=False)
    """By key name in lower case without final dot."""
    push_tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By the name of the push target."""
    notify: NotifierSettings = field(default_factory=lambda: NotifierSettings(""), repr=False)
    prober: ProberSettings = field(default_factory=ProberSettings)
    statsd: StatsdSettings | None = None
    log_level: str = "info"
    log_format: LogFormat = "auto"
    notes: tuple[str, ...] = ()
    dev: bool = False
    restore: BackupFile | None = None
    """What an empty cluster is to begin with in place of the seed."""


@dataclass(frozen=True, slots=True)
class DevSettings:
    """Development mode: one node on loopback. Port 0 takes any free port."""

    data_dir: Path | None
    dns_port: int = 9000
    api_port: int = 7380
    with_demo: bool = False


def plan_of(config: Config, environ: Mapping[str, str] = os.environ) -> Plan:
    """Return the plan that the configuration describes.

    Raises ``StartError`` for secrets, and ``raft.errors.RaftError`` for certificates, that cannot be used.
    """
    health = config.health
    secret = None if config.cluster.secret is None else _read(config.cluster.secret, environ)
    keys = _keys(config, environ)
    tls = None if config.cluster.tls is None else tls_files(config.cluster.tls, environ)
    if tls is not None:
        check_files(tls, Certified(config.cluster.name, config.node.name, config.node.role))
    return Plan(
        cluster=config.cluster.name,
        node=config.node.name,
        raft=RaftSettings(
            node=config.node.name,
            members={each.name: each.raft for each in config.nodes},
            replicas=frozenset(each.name for each in config.nodes if each.role == "replica"),
            bind=config.node.bind,
            cluster=config.cluster.name,
            data_dir=config.raft.data_dir,
            secret=secret,
            tls=tls,
            election_timeout_s=config.raft.election_timeout_s,
            heartbeat_s=config.raft.heartbeat_s,
            snapshot_entries=config.raft.snapshot_entries,
        ),
        seed=config.seed(),
        dns=_dns(config, keys, secret, environ),
        duties=DutySettings(vote_lease_s=(3 * health.interval_ms + health.timeout_ms) / 1000),
        api=_api(config, environ),
        configured={each.name: each.raft for each in config.nodes},
        peer_urls={each.name: each.api for each in config.nodes if each.name != config.node.name},
        node_token=None if secret is None else _node_token(config.cluster.name, secret),
        tsig=keys,
        push_tokens=push_tokens(config, environ),
        notify=notifier_settings(config, environ),
        prober=ProberSettings(
            ca_file=config.checks.ca_file,
            exec_checks=config.checks.exec_checks,
            references=config.checks.references,
        ),
        statsd=config.statsd,
        log_level=config.log.level,
        log_format=config.log.format,
        notes=config.notes,
    )


def dev_plan(settings: DevSettings, seed_demo: Seed | None = None) -> Plan:
    """Return the plan of development mode: a quorum of one, in memory unless a folder is given."""
    node = "dev"
    member = Member(node, raft=f"{LOOPBACK}:0", api=f"http://{LOOPBACK}:{settings.api_port}")
    seed = Seed((member,), *((seed_demo.zones, seed_demo.services) if seed_demo else ()))
    return Plan(
        cluster="dev",
        node=node,
        raft=RaftSettings(
            node=node,
            members={node: f"{LOOPBACK}:0"},
            bind=f"{LOOPBACK}:0",
            cluster="dev",
            data_dir=settings.data_dir,
            secret=None,
        ),
        seed=seed,
        dns=_dev_dns(settings, node),
        duties=DutySettings(),
        api=ApiPlan((f"{LOOPBACK}:{settings.api_port}",)),
        peer_urls={},
        configured={},
        node_token=None,
        tsig={},
        log_format="console",
        dev=True,
    )


def _dev_dns(settings: DevSettings, node: str) -> DnsPlan:
    folder = settings.data_dir
    return DnsPlan(
        (f"{LOOPBACK}:{settings.dns_port}", f"[::1]:{settings.dns_port}"),
        node,
        answerers=int(is_supported()),
        directory=None if folder is None else folder / ANSWERERS,
        orphan_life_s=DEV_ORPHAN_LIFE_S,
        cookie_master=secrets.token_bytes(32),
    )


def tls_files(tls: ClusterTls, environ: Mapping[str, str]) -> TlsFiles:
    """Return where the certificates are, as the log wants to know it. Raises ``StartError``."""
    try:
        key = path_of(tls.key, environ)
    except SecretError as error:
        raise StartError(str(error)) from None
    assert key is not None  # the configuration allows files and credentials only
    return TlsFiles(tls.ca, tls.cert, key, tls.refused)


def _read(secret: Secret, environ: Mapping[str, str]) -> bytes:
    try:
        return secret.read(environ)
    except SecretError as error:
        raise StartError(str(error)) from None


def reloaded_dns(config: Config, environ: Mapping[str, str] = os.environ) -> DnsPlan:
    """Return the DNS of a configuration that was read again. Raises ``StartError`` for unreadable secrets."""
    secret = None if config.cluster.secret is None else _read(config.cluster.secret, environ)
    return _dns(config, _keys(config, environ), secret, environ)


def reloaded_api(config: Config, environ: Mapping[str, str] = os.environ) -> ApiPlan:
    """Return the API of a configuration that was read again. Raises ``StartError`` for unreadable secrets."""
    return _api(config, environ)


def _api(config: Config, environ: Mapping[str, str]) -> ApiPlan:
    try:
        return api_plan_of(config, environ)
    except SecretError as error:
        raise StartError(str(error)) from None


def _dns(
    config: Config, keys: Mapping[str, TsigSecret], secret: bytes | None, environ: Mapping[str, str]
) -> DnsPlan:
    try:
        return dns_plan_of(config, keys, secret, environ)
    except (SecretError, NoReader) as error:
        raise StartError(str(error)) from None


def _keys(config: Config, environ: Mapping[str, str]) -> dict[str, TsigSecret]:
    """Return the keys that can be read; a push that needs another one says so by itself."""
    keys = {}
    for each in config.tsig:
        try:
            octets = tsig_octets(each, environ)
            name = each.name.lower().rstrip(".")
            keys[name] = TsigSecret(each.algorithm, base64.b64encode(octets).decode())
        except SecretError as error:
            logger.warning("tsig.unreadable", key=each.name, detail=str(error))
    return keys


def push_tokens(config: Config, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the tokens that can be read; a push that needs another one says so by itself."""
    tokens = {}
    for each in config.push_tokens:
        try:
            tokens[each.target] = each.secret.read(environ).decode()
        except (SecretError, UnicodeDecodeError) as error:
            detail = str(error) if isinstance(error, SecretError) else "it is not text"
            logger.warning("push.token_unreadable", target=each.target, detail=detail)
    return tokens


def _node_token(cluster: str, secret: bytes) -> str:
    """Derive what nodes show each other's API: it goes over the wire as it is, and must not help to guess the secret."""
    key = stretch_secret(secret, cluster)
    return "qdns_node_" + hmac.new(key, b"quorumdns node to node api v2", hashlib.sha256).hexdigest()
