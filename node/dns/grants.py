"""Who may change what by UPDATE, and who may have a zone transferred. Pure."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from node.zone.name import Name, from_text, iter_labels, to_text
from node.zone.rrset import type_from_text, type_to_text

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Grant:
    """Names and types that a key may change.

    A label ``*`` stands for any one label, ``**`` in front for any number of them, none included.
    """

    pattern: tuple[bytes, ...]
    types: frozenset[int]
    """Empty for every type."""

    def covers(self, name: Name, type_: int) -> bool:
        """Say whether a change of this RRset is allowed; type 255 means all types at the name."""
        if self.types and type_ not in self.types:
            return False
        labels = tuple(iter_labels(name))
        pattern = self.pattern
        if pattern[:1] == (b"**",):
            pattern = pattern[1:]
            if len(labels) < len(pattern):
                return False
            labels = labels[len(labels) - len(pattern) :]
        return len(labels) == len(pattern) and all(
            expected in (b"*", label) for label, expected in zip(labels, pattern, strict=True)
        )


def grant_from_text(text: str) -> Grant:
    """Read ``_acme-challenge.*.example.com TXT``: a name, then types, none for all. Raises ``ValueError``."""
    words = text.split()
    if not words:
        raise ValueError("a grant has a name, and types unless it is for all of them")
    pattern = tuple(iter_labels(from_text(words[0])))
    return Grant(pattern, frozenset(type_from_text(word) for word in words[1:]))


@dataclass(frozen=True, slots=True)
class Access:
    """What clients may do besides asking; keys by name."""

    updates: Mapping[Name, tuple[Grant, ...]] = field(default_factory=dict)
    """UPDATE is for signed requests only."""
    transfer_keys: frozenset[Name] = frozenset()
    transfer_networks: tuple[Network, ...] = (
        ipaddress.IPv4Network("127.0.0.0/8"),
        ipaddress.IPv6Network("::1/128"),
    )

    def may_transfer(self, key: Name | None, address: str) -> bool:
        """Say whether a client with this verified key, or from this address, may have a zone."""
        if key is not None and key in self.transfer_keys:
            return True
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self.transfer_networks)

    def update_problem(self, key: Name, name: Name, type_: int) -> str | None:
        """Return a sentence that says which rule refuses a change, or None."""
        grants = self.updates.get(key)
        key_text = to_text(key).removesuffix(".")
        if not grants:
            return f"the key {key_text} has no grant"
        if any(grant.covers(name, type_) for grant in grants):
            return None
        return f"no grant of the key {key_text} covers {to_text(name)} {type_to_text(type_)}"
