"""How two nodes find out that they are who they say, before either believes a word.

Four frames, the same in every mode: hello and hello back, proof and proof back. With a shared secret
the proof is an HMAC over both hellos, the dialler first, so that a stranger who dials learns nothing he
could try passwords on; the keys of the connection come from an X25519 exchange (RFC 7748) and the secret,
so that a secret stolen later opens no recorded traffic. With TLS the certificates have proved the names
already and the proofs are empty.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from raft.frames import FRAME_BYTES_MAX
from raft.identity import Certified, LocalIdentity, Role
from raft.refusal import CLOCK_SKEW_MAX_S, Refusal
from raft.seal import Opener, Seal, Sealer, Unsealed, derive_seals

PROTOCOL_VERSION: Final = 1
_MAGIC: Final = b"raftlog"
_NONCE_BYTES: Final = 32
_NAME_LENGTH_MAX: Final = 255
_HELLO: Final = 1
_PROOF: Final = 2
_REFUSED: Final = 3


class _Hello(msgspec.Struct, array_like=True, frozen=True):
    cluster: str
    node: str
    meant: str
    role: Role
    instance: bytes
    clock: float
    nonce: bytes
    key: bytes
    directory: str = ""
    history: str = ""
    founders: str = ""


@dataclass(frozen=True, slots=True)
class Established:
    """The result of a handshake: who is there, and the seals of both directions."""

    node: str
    role: Role
    instance: bytes
    sending: Seal
    receiving: Seal
    directory: str = ""
    history: str = ""
    founders: str = ""
    frame_bytes_max: int = FRAME_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Reply:
    """What to send back, and the result once there is one."""

    payloads: tuple[bytes, ...] = ()
    established: Established | None = None


def refusal_payload(refusal: Refusal) -> bytes:
    """Return the payload that tells the other side why it is refused; it holds nothing but a known word."""
    return bytes((_REFUSED,)) + refusal.word.encode()


class Handshake:
    """One side of one handshake; touches no socket.

    ``meant`` is the name of the node dialled, or None for the side that was dialled. ``role_of`` gives the
    configured role of a name, or None for a stranger. ``cluster_key`` is None where no secret is in use.
    """

    def __init__(
        self,
        local: LocalIdentity,
        *,
        meant: str | None,
        role_of: Callable[[str], Role | None],
        cluster_key: bytes | None = None,
        certified: Certified | None = None,
    ) -> None:
        self._local = local
        self._meant = meant
        self._role_of = role_of
        self._cluster_key = cluster_key
        self._certified = certified
        self._private = X25519PrivateKey.generate() if cluster_key is not None else None
        self._sent = b""
        self._peer: _Hello | None = None
        self._transcript = b""
        self._shared = b""
        self._own_proof = b""
        self._awaited: Literal["hello", "proof"] = "hello"

    def start(self) -> bytes:
        """Return the first payload of the side that dialled."""
        assert self._meant is not None
        return self._hello(self._meant)

    def receive(self, payload: bytes) -> Reply:
        """Take the next payload of the other side. Raises ``Refusal``."""
        kind, body = payload[:1], payload[1:]
        if kind == bytes((_REFUSED,)):
            raise Refusal.from_peer(body)
        if kind == bytes((_HELLO,)) and self._awaited == "hello":
            return self._take_hello(payload)
        if kind == bytes((_PROOF,)) and self._awaited == "proof":
            return self._take_proof(body)
        raise Refusal("protocol", _first_octets(payload))

    def _hello(self, meant: str) -> bytes:
        local = self._local
        key = self._private.public_key().public_bytes_raw() if self._private is not None else b""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        past = local.passport
        hello = _Hello(
            local.cluster,
            local.node,
            meant,
            local.role,
            local.instance,
            local.clock(),
            nonce,
            key,
            past.directory,
            past.history(),
            past.founders(),
        )
        body = msgspec.msgpack.encode(hello)
        self._sent = bytes((_HELLO,)) + _MAGIC + bytes((PROTOCOL_VERSION,)) + body
        return self._sent

    def _take_hello(self, payload: bytes) -> Reply:
        hello = _decode_hello(payload)
        self._check(hello)
        self._peer = hello
        self._awaited = "proof"
        own = () if self._meant is not None else (self._hello(hello.node),)
        first, second = (self._sent, payload) if self._meant is not None else (payload, self._sent)
        self._transcript = hashlib.sha256(
            hashlib.sha256(first).digest() + hashlib.sha256(second).digest()
        ).digest()
        self._shared = self._exchange(hello.key)
        if self._meant is None:
            return Reply(own)
        self._own_proof = self._proof(b"dialler", b"")
        return Reply((bytes((_PROOF,)) + self._own_proof,))

    def _take_proof(self, proof: bytes) -> Reply:
        if self._meant is None:
            self._verify(proof, self._proof(b"dialler", b""))
            answer = self._proof(b"acceptor", proof)
            return Reply((bytes((_PROOF,)) + answer,), self._established())
        self._verify(proof, self._proof(b"acceptor", self._own_proof))
        return Reply(established=self._established())

    def _check(self, hello: _Hello) -> None:
        if hello.cluster != self._local.cluster:
            raise Refusal("cluster", hello.cluster)
        if hello.node == self._local.node:
            raise Refusal("own-name", hello.node)
        if hello.meant != self._local.node or (self._meant is not None and hello.node != self._meant):
            raise Refusal("name", hello.node if self._meant is not None else hello.meant)
        role = self._role_of(hello.node)
        if role is None:
            raise Refusal("unknown", hello.node)
        if role != hello.role:
            raise Refusal("role", f"{hello.node} as {hello.role}")
        self._check_certificate(hello)
        if not abs(hello.clock - self._local.clock()) <= CLOCK_SKEW_MAX_S:  # no number is as wrong as a far one
            raise Refusal("clock", f"{hello.clock - self._local.clock():+.0f} s")
        if (self._cluster_key is None) != (hello.key == b""):
            raise Refusal("mode", "a shared secret" if hello.key else "no shared secret")
        self._check_past(hello)

    def _check_past(self, hello: _Hello) -> None:
        """Refuse who comes from another cluster's log, or has forgotten what it promised in this one."""
        past = self._local.passport
        if hello.history and past.history() not in ("", hello.history):
            raise Refusal("history", hello.node)
        recorded = past.recorded_directory(hello.node)
        if recorded and recorded != hello.directory:
            raise Refusal("directory", hello.node)

    def _check_certificate(self, hello: _Hello) -> None:
        if self._certified is None:
            return
        said = Certified(hello.cluster, hello.node, hello.role)
        if said != self._certified:
            raise Refusal("certificate", f"{self._certified.node} ({self._certified.role})")

    def _exchange(self, key: bytes) -> bytes:
        if self._private is None:
            return b""
        try:
            return self._private.exchange(X25519PublicKey.from_public_bytes(key))
        except ValueError:
            raise Refusal("protocol", "a public key that is none") from None

    def _proof(self, side: bytes, other_proof: bytes) -> bytes:
        if self._cluster_key is None:
            return b""
        return hmac.digest(
            self._cluster_key, b"raft proof 1 " + side + b"\0" + self._transcript + other_proof, "sha256"
        )

    def _verify(self, proof: bytes, expected: bytes) -> None:
        if not hmac.compare_digest(proof, expected):
            raise Refusal("secret", "")

    def _established(self) -> Established:
        assert self._peer is not None
        sending: Seal = Unsealed()
        receiving: Seal = Unsealed()
        if self._cluster_key is not None:
            keys = derive_seals(self._shared, self._cluster_key, self._transcript)
            dialled = self._meant is not None
            sending = Sealer(keys.from_dialler if dialled else keys.from_acceptor)
            receiving = Opener(keys.from_acceptor if dialled else keys.from_dialler)
        peer = self._peer
        return Established(
            peer.node, peer.role, peer.instance, sending, receiving, peer.directory, peer.history, peer.founders
        )


def _decode_hello(payload: bytes) -> _Hello:
    start = 1 + len(_MAGIC)
    if payload[1:start] != _MAGIC or len(payload) <= start:
        raise Refusal("protocol", _first_octets(payload))
    if payload[start] != PROTOCOL_VERSION:
        raise Refusal("version", str(payload[start]))
    try:
        hello = msgspec.msgpack.decode(payload[start + 1 :], type=_Hello)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # ValueError: text that is not UTF-8
        raise Refusal("protocol", str(error)) from error
    names = (hello.cluster, hello.node, hello.meant, hello.directory, hello.history, hello.founders)
    if max(len(text) for text in (*names, hello.instance)) > _NAME_LENGTH_MAX:
        raise Refusal("protocol", "a name that is too long")
    return hello


def _first_octets(payload: bytes) -> str:
    return f"first octets {payload[:8].hex() or 'none'}"
