"""Which endpoints this node probes: the State's services, compared by value with what is probed now."""

import ipaddress
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from node.health.service import Check, Service
from node.probe.guard import Guard
from node.probe.slot import Plan, Slot, plan_of
from node.state.state import EndpointState, ServiceState, State
from node.zone.name import ROOT, Name

_REFERENCE_INTERVAL_S = 2.0
_REFERENCE_TIMEOUT_S = 1.0
_REFERENCE_RECHECK_S = 0.5
_REFERENCE_FALL = 3


@dataclass(slots=True)
class Changes:
    """What a refresh did to the slots; ``touched`` are those whose replicated votes may have changed."""

    new: list[Slot] = field(default_factory=list)
    gone: list[Slot] = field(default_factory=list)
    replanned: list[Slot] = field(default_factory=list)
    touched: list[Slot] = field(default_factory=list)
    contradicted: list[Slot] = field(default_factory=list)
    """Those on which another node has just voted against this one's opinion."""


class Roster:
    """The slots of this node, by service and address, and its reference targets."""

    def __init__(
        self, node: str, guard: Guard, references: tuple[str, ...], is_local: Callable[[str], bool] | None
    ) -> None:
        self._node = node
        self._guard = guard
        self._is_local = is_local or is_own_address
        self._seen: dict[Name, ServiceState] = {}
        self._slots: dict[Name, dict[str, Slot]] = {}
        self.references = tuple(_reference(text) for text in references)
        for slot in self.references:
            guard.watch(slot, is_reference=True)

    def __len__(self) -> int:
        return sum(len(slots) for slots in self._slots.values())

    def endpoints(self) -> Iterator[Slot]:
        """Yield the slots of endpoints."""
        for slots in self._slots.values():
            yield from slots.values()

    def remote_endpoints(self) -> Iterator[Slot]:
        """Yield the slots of endpoints beyond this node's uplink."""
        return (slot for slot in self.endpoints() if slot.is_remote)

    def find(self, fqdn: Name, address: str) -> Slot | None:
        """Return the slot of an endpoint, None when it is not probed here."""
        return self._slots.get(fqdn, {}).get(address)

    def is_reference(self, slot: Slot) -> bool:
        """Say whether the slot is a reference target, on which nobody votes."""
        return slot.fqdn == ROOT

    def refresh(self, state: State, fqdns: Iterable[Name] | None = None) -> Changes:
        """Follow the State where these services are concerned, or all of them."""
        changes = Changes()
        for fqdn in (*self._seen, *state.services) if fqdns is None else fqdns:
            before, now = self._seen.get(fqdn), state.services.get(fqdn)
            if now is None:
                self._seen.pop(fqdn, None)
                self._drop(self._slots.pop(fqdn, {}), changes)
            elif before is not now:
                self._seen[fqdn] = now
                self._follow(before, now, changes)
        return changes

    def _follow(self, before: ServiceState | None, now: ServiceState, changes: Changes) -> None:
        if before is None or before.service != now.service:
            self._replan(now.service, changes)
        known = dict(before.endpoints) if before else {}
        slots = self._slots[now.service.fqdn]
        for address, endpoint in now.endpoints:
            if address in slots and known.get(address) is not endpoint:
                self._touch(slots[address], endpoint, changes)

    def _touch(self, slot: Slot, endpoint: EndpointState, changes: Changes) -> None:
        changes.touched.append(slot)
        own = slot.opinion.vote
        contrary = (vote.index for name, vote in endpoint.votes if name != self._node and vote.up is not own)
        newest = max(contrary, default=0)
        if own is not None and newest > slot.contradicted_index:
            slot.contradicted_index = newest
            changes.contradicted.append(slot)

    def _replan(self, service: Service, changes: Changes) -> None:
        plan = plan_of(service)
        old = self._slots.get(service.fqdn, {})
        new: dict[str, Slot] = {}
        for endpoint in service.endpoints:
            if endpoint.probe_from and self._node not in endpoint.probe_from:
                continue
            slot = old.get(endpoint.address)
            target = endpoint.probe_address or endpoint.address
            if slot is not None and (slot.plan.check, slot.target) == (plan.check, target):
                del old[endpoint.address]
                if slot.plan != plan:
                    slot.plan = plan
                    changes.replanned.append(slot)
            else:
                is_remote = plan.check.kind != "push" and not self._is_local(target)
                slot = Slot(service.fqdn, endpoint.address, target, plan, is_remote)
                self._guard.watch(slot)
                changes.new.append(slot)
            new[endpoint.address] = slot
        self._slots[service.fqdn] = new
        self._drop(old, changes)

    def _drop(self, slots: dict[str, Slot], changes: Changes) -> None:
        for slot in slots.values():
            slot.is_gone = True
            self._guard.forget(slot)
            changes.gone.append(slot)


def is_own_address(address: str) -> bool:
    """Say whether the address is this machine's own, loopback included: only such can be bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _reference(text: str) -> Slot:
    host, _, port = text.rpartition(":")
    try:
        address = str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]")))
        check = Check("tcp", int(port))
    except ValueError:
        raise ValueError(f"{text} is not a reference target: write it like 192.0.2.1:443") from None
    plan = Plan(check, _REFERENCE_INTERVAL_S, _REFERENCE_TIMEOUT_S, _REFERENCE_RECHECK_S, 1, _REFERENCE_FALL)
    return Slot(ROOT, address, address, plan)
