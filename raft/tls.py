"""TLS 1.3 between nodes: both sides show a certificate of the cluster's authority (RFC 8446)."""

import datetime as dt
import ssl
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from raft.certificates import BadCertificate, is_issued_by, read_identity
from raft.errors import EXIT_WRONG_SETUP, RaftError
from raft.identity import Certified
from raft.protection import TlsFiles
from raft.refusal import Refusal, Word

_NOT_YET_VALID: Final = 9
_HAS_EXPIRED: Final = 10
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""
_WORDS: Final[tuple[tuple[str, Word], ...]] = (
    ("CERTIFICATE_EXPIRED", "expired"),
    ("CERTIFICATE_REQUIRED", "tls"),
    ("RETURN_A_CERTIFICATE", "tls"),
    ("UNKNOWN_CA", "authority"),
    ("BAD_CERTIFICATE", "early"),  # OpenSSL's alert for a certificate that is not valid yet
    ("CERTIFICATE_UNKNOWN", "authority"),
    ("CERTIFICATE_VERIFY", "authority"),
    ("DECRYPT_ERROR", "authority"),
)
REFUSED_BYTES_MAX: Final = 1024 * 1024
_FINGERPRINT_DIGITS: Final = 64


class TlsContexts:
    """What the files of a node say, read once. Raises ``RaftError`` if they do not prove that it is ``own``."""

    def __init__(self, files: TlsFiles, own: Certified) -> None:
        self.certificate = self._check_own(files, own)
        self.authorities = _read_authorities(files.authority)
        self._check_issuer(files)
        self.refused = read_refused(files.refused) if files.refused is not None else frozenset()
        """SHA-256 fingerprints of certificates that are trusted no more."""
        self.accepting = _context(ssl.PROTOCOL_TLS_SERVER, files)
        self.accepting.num_tickets = 0
        self.dialling = _context(ssl.PROTOCOL_TLS_CLIENT, files)

    def certified(self, connection: ssl.SSLObject) -> Certified:
        """Return who the other side is by its certificate, if that is trusted now. Raises ``Refusal``."""
        der = connection.getpeercert(binary_form=True)
        assert der is not None  # CERT_REQUIRED
        try:
            certificate = x509.load_der_x509_certificate(der)
            who = read_identity(certificate)
        except (BadCertificate, ValueError) as error:
            raise Refusal("certificate", str(error)) from error
        if fingerprint(certificate) in self.refused:
            raise Refusal("revoked", f"{who.node}, {fingerprint(certificate)[:16]}")
        if not any(is_issued_by(certificate, each) for each in self.authorities):
            raise Refusal("authority", who.node)  # trusted when the connection began, and no more
        return who

    def _check_own(self, files: TlsFiles, own: Certified) -> x509.Certificate:
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
        _check_time(files, certificate)
        return certificate

    def _check_issuer(self, files: TlsFiles) -> None:
        if not any(is_issued_by(self.certificate, each) for each in self.authorities):
            raise RaftError(
                f"The certificate {files.certificate} was not made by the authority in {files.authority}: give "
                "this node the ca.pem and the certificate of the same cluster.",
                exit_code=EXIT_WRONG_SETUP,
            )


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate in lower-case hexadecimal, as ``openssl x509 -fingerprint -sha256`` does."""
    return certificate.fingerprint(SHA256()).hex()


def read_refused(path: Path) -> frozenset[str]:
    """Read fingerprints, one a line, colons and what follows ``#`` left out. Raises ``RaftError``."""
    found = set()
    try:
        with path.open("rb") as file:
            octets = file.read(REFUSED_BYTES_MAX + 1)
    except OSError as error:
        raise _unusable(f"the list of refused certificates {path}", error) from error
    if len(octets) > REFUSED_BYTES_MAX:
        raise _bad_refused(path, f"has more than {REFUSED_BYTES_MAX} octets")
    for number, line in enumerate(octets.decode("utf-8", "replace").splitlines(), 1):
        digits = line.partition("#")[0].strip().replace(":", "").lower()
        if digits and (len(digits) != _FINGERPRINT_DIGITS or not set(digits) <= set("0123456789abcdef")):
            raise _bad_refused(path, f"has no SHA-256 fingerprint in line {number}")
        found.add(digits)
    return frozenset(found - {""})


def refusal_of(error: BaseException) -> Refusal | None:
    """Say why TLS failed, in the words of refusals; None if the network broke and nobody was refused."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Refusal(_verification_word(error.verify_code), error.verify_message)
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        word: Word = next((word for part, word in _WORDS if part in reason), "tls")
        return Refusal(word, "" if "ALERT" in reason else reason.lower(), by_peer="ALERT" in reason)
    if isinstance(error, ConnectionAbortedError):  # asyncio's word for a handshake that took too long
        return Refusal("slow", "TLS")
    return None


def _verification_word(code: int) -> Word:
    if code == _NOT_YET_VALID:
        return "early"
    return "expired" if code == _HAS_EXPIRED else "authority"


def _check_time(files: TlsFiles, certificate: x509.Certificate) -> None:
    now = dt.datetime.now(dt.UTC)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if begins <= now <= ends:
        return
    what = (
        "it has expired: renew it, on the machine that keeps the authority's key, by qdns init --renew NODE"
        if now > ends
        else "it is not valid yet: set the clock of this machine, by NTP"
    )
    raise RaftError(
        f"The certificate {files.certificate} is valid from {begins:%Y-%m-%d} to {ends:%Y-%m-%d}, and the clock says "
        f"{now:%Y-%m-%d}; {what}.",
        exit_code=EXIT_WRONG_SETUP,
    )


def _read_authorities(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _unusable(f"the authority's certificate {path}", error) from error


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
        files.key.open("rb").close()
    except OSError as error:
        raise _unusable(f"the key {files.key}", error) from error
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except (OSError, ValueError) as error:
        raise _unusable(f"the key {files.key}, or it does not fit the certificate", error) from error
    return context


def _no_password() -> bytes:
    raise ValueError("it is locked by a password, and a node has nobody to ask")


def _bad_refused(path: Path, what: str) -> RaftError:
    return RaftError(
        f"The list of refused certificates {path} {what}: write one a line, as openssl x509 -noout -fingerprint -sha256 "
        "prints it behind the equals sign.",
        exit_code=EXIT_WRONG_SETUP,
    )


def _unusable(what: str, error: Exception) -> RaftError:
    detail = error.strerror if isinstance(error, OSError) and error.strerror else error
    return RaftError(
        f"The node cannot use {what}: {detail}. Correct the path or who may read it, or make the file anew by qdns init.",
        exit_code=EXIT_WRONG_SETUP,
    )
