"""What a server's refusal or silence means for a push, and what the operator can do about it."""

import dns.exception
import dns.message
import dns.rcode
import dns.tsig

from node.push.errors import Kind, PushError
from node.zone.name import Name, to_text

_RCODES: dict[int, tuple[Kind, str, str]] = {
    dns.rcode.REFUSED: (
        "permanent",
        "refused",
        "refused {what} for {zone}; is the key allowed to change the zone?",
    ),
    dns.rcode.NOTAUTH: (
        "permanent",
        "not-auth",
        "does not hold {zone}, or does not accept {what} with this key",
    ),
    dns.rcode.NOTZONE: ("permanent", "not-zone", "says that a name is outside of {zone}"),
    dns.rcode.NOTIMP: ("permanent", "not-implemented", "does not know how to do {what}"),
    dns.rcode.FORMERR: ("permanent", "form-error", "could not read {what} for {zone}"),
    dns.rcode.SERVFAIL: ("retryable", "server-failure", "failed to do {what} for {zone}; see its log"),
}
_PEER: dict[str, tuple[str, str]] = {
    "BADKEY": ("bad-key", "does not know the TSIG key (BADKEY)"),
    "BADSIG": ("bad-signature", "has another secret for the TSIG key (BADSIG)"),
    "BADTIME": ("bad-time", "says that the clocks differ (BADTIME); set this machine's clock or its own"),
    "BADTRUNC": ("bad-truncation", "wants a longer signature (BADTRUNC)"),
}
_SIGNATURES: tuple[tuple[type[Exception], str, str], ...] = (
    (dns.tsig.PeerBadKey, *_PEER["BADKEY"]),
    (dns.tsig.PeerBadSignature, *_PEER["BADSIG"]),
    (dns.tsig.PeerBadTime, *_PEER["BADTIME"]),
    (dns.tsig.PeerBadTruncation, *_PEER["BADTRUNC"]),
    (dns.tsig.PeerError, "bad-signature", "did not accept the signature"),
    (dns.tsig.BadSignature, "bad-signature", "signed its answer with another secret"),
    (dns.tsig.BadTime, "bad-time", "signed its answer at a time that is not ours; set the clocks"),
    (dns.tsig.BadKey, "bad-key", "signed its answer with a key that is not known here"),
    (dns.message.UnknownTSIGKey, "bad-key", "signed its answer with a key that is not known here"),
)


def explain_signature(said: str, server: str) -> PushError | None:
    """Return the error that a word of RFC 8945 section 5.3 in a program's output stands for, or None."""
    for word, (code, sentence) in _PEER.items():
        if word in said:
            return PushError("permanent", code, f"{server} {sentence}")
    return None


def explain_rcode(rcode: int, server: str, zone: Name, what: str) -> PushError:
    """Return the error that a refusal stands for."""
    unknown: tuple[Kind, str, str] = (
        "retryable",
        "rcode",
        f"answered {{what}} with {dns.rcode.to_text(dns.rcode.Rcode.make(rcode))}",
    )
    kind, code, sentence = _RCODES.get(rcode, unknown)
    return PushError(kind, code, f"{server} {sentence.format(what=what, zone=to_text(zone))}")


def explain_failure(error: Exception, server: str, zone: Name) -> PushError:
    """Return the error that a failed exchange stands for."""
    if isinstance(error, PushError):
        return error
    for type_, code, sentence in _SIGNATURES:
        if isinstance(error, type_):
            return PushError("permanent", code, f"{server} {sentence}")
    if isinstance(error, TimeoutError | dns.exception.Timeout):
        return PushError("retryable", "silent", f"{server} does not answer")
    if isinstance(error, ConnectionRefusedError):
        return PushError("retryable", "closed", f"{server} refuses connections; is the server running?")
    if isinstance(error, OSError):
        return PushError("retryable", "unreachable", f"{server} cannot be reached: {error.strerror or error}")
    if isinstance(error, dns.exception.DNSException | EOFError | ValueError):
        return PushError(
            "retryable",
            "garbage",
            f"{server} answered {to_text(zone)} with something unreadable ({type(error).__name__})",
        )
    return PushError("retryable", "failed", f"{server}: {type(error).__name__}: {error}")
