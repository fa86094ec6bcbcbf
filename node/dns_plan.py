"""What a node answers over DNS, to whom and how, in the settings of ``node.dns``: from a Config, or for development."""

import base64
import hashlib
import hmac
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from node.certificate import CertificateFiles
from node.config import Config, SecretError
from node.config.addresses import host_of
from node.config.model import Allowed, DnsSettings
from node.config.rules_dns import cookie_octets
from node.dns import fast, native
from node.dns import table_layout as layout
from node.dns.forwarder import ForwardSettings
from node.dns.grants import LOOPBACK, Access
from node.dns.limiter import LimiterSettings
from node.dns.listen import ListenAddress, read_address
from node.dns.networks import Network
from node.dns.notify import NotifySettings
from node.dns.policy import Policy
from node.dns.respond import RespondSettings
from node.dns.tsig import Key
from node.push.settings import TsigSecret
from node.zone.name import Name, from_text
from raft.seal import stretch_secret

ANSWERERS = "answerers"
"""Folder below the data directory where answerers meet their node."""
ORPHAN_LIFE_S = 86_400.0
"""So long answerers go on when their node has died, unless ``serve_stale_for`` is shorter."""
DEFAULT_LIMITER = LimiterSettings(responses_per_s=50, exempt=LOOPBACK)


class NoReader(Exception):
    """The configuration asks for a compiled reader that was not built; the message says what to do."""


@dataclass(frozen=True, slots=True)
class DnsPlan:
    """The DNS of a node, ready to be built."""

    listen: tuple[str, ...]
    identity: str
    """In NSID and ``id.server``, where ``respond.show_node`` says so."""
    respond: RespondSettings = field(default_factory=RespondSettings)
    cookie_master: bytes | None = field(default=None, repr=False)
    """What the secrets of cookies are made from where ``respond`` has none; None: no cookies."""
    tls_listen: tuple[str, ...] = ()
    tls: CertificateFiles | None = None
    limiter: LimiterSettings | None = DEFAULT_LIMITER
    notify: NotifySettings = field(default_factory=NotifySettings)
    forward: ForwardSettings | None = None
    serve_stale_for_s: float | None = None
    """So long a node without a majority goes on answering; None: for ever."""
    answerers: int = 0
    """Processes that answer UDP; 0: this one does."""
    compiled: bool = True
    """They answer by the compiled reader where it was built."""
    directory: Path | None = None
    """Where they meet this process; None: they live and die with it, in a temporary directory."""
    orphan_life_s: float = ORPHAN_LIFE_S
    """How long they answer on without it."""

    node: str = ""
    """The node's name in the log, whose site decides about some answers."""
    inherited: Mapping[tuple[str, str], socket.socket] = field(default_factory=dict, compare=False)
    """Listening sockets of the process that this one takes over from, by kind and address."""

    @property
    def policy(self) -> Policy:
        """What answerers are told of clients."""
        respond = self.respond
        return Policy(
            self.limiter,
            respond.cookie_secrets,
            self.cookie_master,
            respond.require_cookies,
            respond.forward_for,
        )


def dns_plan_of(
    config: Config, keys: Mapping[str, TsigSecret], secret: bytes | None, environ: Mapping[str, str]
) -> DnsPlan:
    """Return what the configuration describes; ``keys`` are those that could be read.

    Raises ``SecretError`` and ``NoReader``.
    """
    dns = config.dns
    known = _keys(keys)
    return DnsPlan(
        listen=dns.listen,
        identity=dns.nsid or config.node.name,
        node=config.node.name,
        respond=RespondSettings(
            udp_payload_octets=dns.udp_payload,
            version=dns.version,
            show_node=bool(dns.nsid),
            cookie_secrets=tuple(cookie_octets(each, environ) for each in dns.cookie_secrets if dns.cookies),
            keys=known,
            access=_access(config),
            forward_for=dns.forward_for if dns.forward else (),
        ),
        cookie_master=_cookie_master(config, secret),
        tls_listen=dns.tls_listen,
        tls=_certificate(dns, environ),
        limiter=_limiter(dns),
        notify=_notify(config, known),
        forward=ForwardSettings(dns.forward) if dns.forward else None,
        answerers=_answerers(dns.answerers),
        compiled=_is_compiled(dns.reader),
        directory=config.raft.data_dir / ANSWERERS,
        serve_stale_for_s=dns.serve_stale_for_s,
        orphan_life_s=min(ORPHAN_LIFE_S, dns.serve_stale_for_s or ORPHAN_LIFE_S),
    )


def _answerers(wanted: int | None) -> int:
    """Return how many processes answer UDP on this machine."""
    if not fast.is_supported():
        return 0
    return min(len(os.sched_getaffinity(0)), layout.READERS_MAX) if wanted is None else wanted


def _is_compiled(reader: str) -> bool:
    """Say whether the compiled reader may be used. Raises ``NoReader`` where it must be and is not there."""
    if reader == "native" and native.load() is None:
        reason = native.why_refused() or f"there is no compiled reader at {native.LIBRARY}"
        raise NoReader(
            f'[dns] reader is "native", but {reason}: '
            'install quorumdns where there is a C compiler, or write reader = "auto"'
        )
    return reader != "python"


def _keys(keys: Mapping[str, TsigSecret]) -> dict[Name, Key]:
    return {
        (name := from_text(text)): Key(name, from_text(each.algorithm), base64.b64decode(each.secret))
        for text, each in keys.items()
    }


def _access(config: Config) -> Access:
    dns = config.dns
    update = dns.allow_update
    return Access(
        updates={from_text(key.name): key.grants for key in config.tsig if key.grants},
        update_keys=None if update is None or _is_open(update, keys=True) else _key_names(update),
        update_networks=None if update is None or _is_open(update, keys=False) else _networks(update),
        transfer_keys=_key_names(dns.allow_transfer),
        transfer_networks=_networks(dns.allow_transfer),
    )


def _is_open(entries: tuple[Allowed, ...], *, keys: bool) -> bool:
    """Say whether a list that is not empty says nothing of keys, or of addresses: then any will do."""
    return bool(entries) and not any(bool(each.key) == keys for each in entries)


def _key_names(entries: tuple[Allowed, ...]) -> frozenset[Name]:
    return frozenset(from_text(each.key) for each in entries if each.key)


def _networks(entries: tuple[Allowed, ...]) -> tuple[Network, ...]:
    return tuple(each.network for each in entries if each.network is not None)


def _cookie_master(config: Config, secret: bytes | None) -> bytes | None:
    """Derive it from what all nodes share; a cluster without a secret is on one machine, each node for itself."""
    if not config.dns.cookies or config.dns.cookie_secrets:
        return None
    if secret is None:
        return secrets.token_bytes(32)
    key = stretch_secret(secret, config.cluster.name)
    return hmac.new(key, b"quorumdns dns cookies v1", hashlib.sha256).digest()


def _certificate(dns: DnsSettings, environ: Mapping[str, str]) -> CertificateFiles | None:
    if dns.tls is None:
        return None
    path = dns.tls.key.path(environ)
    if path is None:
        raise SecretError("the key of a certificate is read from a file")
    return CertificateFiles(dns.tls.cert, path)


def _limiter(dns: DnsSettings) -> LimiterSettings | None:
    limit = dns.rate_limit
    if limit is None:
        return None
    return LimiterSettings(
        responses_per_s=limit.responses_per_s,
        slip=limit.slip,
        ipv4_prefix=limit.ipv4_prefix,
        ipv6_prefix=limit.ipv6_prefix,
        exempt=limit.exempt,
    )


def _notify(config: Config, keys: Mapping[Name, Key]) -> NotifySettings:
    also = config.dns.also_notify
    signed: dict[ListenAddress, Key] = {}
    for each in also:
        key = keys.get(from_text(each.key)) if each.key else None
        if key is not None:
            signed[read_address(each.address)] = key
    own = {host_of(node.raft) for node in config.nodes}
    own |= {host_of(listen) for node in config.nodes for listen in node.dns}
    return NotifySettings(also=tuple(each.address for each in also), own_addresses=frozenset(own), keys=signed)
