"""Certificates of a cluster: its own authority, one certificate for each node, and one for each node's HTTP API.

Who a node is stands in one URI of its certificate, ``raft://CLUSTER/ROLE/NODE``, percent-encoded: a name
alone would let the certificate of one cluster or role stand for another of the same name.
"""

import datetime as dt
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import quote, unquote

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from raft.identity import ROLES, Certified

AUTHORITY_DAYS: Final = 3650
NODE_DAYS: Final = 825
_BACKDATED: Final = dt.timedelta(hours=1)
"""Certificates count from a little before they are made: the clocks of the nodes differ."""
_COMMON_NAME_LENGTH_MAX: Final = 64


class BadCertificate(Exception):
    """The certificate says of nobody in a cluster who that is; the message says why."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, both in PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def make_authority(cluster: str, *, days: int = AUTHORITY_DAYS, now: Callable[[], dt.datetime] = _now) -> Pair:
    """Make the authority of a new cluster; its key can make any node and belongs offline."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"{cluster} authority")
    builder = _begin(name, name, key, now(), days)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs=True), critical=True)
    return _pair(builder.sign(key, SHA256()), key)


def issue(
    authority: Pair,
    who: Certified,
    *,
    days: int = NODE_DAYS,
    now: Callable[[], dt.datetime] = _now,
) -> Pair:
    """Make key and certificate of a node. Raises ``ValueError`` if the authority's PEM cannot be read."""
    usages = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)
    return _issue(authority, who.node, [x509.UniformResourceIdentifier(_uri(who))], usages, now(), days)


def issue_server(
    authority: Pair,
    name: str,
    hosts: Sequence[str],
    *,
    days: int = NODE_DAYS,
    now: Callable[[], dt.datetime] = _now,
) -> Pair:
    """Make key and certificate of a server that clients know by these names and addresses. Raises ``ValueError``.

    It names no node and may not be shown by a client, so it opens no connection between nodes; nor does the
    certificate of a node serve here, because it has no such name.
    """
    if not hosts:
        raise ValueError(f"no name or address of {name} is given")
    return _issue(authority, name, [*map(_host, hosts)], (ExtendedKeyUsageOID.SERVER_AUTH,), now(), days)


def hosts_in(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the names and addresses by which clients know the server that a certificate is of."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    addresses = names.get_values_for_type(x509.IPAddress)
    return (*map(str, addresses), *names.get_values_for_type(x509.DNSName))


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _issue(
    authority: Pair,
    name: str,
    names: list[x509.GeneralName],
    usages: tuple[x509.ObjectIdentifier, ...],
    now: dt.datetime,
    days: int,
) -> Pair:
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    issuer_key = cast(
        "ec.EllipticCurvePrivateKey", serialization.load_pem_private_key(authority.key, password=None)
    )
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _begin(_name(name), issuer.subject, key, now, days)
    for extension, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(signs=False), True),
        (x509.SubjectAlternativeName(names), False),
        (x509.ExtendedKeyUsage(usages), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    return _pair(builder.sign(issuer_key, SHA256()), key)


def read_identity(certificate: x509.Certificate) -> Certified:
    """Return who the certificate names. Raises ``BadCertificate`` unless it names exactly one node."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, ValueError):
        raise BadCertificate("it has no alternative name") from None
    found = [each for each in map(_parse, uris) if each is not None]
    if len(found) != 1:
        raise BadCertificate(f"it names {len(found)} nodes in raft:// addresses and must name one")
    return found[0]


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Tell whether the authority's key signed the certificate; nothing is said of names beyond it, or of times."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _uri(who: Certified) -> str:
    return f"raft://{quote(who.cluster, safe='')}/{who.role}/{quote(who.node, safe='')}"


def _parse(uri: str) -> Certified | None:
    scheme, _, rest = uri.partition("://")
    parts = rest.split("/")
    if scheme != "raft" or len(parts) != 3:
        return None
    for role in ROLES:
        if role == parts[1]:
            return Certified(unquote(parts[0]), unquote(parts[2]), role)
    return None


def _begin(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: dt.datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:_COMMON_NAME_LENGTH_MAX])])


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
