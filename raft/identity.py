"""Who nodes are: names, roles and addresses, and what one says of itself when it meets another."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from pysyncobj.node import Node

from raft.errors import EXIT_WRONG_SETUP, RaftError
from raft.refusal import Refusal

Role = Literal["voter", "replica", "admin"]
"""What a node may do: vote and hold the log; hold the log only; administer, and be no node."""

ROLES: Final[tuple[Role, ...]] = ("voter", "replica", "admin")


@dataclass(frozen=True, slots=True)
class Passport:
    """What a node shows of its past, and remembers of others'."""

    directory: str = ""
    """Identity of its data directory."""
    history: Callable[[], str] = lambda: ""
    """Which log it is committed to; empty for none yet."""
    founders: Callable[[], str] = lambda: ""
    """With whom it would found a cluster; empty once there is a log it is committed to."""
    recorded_directory: Callable[[str], str] = lambda _name: ""
    """The data directory with which a node is known; empty when that is not known."""
    refused: Callable[[str, Refusal], None] = lambda _name, _refusal: None
    """Told of every refusal of, or by, a node whose name is known."""


@dataclass(frozen=True, slots=True)
class LocalIdentity:
    """What this process says of itself to every node it meets."""

    cluster: str
    node: str
    role: Role
    instance: bytes
    """Random octets of this process: tells a node that was started anew from two nodes under one name."""
    clock: Callable[[], float]
    """Wall clock, seconds since 1970."""
    passport: Passport = Passport()


@dataclass(frozen=True, slots=True)
class Certified:
    """Who the peer is by its certificate."""

    cluster: str
    node: str
    role: Role


def peer_node(name: str, address: str, role: Role = "voter") -> Node:
    """Return the library's node of this name; the transport reads ``id``, ``address`` and ``role``.

    Raises ``RaftError`` if the address is not ``IP:PORT``.
    """
    parse_address(address)
    return Node(name, address=address, role=role)


def parse_address(text: str) -> tuple[str, int]:
    """Split ``192.0.2.1:7300`` or ``[2001:db8::1]:7300``. Raises ``RaftError``; host names are no addresses."""
    host, _, port = text.rpartition(":")
    try:
        ip = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        number = int(port)
    except ValueError:
        ip, number = ipaddress.ip_address("::"), -1
    if not 0 <= number <= 65535:
        raise RaftError(
            f"{text!r} is not the address of a node: write an IP address and a port, like 192.0.2.1:7300 "
            "or [2001:db8::1]:7300.",
            exit_code=EXIT_WRONG_SETUP,
        )
    return str(ip), number


def is_loopback(address: str) -> bool:
    """Tell whether this ``IP:PORT`` is reachable from this machine only. Raises ``RaftError`` if it is no address."""
    host, _ = parse_address(address)
    return ipaddress.ip_address(host).is_loopback
