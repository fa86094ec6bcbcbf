"""What a lease is on: a name with all below it, an RRset, or one record of it."""

import msgspec

from node.zone.name import Name, is_within

SUBTREE = 0
"""As a type: everything at the name and below it."""


class LeaseKey(msgspec.Struct, frozen=True, array_like=True, order=True):
    """What goes when it is not renewed in time.

    ``rdata`` names one record of the RRset; without it the whole RRset is meant.
    """

    zone: Name
    name: Name
    type: int = SUBTREE
    rdata: bytes = b""

    def covers(self, zone: Name, name: Name, type_: int) -> bool:
        """Say whether an RRset goes, or loses a record, with what this lease is on."""
        if zone != self.zone:
            return False
        return (name, type_) == (self.name, self.type) if self.type else is_within(name, self.name)
