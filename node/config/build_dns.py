"""[dns] from its checked table to the program's values."""

from pathlib import Path

from node.config.build import NODE_PLACEHOLDER, build_secret
from node.config.findings import Findings
from node.config.model import Certificate, DnsSettings, Node, RateLimit
from node.config.schema import DnsTable, RateLimitTable, Root
from node.config.secret import References


def build_dns(root: Root, node: Node, base: Path, references: References, findings: Findings) -> DnsSettings:
    """Return how this node answers; relative files are beside the configuration."""
    table = root.dns
    secrets = (
        build_secret(text, ("dns", "cookie_secret", number), references, findings)
        for number, text in enumerate(table.cookie_secret)
    )
    return DnsSettings(
        listen=node.dns,
        default_ttl=table.default_ttl,
        udp_payload=table.udp_payload,
        tls_listen=node.dns_tls,
        tls=_certificate(table, base, references, findings),
        nsid=table.nsid.replace(NODE_PLACEHOLDER, node.name),
        version=table.version,
        cookies=table.cookies,
        cookie_secrets=tuple(secret for secret in secrets if secret is not None),
        rate_limit=None if table.rate_limit is None else _rate_limit(table.rate_limit),
        allow_transfer=tuple(table.allow_transfer),
        allow_update=None if table.allow_update is None else tuple(table.allow_update),
        also_notify=tuple(table.also_notify),
        answerers=None if table.answerers == "auto" else table.answerers,
        reader=table.reader,
        serve_stale_for_s=None if table.serve_stale_for is None else table.serve_stale_for / 1000,
        forward=tuple(table.forward),
        forward_for=tuple(table.forward_for),
    )


def _certificate(table: DnsTable, base: Path, references: References, findings: Findings) -> Certificate | None:
    if table.tls is None:
        return None
    key = build_secret(table.tls.key, ("dns", "tls", "key"), references, findings)
    return None if key is None else Certificate(base / table.tls.cert, key)


def _rate_limit(table: RateLimitTable) -> RateLimit:
    return RateLimit(
        responses_per_s=table.responses_per_second,
        slip=table.slip,
        ipv4_prefix=table.ipv4_prefix,
        ipv6_prefix=table.ipv6_prefix,
        exempt=tuple(table.exempt),
    )


def shared_part(dns: DnsSettings) -> tuple[object, ...]:
    """Return what the nodes must agree on, in plain values."""
    update = None if dns.allow_update is None else [each.text for each in dns.allow_update]
    return (
        dns.default_ttl,
        dns.cookies,
        [each.text for each in dns.allow_transfer],
        update,
        [(each.address, each.key) for each in dns.also_notify],
    )
