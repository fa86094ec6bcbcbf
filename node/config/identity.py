"""Telling which node of the file runs here."""

import errno
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from node.config.addresses import host_of
from node.config.messages import did_you_mean
from node.config.model import Node, NodeSource


class NoIdentity(Exception):
    """It cannot be told which node this is; the message names the candidates."""

    def __init__(self, message: str, suggestion: str, *, is_wish: bool = False) -> None:
        self.suggestion = suggestion
        self.is_wish = is_wish
        """Somebody named a node that there is not."""
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Identity:
    """The node that runs here, and what decided that."""

    node: Node
    source: NodeSource


def choose(
    nodes: Sequence[Node],
    flag: str | None,
    environ: Mapping[str, str],
    in_file: str = "",
    is_own: Callable[[str], bool] | None = None,
) -> Identity:
    """Find this node: ``--node``, LOCAL_NODE, what the file says, the only node, or by address.

    A wish is a node's name, or the ``ip:port`` of its raft or api address. Raises ``NoIdentity``.
    """
    if flag:
        return Identity(_wished(nodes, flag, "--node"), "flag")
    if environ.get("LOCAL_NODE"):
        return Identity(_wished(nodes, environ["LOCAL_NODE"], "LOCAL_NODE"), "environment")
    if in_file:
        return Identity(_wished(nodes, in_file, "local_node"), "file")
    if len(nodes) == 1:
        return Identity(nodes[0], "only")
    return Identity(_by_address(nodes, is_own or is_own_address), "address")


def is_own_address(address: str) -> bool:
    """Say whether an address is one of this machine's, by binding a UDP port to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError as error:
        return error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True


def _wished(nodes: Sequence[Node], wish: str, by: str) -> Node:
    addresses = {each.name: (each.name, each.raft, each.api.partition("://")[2]) for each in nodes}
    found = [each for each in nodes if wish in addresses[each.name]]
    if len(found) == 1:
        return found[0]
    names = [each.name for each in nodes]
    raise NoIdentity(
        f'{by} is "{wish}", which is no node of this file (its name, or ip:port of raft or api)',
        did_you_mean(wish, names) or f"nodes here: {', '.join(names)}",
        is_wish=True,
    )


def _by_address(nodes: Sequence[Node], is_own: Callable[[str], bool]) -> Node:
    found = [each for each in nodes if is_own(host_of(each.raft))]
    if len(found) == 1:
        return found[0]
    if found:
        candidates = ", ".join(f"{each.name} ({each.raft})" for each in found)
        raise NoIdentity(
            f"which node is this? {len(found)} nodes have an address of this machine: {candidates}",
            f"say it: --node {found[0].name}, or LOCAL_NODE={found[0].name} in the environment",
        )
    candidates = ", ".join(f"{each.name} ({each.raft})" for each in nodes)
    raise NoIdentity(
        f"which node is this? no node has an address of this machine: {candidates}",
        f"say it: --node {nodes[0].name}, or LOCAL_NODE={nodes[0].name} in the environment",
    )
