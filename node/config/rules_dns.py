"""Rules on who may do what over DNS, and on what it listens to: [dns] and the grants of [[tsig]]."""

import ssl
from collections.abc import Iterator, Mapping

from node.config.addresses import host_of, is_any
from node.config.draft import Draft
from node.config.findings import Findings
from node.config.messages import did_you_mean
from node.config.model import DnsSettings
from node.config.positions import Path as KeyPath
from node.config.rules_data import answers_at
from node.config.schema import DnsTable
from node.config.secret import Secret, SecretError, mode_problem

COOKIE_SECRET_DIGITS = 32


def _judge_references(draft: Draft, findings: Findings) -> None:
    """Every key that [dns] speaks of stands in a [[tsig]] table."""
    keys = [each.name for each in draft.valid.root.tsig]
    for path, key in _keys_named(draft.valid.root.dns):
        if key not in keys and draft.valid.is_whole("tsig"):
            findings.error(
                path,
                f'there is no [[tsig]] key named "{key}"',
                code="unknown-reference",
                suggestion=did_you_mean(key, keys) or "add a [[tsig]] table with this name",
            )


def _keys_named(table: DnsTable) -> Iterator[tuple[KeyPath, str]]:
    for name in ("allow_transfer", "allow_update", "also_notify"):
        for number, entry in enumerate(getattr(table, name) or ()):
            if entry.key:
                yield ("dns", name, number), entry.key


def _judge_grants(draft: Draft, findings: Findings) -> None:
    """A key that may update has a grant, and one with a grant may update."""
    root = draft.valid.root
    granted = {each.name for each in root.tsig if each.grant}
    known = {each.name for each in root.tsig}
    if root.dns.allow_update is None or not draft.valid.is_whole("tsig"):
        return
    for number, entry in enumerate(root.dns.allow_update):
        if entry.key in known - granted:
            findings.error(
                ("dns", "allow_update", number),
                f"the key {entry.key} may change nothing: it has no grant",
                code="no-grant",
                suggestion=f'add to the [[tsig]] table of {entry.key}: grant = ["**.example.com"]',
            )
    listed = {entry.key for entry in root.dns.allow_update if entry.key}
    for number, key in enumerate(root.tsig):
        if key.grant and listed and key.name not in listed:
            findings.warning(
                draft.valid.path("tsig", number, "grant"),
                f"the key {key.name} has a grant, but [dns] allow_update does not list it",
                code="unused",
            )


def _judge_tls(draft: Draft, findings: Findings) -> None:
    """Addresses for TLS and a certificate go together; no address is listened on twice."""
    table = draft.valid.root.dns
    if table.tls_listen and table.tls is None and draft.valid.is_whole("dns", "tls"):
        findings.error(
            ("dns", "tls_listen"),
            "DNS over TLS needs a certificate",
            code="no-certificate",
            suggestion='add to [dns]: tls = { cert = "/path/cert.pem", key = "file:/path/key.pem" }',
        )
    if table.tls is not None and not table.tls_listen and draft.valid.is_whole("dns", "tls_listen"):
        findings.warning(
            ("dns", "tls"),
            "the certificate is for nothing: DNS listens on no address for TLS",
            code="unused",
            suggestion='add to [dns]: tls_listen = ["0.0.0.0:853"]',
        )
    for node in draft.nodes:
        taken = {node.bind: "raft", node.api_listen: "the API", **dict.fromkeys(node.dns, "plain DNS")}
        for number, listen in enumerate(node.dns_tls):
            if listen in taken:
                message = f"{node.name}: {taken[listen]} listens on {listen} already"
                findings.error(("dns", "tls_listen", number), message, code="conflict")
            taken[listen] = "DNS over TLS"


def _judge_forward(draft: Draft, findings: Findings) -> None:
    """Questions are not forwarded in a circle, nor for the whole world."""
    table = draft.valid.root.dns
    for number, server in enumerate(table.forward):
        own = next((node for node in draft.nodes if answers_at(node, server)), None)
        if own is not None or is_any(host_of(server)):
            name = "no server" if own is None else f"where {own.name} answers DNS"
            findings.error(
                ("dns", "forward", number),
                f"{server} is {name}: questions would go round in a circle",
                code="loop",
            )
    for number, network in enumerate(table.forward_for):
        if network.prefixlen == 0:
            findings.error(
                ("dns", "forward_for", number),
                f"{network} is everybody: an open resolver is used for attacks on others",
                code="open-resolver",
                suggestion='name your own networks: forward_for = ["10.0.0.0/8"]',
            )


def judge_secrets(dns: DnsSettings, environ: Mapping[str, str], findings: Findings) -> None:
    """Look at the cookie secrets and the certificate; what is not there (yet, or for this user) is a warning."""
    for number, secret in enumerate(dns.cookie_secrets):
        _judge_cookie_secret(secret, ("dns", "cookie_secret", number), environ, findings)
    if dns.tls is None:
        return
    path: KeyPath = ("dns", "tls", "key")
    problem = mode_problem(dns.tls.key, environ)
    try:
        file = dns.tls.key.path(environ)
    except SecretError as error:
        findings.warning(path, str(error), code="secret-missing")
        return
    if file is None:
        findings.error(path, "the key of a certificate is read from a file", suggestion='key = "file:/path"')
    elif problem:
        findings.error(path, problem, code="open-secret")
    elif not file.exists() or not dns.tls.cert.exists():
        missing = dns.tls.cert if file.exists() else file
        findings.warning(path, f"cannot read {missing}: there is no such file", code="secret-missing")
    else:
        _judge_pair(str(dns.tls.cert), str(file), findings)


def _judge_pair(cert: str, key: str, findings: Findings) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or str(error)
        findings.error(
            ("dns", "tls"), f"{cert} and {key} are no certificate and its key: {reason}", code="bad-certificate"
        )


def _judge_cookie_secret(secret: Secret, path: KeyPath, environ: Mapping[str, str], findings: Findings) -> None:
    problem = mode_problem(secret, environ)
    if problem:
        findings.error(path, problem, code="open-secret")
        return
    try:
        cookie_octets(secret, environ)
    except SecretError as error:
        level = findings.error if is_readable(secret, environ) else findings.warning
        level(path, str(error), code="bad-secret", suggestion="openssl rand -hex 16 makes a good one")


def is_readable(secret: Secret, environ: Mapping[str, str]) -> bool:
    """Say whether a secret can be read, whatever it holds."""
    try:
        return bool(secret.read(environ))
    except SecretError:
        return False


def cookie_octets(secret: Secret, environ: Mapping[str, str]) -> bytes:
    """Return the 16 octets of a cookie secret. Raises ``SecretError``."""
    text = secret.read(environ)
    try:
        octets = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        octets = b""
    if len(text) != COOKIE_SECRET_DIGITS or len(octets) * 2 != COOKIE_SECRET_DIGITS:
        raise SecretError(f"the secret {secret} is not {COOKIE_SECRET_DIGITS} hexadecimal digits")
    return octets


DNS_RULES = (_judge_references, _judge_grants, _judge_tls, _judge_forward)
