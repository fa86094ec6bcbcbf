"""TLS 1.3 between nodes: both sides show a certificate of the cluster's authority (RFC 8446)."""

import datetime as dt
import ssl
from typing import Final

from cryptography import x509

from raft.certificates import BadCertificate, read_identity
from raft.errors import EXIT_WRONG_SETUP, RaftError
from raft.identity import Certified
from raft.protection import TlsFiles
from raft.refusal import Refusal, Word

_NOT_VALID_NOW: Final = (9, 10)
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""
_WORDS: Final[tuple[tuple[str, Word], ...]] = (
    ("CERTIFICATE_EXPIRED", "expired"),
    ("CERTIFICATE_REQUIRED", "tls"),
    ("RETURN_A_CERTIFICATE", "tls"),
    ("UNKNOWN_CA", "authority"),
    ("BAD_CERTIFICATE", "authority"),
    ("CERTIFICATE_UNKNOWN", "authority"),
    ("CERTIFICATE_VERIFY", "authority"),
    ("DECRYPT_ERROR", "authority"),
)


class TlsContexts:
    """Loads the files of this node. Raises ``RaftError`` if they do not prove that it is ``own``."""

    def __init__(self, files: TlsFiles, own: Certified) -> None:
        self._check_own(files, own)
        self.accepting = _context(ssl.PROTOCOL_TLS_SERVER, files)
        self.accepting.num_tickets = 0
        self.dialling = _context(ssl.PROTOCOL_TLS_CLIENT, files)

    def _check_own(self, files: TlsFiles, own: Certified) -> None:
        try:
            certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
            named = read_identity(certificate)
        except (OSError, ValueError, BadCertificate) as error:
            raise _unusable(f"the certificate {files.certificate}", error) from error
        if named != own:
            raise RaftError(
                f"The certificate {files.certificate} is of the {named.role} {named.node!r} of cluster "
                f"{named.cluster!r}, and this is the {own.role} {own.node!r} of {own.cluster!r}: give this node its own.",
                exit_code=EXIT_WRONG_SETUP,
            )
        now = dt.datetime.now(dt.UTC)
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise RaftError(
                f"The certificate {files.certificate} is valid from {certificate.not_valid_before_utc:%Y-%m-%d} to "
                f"{certificate.not_valid_after_utc:%Y-%m-%d}, and the clock says {now:%Y-%m-%d}: renew it or set the "
                "clock.",
                exit_code=EXIT_WRONG_SETUP,
            )


def certified_peer(connection: ssl.SSLObject) -> Certified:
    """Return who the other side is by its certificate, which TLS has verified. Raises ``Refusal``."""
    der = connection.getpeercert(binary_form=True)
    assert der is not None  # CERT_REQUIRED
    try:
        return read_identity(x509.load_der_x509_certificate(der))
    except (BadCertificate, ValueError) as error:
        raise Refusal("certificate", str(error)) from error


def refusal_of(error: BaseException) -> Refusal | None:
    """Say why TLS failed, in the words of refusals; None if the network broke and nobody was refused."""
    if isinstance(error, ssl.SSLCertVerificationError):
        word: Word = "expired" if error.verify_code in _NOT_VALID_NOW else "authority"
        return Refusal(word, error.verify_message)
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        word = next((word for part, word in _WORDS if part in reason), "tls")
        return Refusal(word, "" if "ALERT" in reason else reason.lower(), by_peer="ALERT" in reason)
    if isinstance(error, ConnectionAbortedError):  # asyncio's word for a handshake that took too long
        return Refusal("slow", "TLS")
    return None


def _context(protocol: int, files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # names stand in the certificate's URI, and are compared by the handshake
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(files.authority)
    except (OSError, ValueError) as error:
        raise _unusable(f"the authority's certificate {files.authority}", error) from error
    try:
        context.load_cert_chain(files.certificate, files.key)
    except (OSError, ValueError) as error:
        raise _unusable(f"the key {files.key}, or it does not fit the certificate", error) from error
    return context


def _unusable(what: str, error: Exception) -> RaftError:
    detail = error.strerror if isinstance(error, OSError) and error.strerror else error
    return RaftError(
        f"The node cannot use {what}: {detail}. Correct the paths, or make certificates for every node anew.",
        exit_code=EXIT_WRONG_SETUP,
    )
