"""A handshake ends well only between two nodes that are who they say and know the secret."""

import os
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft.frames import BadFrame
from raft.handshake import Established, Handshake, refusal_payload
from raft.identity import LocalIdentity, Role
from raft.refusal import Refusal
from raft.seal import stretch_secret

KEY = stretch_secret(b"the secret of the cluster", "c1")


def side(name: str, meant: str | None, key: bytes | None = KEY) -> Handshake:
    roles: dict[str, Role] = {"a": "voter", "b": "voter"}
    local = LocalIdentity("c1", name, "voter", os.urandom(16), lambda: 1.7e9)
    return Handshake(local, meant=meant, role_of=roles.get, cluster_key=key)


Tamper = Callable[[int, bytes], bytes]


def meet(tamper: Tamper = lambda _number, payload: payload) -> tuple[Established | None, Established | None]:
    """Let a dial b; ``tamper`` may change the payload with each number on its way. Raises ``Refusal``."""
    dialler, acceptor = side("a", "b"), side("b", None)
    hello = acceptor.receive(tamper(0, dialler.start()))
    proof = dialler.receive(tamper(1, hello.payloads[0]))
    answer = acceptor.receive(tamper(2, proof.payloads[0]))
    done = dialler.receive(tamper(3, answer.payloads[0]))
    return done.established, answer.established


def test_both_sides_find_the_same_keys() -> None:
    """What one seals the other opens, in both directions, and only in order."""
    a, b = meet()
    assert a is not None
    assert b is not None
    assert ("b", "a") == (a.node, b.node)
    for sender, receiver in ((a, b), (b, a)):
        sealed = [sender.sending.apply(text) for text in (b"one", b"two", b"three")]
        assert b"one" == receiver.receiving.apply(sealed[0])
        with pytest.raises(BadFrame):
            receiver.receiving.apply(sealed[0])
    again, _ = meet()
    assert again is not None
    assert again.sending.apply(b"one") != sealed[0]


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 3), st.data())
def test_no_changed_handshake_ends_well(number: int, data: st.DataObject) -> None:
    """Whatever octet of whatever payload is changed, cut or added: no side that saw it is satisfied."""

    def tamper(current: int, payload: bytes) -> bytes:
        if current != number:
            return payload
        kind = data.draw(st.sampled_from(["flip", "cut", "add", "other"]))
        if kind == "flip":
            position = data.draw(st.integers(0, len(payload) - 1))
            changed = payload[position] ^ data.draw(st.integers(1, 255))
            return payload[:position] + bytes((changed,)) + payload[position + 1 :]
        if kind == "cut":
            return payload[: data.draw(st.integers(0, len(payload) - 1))]
        if kind == "add":
            return payload + data.draw(st.binary(min_size=1, max_size=20))
        return data.draw(st.binary(max_size=200))

    with pytest.raises(Refusal):
        meet(tamper)


def test_a_dialler_without_the_secret_learns_no_proof() -> None:
    """The side that was dialled proves nothing before the dialler has: there is nothing to guess a secret by."""
    acceptor = side("b", None)
    reply = acceptor.receive(side("a", "b", stretch_secret(b"another secret, a guess", "c1")).start())
    assert 1 == len(reply.payloads)
    with pytest.raises(Refusal, match="secret"):
        acceptor.receive(b"\2" + bytes(32))
    assert refusal_payload(Refusal("secret", "detail")) == b"\3secret"


def test_a_recorded_handshake_cannot_be_played_again() -> None:
    """Fresh nonces and keys: the proof of yesterday is none today."""
    recorded: dict[int, bytes] = {}
    meet(recorded.setdefault)
    acceptor = side("b", None)
    acceptor.receive(recorded[0])
    with pytest.raises(Refusal, match="secret"):
        acceptor.receive(recorded[2])


def test_ones_own_words_are_no_proof() -> None:
    """Reflected payloads are refused: each side proves under its own label."""
    dialler = side("a", "b")
    with pytest.raises(Refusal):
        dialler.receive(dialler.start())
    dialler, acceptor = side("a", "b"), side("b", None)
    proof = dialler.receive(acceptor.receive(dialler.start()).payloads[0]).payloads[0]
    with pytest.raises(Refusal, match="secret"):
        dialler.receive(proof)


def test_the_name_is_part_of_the_proof() -> None:
    """A hello under another member's name does not pass with the same secret once its proof was made."""
    acceptor = side("b", None)
    dialler = side("a", "b")
    hello = dialler.start()
    forged = hello.replace(b"\xa1a", b"\xa1b", 1)
    assert forged != hello
    with pytest.raises(Refusal, match="own-name"):
        acceptor.receive(forged)


def test_another_version_is_told_by_its_number() -> None:
    """A later protocol is refused as such, so that an operator knows which side to upgrade."""
    hello = bytearray(side("a", "b").start())
    hello[8] = 2
    with pytest.raises(Refusal) as caught:
        side("b", None).receive(bytes(hello))
    assert "speaks another version" in caught.value.reason
    assert "'2'" in caught.value.reason


def test_a_clock_that_is_no_number_is_refused() -> None:
    """Not a number is as far off as any clock can be."""
    local = LocalIdentity("c1", "a", "voter", b"", lambda: float("nan"))
    hello = Handshake(local, meant="b", role_of=lambda _name: "voter", cluster_key=KEY).start()
    with pytest.raises(Refusal, match="clock"):
        side("b", None).receive(hello)


def test_what_a_stranger_says_is_never_repeated_at_length() -> None:
    """Text from strangers reaches the log quoted and short."""
    refusal = Refusal("cluster", "x\n" * 1000)
    assert len(refusal.reason) < 400
    assert "\n" not in refusal.reason
    assert "known reason" in Refusal.from_peer(b"\x1b[31mroot").reason
