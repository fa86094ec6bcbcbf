"""Signed messages (TSIG, RFC 8945). Pure: the caller brings the time.

dnspython can sign and verify too, but reads the clock itself and knows no truncated MACs; what is needed is short.
"""

import hmac
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from node.dns.query import HEADER_OCTETS, TSIG
from node.dns.records import BadRecord, read_name
from node.zone.name import Name, from_text, to_text

BADSIG, BADKEY, BADTIME = 16, 17, 18
FUDGE_S = 300
_ANY = 255
_TRUNCATED_OCTETS_MIN = 10
_DIGESTS = {from_text(f"hmac-{digest}"): digest for digest in ("sha1", "sha224", "sha256", "sha384", "sha512")}


@dataclass(frozen=True, slots=True)
class Key:
    """A secret shared with someone. ``algorithm`` is ``hmac-sha256`` or one of its brothers, as a name."""

    name: Name
    algorithm: Name
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a signed request means for its answer.

    ``key`` is None when it is not known; ``error`` is 0 when all is well, else a TSIG error.
    """

    key: Key | None
    key_name: Name
    algorithm: Name
    mac: bytes
    time_s: int
    original_id: int
    error: int = 0
    now_s: int = 0


class Unsigned(Exception):
    """The TSIG record cannot be read, or its MAC has an impossible length: a format error."""


def is_algorithm(name: Name) -> bool:
    """Say whether keys of this algorithm can be used."""
    return name in _DIGESTS


def verify(packet: bytes, start: int, keys: Mapping[Name, Key], now_s: int) -> Signature:
    """Check the TSIG record that starts at an octet of a request (section 5.2). Raises ``Unsigned``."""
    name, algorithm, time_s, fudge_s, mac, original_id, error, other = _read(packet, start)
    key = keys.get(name)
    if key is None or key.algorithm != algorithm:
        return Signature(None, name, algorithm, b"", time_s, original_id, BADKEY)
    unsigned = original_id.to_bytes(2, "big") + packet[2:10] + _one_less(packet[10:12]) + packet[12:start]
    variables = _variables(key, time_s, fudge_s, error, other)
    good = _mac(key, unsigned + variables)
    if len(mac) > len(good) or len(mac) < max(_TRUNCATED_OCTETS_MIN, len(good) // 2):
        raise Unsigned
    if not hmac.compare_digest(mac, good[: len(mac)]):
        return Signature(None, name, algorithm, b"", time_s, original_id, BADSIG)
    if abs(now_s - time_s) > fudge_s:
        return Signature(key, name, algorithm, mac, time_s, original_id, BADTIME, now_s)
    return Signature(key, name, algorithm, mac, time_s, original_id)


class Signer:
    """Signs the answer to a request, or each message of a long answer in its order (section 5.3)."""

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self._previous_mac = signature.mac
        self._is_first = True

    @property
    def octets(self) -> int:
        """How much a signature adds to a message at most."""
        mac_octets = 64 if self.signature.key is not None else 0
        return len(self.signature.key_name) + len(self.signature.algorithm) + mac_octets + 32

    def sign(self, message: bytes, now_s: int) -> bytes:
        """Return the message with its TSIG record; an unknown key or a bad MAC are told without a MAC."""
        signature = self.signature
        other = b"" if signature.error != BADTIME else signature.now_s.to_bytes(6, "big")
        time_s = signature.time_s if signature.error else now_s
        mac = b""
        if signature.key is not None:
            if self._is_first:
                end = _variables(signature.key, time_s, FUDGE_S, signature.error, other)
            else:
                end = _timers(time_s, FUDGE_S)
            previous = self._previous_mac
            before = len(previous).to_bytes(2, "big") + previous if previous else b""
            mac = _mac(signature.key, before + message + end)
        self._previous_mac, self._is_first = mac, False
        rdata = b"".join(
            (
                signature.algorithm,
                _timers(time_s, FUDGE_S),
                len(mac).to_bytes(2, "big"),
                mac,
                struct.pack("!HHH", signature.original_id, signature.error, len(other)),
                other,
            )
        )
        record = signature.key_name + struct.pack("!HHIH", TSIG, _ANY, 0, len(rdata)) + rdata
        count = int.from_bytes(message[10:12], "big") + 1
        return message[:10] + count.to_bytes(2, "big") + message[HEADER_OCTETS:] + record


def signed_request(message: bytes, key: Key, now_s: int) -> bytes:
    """Return a request of ours with its TSIG record."""
    own = Signature(key, key.name, key.algorithm, b"", now_s, int.from_bytes(message[:2], "big"))
    return Signer(own).sign(message, now_s)


def name_text(name: Name) -> str:
    """Write a key's name as people do, without the final dot."""
    return to_text(name).removesuffix(".")


def _read(packet: bytes, start: int) -> tuple[Name, Name, int, int, bytes, int, int, bytes]:
    """Read a TSIG record (section 4.2)."""
    try:
        name, position = read_name(packet, start)
        position += 10
        begin = position
        algorithm, position = read_name(packet, begin)
        if position - begin != len(algorithm):  # compressed, which it never is
            raise Unsigned
        high, low, fudge_s, mac_length = struct.unpack_from("!HIHH", packet, position)
        position += 10
        mac = packet[position : position + mac_length]
        position += mac_length
        original_id, error, other_length = struct.unpack_from("!HHH", packet, position)
    except (BadRecord, struct.error):
        raise Unsigned from None
    other = packet[position + 6 :]
    if len(other) != other_length:
        raise Unsigned
    return name, algorithm, high << 32 | low, fudge_s, mac, original_id, error, other


def _one_less(count: bytes) -> bytes:
    return (int.from_bytes(count, "big") - 1).to_bytes(2, "big")


def _timers(time_s: int, fudge_s: int) -> bytes:
    return time_s.to_bytes(6, "big") + fudge_s.to_bytes(2, "big")


def _variables(key: Key, time_s: int, fudge_s: int, error: int, other: bytes) -> bytes:
    """Return what is signed besides the message (section 4.3.3)."""
    fixed = struct.pack("!HI", _ANY, 0)
    end = struct.pack("!HH", error, len(other)) + other
    return key.name + fixed + key.algorithm + _timers(time_s, fudge_s) + end


def _mac(key: Key, octets: bytes) -> bytes:
    return hmac.digest(key.secret, octets, _DIGESTS[key.algorithm])
