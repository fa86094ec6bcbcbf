"""Who may change what by UPDATE, and who may have a zone transferred. Pure."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from node.dns.networks import Network, is_in
from node.zone.grant import Grant, grant_from_text
from node.zone.name import Name, to_text
from node.zone.rrset import type_to_text

__all__ = ["LOOPBACK", "Access", "Grant", "grant_from_text"]

LOOPBACK: tuple[Network, ...] = (ipaddress.IPv4Network("127.0.0.0/8"), ipaddress.IPv6Network("::1/128"))


@dataclass(frozen=True, slots=True)
class Access:
    """What clients may do besides asking; keys by name."""

    updates: Mapping[Name, tuple[Grant, ...]] = field(default_factory=dict)
    """UPDATE is for signed requests only."""
    update_keys: frozenset[Name] | None = None
    """Keys that ``allow_update`` lists; None for all that have a grant."""
    update_networks: tuple[Network, ...] | None = None
    """Where updates may come from; None for anywhere."""
    transfer_keys: frozenset[Name] = frozenset()
    transfer_networks: tuple[Network, ...] = LOOPBACK

    def transfer_problem(self, key: Name | None, address: str) -> str | None:
        """Return a sentence that says why a client must not have a zone, or None.

        A verified key that is listed is enough, and so is an address.
        """
        if key is not None and key in self.transfer_keys:
            return None
        if is_in(address, self.transfer_networks):
            return None
        if key is None:
            return f"allow_transfer does not list the address {address}"
        return f"allow_transfer lists neither the key {_key_text(key)} nor the address {address}"

    def updater_problem(self, key: Name, address: str) -> str | None:
        """Return a sentence that says why a client must not change anything, or None."""
        if self.update_networks is not None and not is_in(address, self.update_networks):
            return f"allow_update does not list the address {address}"
        if self.update_keys is not None and key not in self.update_keys:
            return f"allow_update does not list the key {_key_text(key)}"
        return None if self.updates.get(key) else f"the key {_key_text(key)} has no grant"

    def update_problem(self, key: Name, name: Name, type_: int) -> str | None:
        """Return a sentence that says which rule refuses a change, or None."""
        if any(grant.covers(name, type_) for grant in self.updates.get(key, ())):
            return None
        return f"no grant of the key {_key_text(key)} covers {to_text(name)} {type_to_text(type_)}"


def _key_text(key: Name) -> str:
    return to_text(key).removesuffix(".")
