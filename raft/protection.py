"""How connections between nodes are protected: a shared secret, certificates, or this machine's walls."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from raft.errors import EXIT_WRONG_SETUP, RaftError
from raft.identity import is_loopback

SECRET_BYTES_MIN: Final = 16


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """Every node of the cluster holds the same octets; at least 16 of them."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the certificates of the cluster's authority, and this node's certificate and key.

    While an authority is replaced by another one, both stand in one file.
    """

    authority: Path
    certificate: Path
    key: Path
    refused: Path | None = None
    """SHA-256 fingerprints of certificates that are trusted no more, one a line."""


@dataclass(frozen=True, slots=True)
class LoopbackOnly:
    """No proof of identity; allowed while every address is one of this machine alone."""


Protection = SharedSecret | TlsFiles | LoopbackOnly


def check_protection(protection: Protection, addresses: tuple[str, ...]) -> None:
    """Raise ``RaftError`` if the protection does not suffice for nodes at these addresses."""
    if isinstance(protection, SharedSecret) and len(protection.octets) < SECRET_BYTES_MIN:
        raise RaftError(
            f"The shared secret of the cluster has {len(protection.octets)} octets; give at least "
            f"{SECRET_BYTES_MIN}, best made by a random generator.",
            exit_code=EXIT_WRONG_SETUP,
        )
    if isinstance(protection, LoopbackOnly):
        for address in addresses:
            if not is_loopback(address):
                raise RaftError(
                    f"The node address {address} can be reached from other machines, but nodes neither share a "
                    "secret nor have certificates: configure one of the two, or use a loopback address.",
                    exit_code=EXIT_WRONG_SETUP,
                )
