"""What a changed file asks for: a reload is enough, a restart is needed, or the cluster must be told."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from node.config.model import Config, DnsSettings


@dataclass(frozen=True, slots=True)
class Difference:
    """The sections and keys that differ, by what it takes for them to hold."""

    restart: tuple[str, ...] = ()
    """This node must start anew."""
    reload: tuple[str, ...] = ()
    """This node can take them over while it runs."""
    apply: tuple[str, ...] = ()
    """They belong to the log since the cluster was seeded: ``qdns apply``."""

    def __bool__(self) -> bool:
        return bool(self.restart or self.reload or self.apply)


def compare(old: Config, new: Config) -> Difference:
    """Compare two configurations of one node."""
    restart = {
        "cluster": (old.cluster, new.cluster),
        "nodes": (old.nodes, new.nodes),
        "node": (old.node.name, new.node.name),
        "raft": (old.raft, new.raft),
        "dns.listen": (old.dns.listen, new.dns.listen),
        "dns.tls_listen": (old.dns.tls_listen, new.dns.tls_listen),
        "dns.answerers": (_answerers(old), _answerers(new)),
        "dns.reader": (old.dns.reader, new.dns.reader),
        "api.listen": (old.api.listen, new.api.listen),
        "api.socket": (old.api.socket, new.api.socket),
        "api.tls": (_is_on(old), _is_on(new)),
        "notify": (old.notify, new.notify),
        "statsd": (old.statsd, new.statsd),
        "log.format": (old.log.format, new.log.format),
    }
    reload = {
        "dns": (_reloaded(old.dns), _reloaded(new.dns)),
        "tsig": (old.tsig, new.tsig),
        "api.tokens": (old.api.tokens, new.api.tokens),
        "api.certificate": (_certificate(old), _certificate(new)),
        "push.token": (old.push_tokens, new.push_tokens),
        "log": (old.log.level, new.log.level),
    }
    apply = {
        "zones": (old.zones, new.zones),
        "services": (old.services, new.services),
        "push": (old.targets, new.targets),
    }
    return Difference(_differing(restart), _differing(reload), _differing(apply))


def _is_on(config: Config) -> tuple[bool, object]:
    """Return what of TLS is taken over at a start alone: whether there is any, and whom the nodes trust."""
    tls = config.api.tls
    return tls is not None, tls.ca if tls is not None else None


def _certificate(config: Config) -> tuple[object, object] | None:
    tls = config.api.tls
    return (tls.cert, tls.key) if tls is not None else None


def _answerers(config: Config) -> int | None:
    return config.dns.answerers


def _reloaded(dns: DnsSettings) -> DnsSettings:
    """Leave out what is taken over at a start alone."""
    return replace(dns, listen=(), tls_listen=(), answerers=None, reader="auto")


def _differing(parts: Mapping[str, tuple[object, object]]) -> tuple[str, ...]:
    return tuple(name for name, (before, after) in parts.items() if before != after)
