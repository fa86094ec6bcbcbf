"""A network that delays, loses, blocks one way, breaks connections and lets late messages through.

A connection keeps the order of what is sent on it in one direction, as TCP does; bulk keeps its own order.
Beyond TCP, messages about the log itself may get lost, come twice, or come from a connection that was
replaced: the log must not depend on the transport for its safety. Proposals and their answers come at most
once: that is the transport's promise, and the log builds on it.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pysyncobj.transport import Transport

from raft.frames import decode_message, encode_message
from raft.identity import Passport
from raft.library import Node
from raft.refusal import Refusal, Word

Message = dict[str, Any]
AT_MOST_ONCE = frozenset({"propose", "change", "proposed", "read_index", "read_index_reply"})


@dataclass
class Weather:
    """How bad the network is. Probabilities are those of one message."""

    delay_s: tuple[float, float] = (0.0002, 0.002)
    loss: float = 0.0
    duplicate: float = 0.0
    ghost: float = 0.0
    """That a message of a replaced connection is delivered all the same."""
    slow: float = 0.01
    slow_s: float = 0.2


@dataclass(eq=False)
class Wire:
    """A connection between two nodes, or what is left of one."""

    ends: frozenset[str]
    disks: dict[str, int]
    """Which of its disks each end had; see ``Network.disks``."""
    directories: dict[str, str] = field(default_factory=dict)
    """With which each end came."""
    is_broken: bool = False
    last_at: dict[tuple[str, bool], float] = field(default_factory=dict)
    bulk_bytes: dict[str, int] = field(default_factory=dict)
    held: dict[str, list[tuple[bytes, bool]]] = field(default_factory=dict)
    """What waits at a blocked direction, by the node that shall get it."""


class SimTransport(Transport):
    """What one process of a node has of the network."""

    ready = True
    certificate = None

    def __init__(self, network: "Network", own: str, peers: list[Node], passport: Passport) -> None:
        super().__init__(None, None, [])
        self._network = network
        self.own = own
        self.passport = passport
        self.peers = {str(node.id): node for node in peers}
        self.current: dict[str, Wire] = {}
        self.heard: dict[str, float] = {}
        self.closed = False

    def send(self, node: Node, message: Message, *, bulk: bool = False) -> bool:
        wire = self.current.get(str(node.id))
        if wire is None or self.closed:
            return False
        self._network.send(wire, self.own, str(node.id), message, bulk=bulk)
        return True

    def backlog_bytes(self, node: Node) -> int:
        wire = self.current.get(str(node.id))
        return 0 if wire is None else wire.bulk_bytes.get(str(node.id), 0)

    def history_of(self, node: Node) -> str:
        other = self._network.transports.get(str(node.id))
        return other.passport.history() if other is not None and str(node.id) in self.current else ""

    def directory_of(self, node: Node) -> str:
        wire = self.current.get(str(node.id))
        return "" if wire is None else wire.directories[str(node.id)]

    def check_member(self, _name: str, _address: str) -> None:
        pass

    def addNode(self, node: Node) -> None:  # noqa: N802
        self.peers[str(node.id)] = node
        self._network.dial_later(frozenset((self.own, str(node.id))))

    def dropNode(self, node: Node) -> None:  # noqa: N802
        self.peers.pop(str(node.id), None)
        self.current.pop(str(node.id), None)
        self._network.break_wire(frozenset((self.own, str(node.id))))

    def push(self) -> None:
        """What is sent is on its way already."""

    def is_connected(self, node: Node) -> bool:
        return str(node.id) in self.current

    def last_contact(self, node: Node) -> float | None:
        return self.heard.get(str(node.id))

    def destroy(self) -> None:
        self._network.leave(self)

    async def wait_closed(self) -> None:
        pass

    # --- what the network calls, in the node's own loop ------------------------------------------------

    def use(self, peer: str, wire: Wire) -> None:
        if self.closed:
            return
        if peer not in self.peers:  # it was dropped while the connection was made
            self._network.give_up(frozenset((self.own, peer)), wire)
            return
        if self.current.get(peer) is not None:
            self._onNodeDisconnected(self.peers[peer])
        self.current[peer] = wire
        self._onNodeConnected(self.peers[peer])

    def lose(self, peer: str, wire: Wire) -> None:
        if not self.closed and self.current.get(peer) is wire:
            del self.current[peer]
            self._onNodeDisconnected(self.peers[peer])

    def take(self, peer: str, wire: Wire, message: Message, *, ghost: bool) -> None:
        if not self.closed and peer in self.peers and (ghost or self.current.get(peer) is wire):
            self.heard[peer] = self._network.now()
            self._onMessageReceived(self.peers[peer], message)


class Network:
    """All connections of a cluster."""

    def __init__(
        self,
        rng: random.Random,
        weather: Weather,
        now: Callable[[], float],
        at: Callable[[float, Callable[[], None]], None],
        in_node: Callable[[str, Callable[[], None]], None],
    ) -> None:
        self._rng = rng
        self.weather = weather
        self.now = now
        self._at = at
        self._in_node = in_node
        self.transports: dict[str, SimTransport] = {}
        self._wires: dict[frozenset[str], Wire] = {}
        self._blocked: dict[tuple[str, str], int] = {}
        self.messages = 0
        self.disks: Counter[str] = Counter()
        """How often a node came with an empty disk. What was sent before is never delivered after: a connection that
        was replaced is closed before the new one is told of, and a node with another directory has another one."""

    # --- nodes come and go ----------------------------------------------------------------------------

    def join(self, own: str, peers: list[Node], passport: Passport) -> SimTransport:
        transport = self.transports[own] = SimTransport(self, own, peers, passport)
        for peer in sorted(
            {*transport.peers, *(name for name, each in self.transports.items() if own in each.peers)}
        ):
            self.dial_later(frozenset((own, peer)))
        return transport

    def leave(self, transport: SimTransport) -> None:
        """A process ended: its connections break."""
        transport.closed = True
        transport.current.clear()
        if self.transports.get(transport.own) is transport:
            del self.transports[transport.own]
            for ends in [each for each in self._wires if transport.own in each]:
                self.break_wire(ends)

    # --- faults ---------------------------------------------------------------------------------------

    def block(self, source: str, target: str) -> None:
        """Hold everything that goes this way; blocks add up."""
        self._blocked[source, target] = self._blocked.get((source, target), 0) + 1

    def unblock(self, source: str, target: str) -> None:
        """Take one block away; what was held goes on, if its connection still stands."""
        self._blocked[source, target] = max(0, self._blocked.get((source, target), 0) - 1)
        if self.is_blocked(source, target):
            return
        wire = self._wires.get(frozenset((source, target)))
        if wire is not None:
            for payload, bulk in wire.held.pop(target, []):
                self._deliver_later(wire, source, target, payload, bulk=bulk)

    def is_blocked(self, source: str, target: str) -> bool:
        return self._blocked.get((source, target), 0) > 0

    def heal(self) -> None:
        """End all blocks and all weather."""
        for source, target in list(self._blocked):
            while self.is_blocked(source, target):
                self.unblock(source, target)
        self.weather = Weather(delay_s=self.weather.delay_s, slow=0.0)

    def break_wire(self, ends: frozenset[str], notice_s: float = 0.5) -> None:
        """Break the connection; each end notices in its own time, and what was on its way is lost."""
        wire = self._wires.pop(ends, None)
        if wire is None:
            return
        wire.is_broken = True
        for own in sorted(ends):
            (peer,) = ends - {own}
            self._at(self.now() + self._rng.uniform(0, notice_s), lambda o=own, p=peer: self._lose(o, p, wire))
        self.dial_later(ends)

    def give_up(self, ends: frozenset[str], wire: Wire) -> None:
        """Break this connection, unless another has taken its place."""
        if self._wires.get(ends) is wire:
            self.break_wire(ends)

    def _lose(self, own: str, peer: str, wire: Wire) -> None:
        transport = self.transports.get(own)
        if transport is not None:
            self._in_node(own, lambda: transport.lose(peer, wire))

    # --- connections ----------------------------------------------------------------------------------

    def dial_later(self, ends: frozenset[str]) -> None:
        self._at(self.now() + self._rng.uniform(0.01, 0.2), lambda: self._dial(ends))

    def _dial(self, ends: frozenset[str]) -> None:
        first, second = sorted(ends)
        if ends in self._wires or not all(name in self.transports for name in ends):
            return
        if self.is_blocked(first, second) or self.is_blocked(second, first):
            self.dial_later(ends)
            return
        if not all([self._welcomes(first, second), self._welcomes(second, first)]):
            self.dial_later(ends)
            return
        directories = {name: self.transports[name].passport.directory for name in ends}
        disks = {name: self.disks[name] for name in ends}
        wire = self._wires[ends] = Wire(ends, disks, directories)
        for own, peer in ((first, second), (second, first)):
            transport = self.transports[own]
            self._in_node(own, lambda t=transport, p=peer: t.use(p, wire))

    def _welcomes(self, own: str, peer: str) -> bool:
        """Say whether a node would end its handshake with this peer well; if not, tell the peer why."""
        past, other = self.transports[own].passport, self.transports[peer].passport
        recorded = past.recorded_directory(peer)
        is_same_log = "" in (past.history(), other.history()) or past.history() == other.history()
        word: Word | None = None
        if peer not in self.transports[own].peers:
            word = "unknown"
        elif not is_same_log:
            word = "history"
        elif recorded not in ("", other.directory):
            word = "directory"
        elif other.founders() not in ("", past.founders()) and past.founders():
            self._in_node(own, lambda: past.refused(peer, Refusal("founders", peer)))
            return False
        if word is not None and own in self.transports[peer].peers:
            self._in_node(peer, lambda: other.refused(own, Refusal(word, "", by_peer=True)))
        return word is None

    # --- messages -------------------------------------------------------------------------------------

    def send(self, wire: Wire, source: str, target: str, message: Message, *, bulk: bool) -> None:
        self.messages += 1
        payload = encode_message(message)
        log_message = message["type"] not in AT_MOST_ONCE
        if bulk:
            wire.bulk_bytes[target] = wire.bulk_bytes.get(target, 0) + len(payload)
        if self._rng.random() < self.weather.loss:
            if bulk:
                wire.bulk_bytes[target] -= len(payload)
            return
        if wire.is_broken:
            if log_message and self._rng.random() < self.weather.ghost:
                self._at(self._arrival_s(), lambda: self._deliver(wire, source, target, payload, ghost=True))
            return
        self._deliver_later(wire, source, target, payload, bulk=bulk)
        if log_message and self._rng.random() < self.weather.duplicate:
            again_at = self.now() + self._rng.uniform(0, 2.0)
            self._at(again_at, lambda: self._deliver(wire, source, target, payload, ghost=True))

    def _arrival_s(self) -> float:
        weather = self.weather
        delay_s = self._rng.uniform(*weather.delay_s)
        if self._rng.random() < weather.slow:
            delay_s += self._rng.uniform(0, weather.slow_s)
        return self.now() + delay_s

    def _deliver_later(self, wire: Wire, source: str, target: str, payload: bytes, *, bulk: bool) -> None:
        way = (target, bulk)
        arrival_s = max(self._arrival_s(), wire.last_at.get(way, 0.0) + 1e-7)
        wire.last_at[way] = arrival_s
        self._at(arrival_s, lambda: self._arrive(wire, source, target, payload, bulk=bulk))

    def _arrive(self, wire: Wire, source: str, target: str, payload: bytes, *, bulk: bool) -> None:
        if self.is_blocked(source, target) and not wire.is_broken:
            wire.held.setdefault(target, []).append((payload, bulk))
            return
        if bulk:
            wire.bulk_bytes[target] -= len(payload)
        late = wire.is_broken
        if late and (self._rng.random() >= self.weather.ghost or _is_at_most_once(payload)):
            return
        self._deliver(wire, source, target, payload, ghost=late)

    def _deliver(self, wire: Wire, source: str, target: str, payload: bytes, *, ghost: bool) -> None:
        transport = self.transports.get(target)
        if transport is None or (ghost and self.is_blocked(source, target)):
            return
        if any(self.disks[name] != disk for name, disk in wire.disks.items()):
            return
        message = decode_message(memoryview(payload))
        self._in_node(target, lambda: transport.take(source, wire, message, ghost=ghost))


def _is_at_most_once(payload: bytes) -> bool:
    return decode_message(memoryview(payload))["type"] in AT_MOST_ONCE
