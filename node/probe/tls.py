"""TLS for probes: contexts that verify against the service's name, and certificate evidence."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509

_EXPIRED = 10
_NOT_YET_VALID = 9
_SELF_SIGNED = 18
_UNTRUSTED = (19, 20, 21)
_OTHER_NAME = (62, 64)
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_MESSAGE", "PACKET_LENGTH_TOO_LONG")


class _Session(ssl.SSLObject):
    """A TLS session that remembers the certificate it refused, for the evidence."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as error:
            error.not_after = _not_after(self)  # type: ignore[attr-defined]
            raise


def make_context(*, verify: bool, ca_file: Path | None, protocols: tuple[str, ...] = ()) -> ssl.SSLContext:
    """Make a client context: the system's trust store and ``ca_file``, or no verification at all.

    ``protocols`` are offered by ALPN (RFC 7301).

    Raises ``OSError`` or ``ssl.SSLError`` when ``ca_file`` cannot be read.
    """
    if verify:
        context = ssl.create_default_context()
        if ca_file is not None:
            context.load_verify_locations(cafile=str(ca_file))
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(protocols)
    context.sslobject_class = _Session
    return context


def certificate_evidence(error: ssl.SSLError, name: str) -> str:
    """Return one short sentence for a handshake that failed; ``name`` is what was asked for."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _refusal(error, name)
    reason = error.reason or ""
    if reason in _NO_TLS:
        return "no TLS on this port"
    words = reason.replace("_", " ").lower() or str(error)
    return f"TLS failed: {words}"


def _refusal(error: ssl.SSLCertVerificationError, name: str) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        not_after: datetime | None = getattr(error, "not_after", None)
        return f"certificate expired {not_after:%Y-%m-%d}" if not_after else "certificate expired"
    if code == _NOT_YET_VALID:
        return "certificate is not valid yet"
    if code == _SELF_SIGNED:
        return "certificate is self-signed"
    if code in _UNTRUSTED:
        return "certificate is not from a trusted issuer"
    if code in _OTHER_NAME:
        return f"certificate is not for {name}"
    return f"certificate refused: {error.verify_message}"


def _not_after(session: ssl.SSLObject) -> datetime | None:
    """Read the end of validity from a certificate that did not verify.

    ``ssl`` has a public way from Python 3.13 on only; before, its inner object has the same method.
    """
    inner: Any = session if hasattr(session, "get_unverified_chain") else getattr(session, "_sslobj", None)
    try:
        leaf = inner.get_unverified_chain()[0]
        octets = leaf if isinstance(leaf, bytes) else leaf.public_bytes(2)
        return x509.load_der_x509_certificate(octets).not_valid_after_utc
    except (AttributeError, TypeError, IndexError, ValueError):
        return None


def end_of_validity(session: ssl.SSLObject) -> datetime | None:
    """Return when the peer's certificate ends (UTC), None without a readable one."""
    octets = session.getpeercert(binary_form=True)
    try:
        return x509.load_der_x509_certificate(octets).not_valid_after_utc if octets else None
    except ValueError:
        return None


def expiry_warning(session: ssl.SSLObject, days: int) -> str:
    """Return a sentence when the peer's certificate ends within so many days, else an empty text."""
    not_after = end_of_validity(session) if days else None
    if not_after is None or not_after - datetime.now(UTC) > timedelta(days=days):
        return ""
    return f"certificate ends {not_after:%Y-%m-%d}"
