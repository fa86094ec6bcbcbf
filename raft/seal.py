"""What protects frames between two nodes that share a secret: keys for one connection, and order.

Each direction has its own ChaCha20-Poly1305 key (RFC 8439) and a counter as nonce. A frame that is
changed, repeated, left out or out of order does not open, and the connection ends.
"""

import hashlib
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from raft.frames import BadFrame

KEY_BYTES: Final = 32
SEAL_BYTES: Final = 16
"""What sealing adds to a payload."""


class Seal(Protocol):
    """Turns the payloads of one direction of a connection into what goes over the wire, or back."""

    def apply(self, payload: bytes) -> bytes:
        """Seal or open the next payload of this direction. Raises ``BadFrame`` when it does not open."""


class Unsealed:
    """Leaves payloads as they are: TLS protects them, or they never leave this machine."""

    def apply(self, payload: bytes) -> bytes:
        """Return the payload."""
        return payload


class _Counter:
    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)
        self._number = 0

    def _nonce(self) -> bytes:
        self._number += 1
        return self._number.to_bytes(12, "big")


class Sealer(_Counter):
    """Seals what is sent."""

    def apply(self, payload: bytes) -> bytes:
        """Return the payload encrypted under the next number."""
        return self._cipher.encrypt(self._nonce(), payload, None)


class Opener(_Counter):
    """Opens what is received."""

    def apply(self, payload: bytes) -> bytes:
        """Return the payload decrypted under the next number. Raises ``BadFrame``."""
        try:
            return self._cipher.decrypt(self._nonce(), payload, None)
        except InvalidTag:
            raise BadFrame("a frame that was changed, repeated or out of order") from None


@dataclass(frozen=True, slots=True)
class SealPair:
    """The keys of one connection, by the direction of what they protect."""

    from_dialler: bytes
    from_acceptor: bytes


def stretch_secret(secret: bytes, cluster: str) -> bytes:
    """Return the key of a cluster with this secret; slow on purpose (scrypt, RFC 7914), so run it once."""
    salt = b"raft cluster key 1\0" + cluster.encode()
    return hashlib.scrypt(secret, salt=salt, n=1 << 14, r=8, p=1, dklen=KEY_BYTES)


def derive_seals(shared: bytes, cluster_key: bytes, transcript: bytes) -> SealPair:
    """Return the keys of the connection whose handshake has this digest (HKDF, RFC 5869)."""
    kdf = HKDF(algorithm=SHA256(), length=2 * KEY_BYTES, salt=transcript, info=b"raft frames 1")
    keys = kdf.derive(shared + cluster_key)
    return SealPair(keys[:KEY_BYTES], keys[KEY_BYTES:])
