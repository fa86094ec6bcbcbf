"""What a cluster is to hold, as a file says it, on its way from the command line to a node: JSON, names in base64.

Both ends must be of one shape: a key that only one of them knows would be lost without a word.
"""

import functools
import hashlib

import msgspec

from node.health.service import Service
from node.state.command import PutZone
from node.state.pushes import Target


class BadDesired(ValueError):
    """The octets are not what a node of this version takes; the message says why."""


class Desired(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Zones, services and push targets; a zone without RRsets says nothing of its records."""

    zones: tuple[PutZone, ...] = ()
    services: tuple[Service, ...] = ()
    targets: tuple[Target, ...] = ()


class Request(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is asked of a node with it."""

    shape: str
    desired: Desired
    prune: bool = False
    """Whether what the file does not name goes."""
    plan: str = ""
    """The plan that somebody has agreed to; empty for any."""


@functools.cache
def shape() -> str:
    """Return what is equal in programs that mean the same by the same octets."""
    return hashlib.blake2b(msgspec.json.encode(msgspec.json.schema(Desired)), digest_size=8).hexdigest()


def encode(desired: Desired, *, prune: bool = False, plan: str = "") -> bytes:
    """Write a request."""
    return msgspec.json.encode(Request(shape(), desired, prune, plan))


def decode(octets: bytes) -> Request:
    """Read a request. Raises ``BadDesired``."""
    try:
        told = msgspec.json.decode(octets, type=dict[str, msgspec.Raw]).get("shape", msgspec.Raw(b'""'))
        if msgspec.json.decode(told, type=str) != shape():
            raise BadDesired("it was written by another version of qdns than this node's; use the node's own")
        return msgspec.json.decode(octets, type=Request)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise (
            error if isinstance(error, BadDesired) else BadDesired(f"it is not what qdns writes: {error}")
        ) from None
