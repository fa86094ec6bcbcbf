"""What the carriers of all APIs share: names in an API's writing, and the walk for APIs of single records."""

import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from node.push.errors import PushError
from node.push.orders import TTL_OPEN, Key, Replacement
from node.push.providers.http import HttpApi
from node.push.wire import canonical_rdata
from node.zone.name import Name, relative_text, to_text
from node.zone.rrset import AAAA, A, BadRdata, RRset, make, rdata_from_text, rdata_to_text, type_to_text

FEW_KEYS = 4
"""So many RRsets are asked for one by one; for more the whole zone is listed."""


class Provider:
    """An API as a carrier; see ``node.push.delivery.Carrier``."""

    fences = False
    ttl_min = 0

    def __init__(self, api: HttpApi) -> None:
        self.api = api

    def close(self) -> None:
        """Close the connections."""
        self.api.close()

    async def serial(self, zone: Name) -> int | None:  # noqa: ARG002
        """Return None: most APIs do not tell a serial."""
        return None

    async def least_ttl(self, zone: Name) -> int:  # noqa: ARG002
        """Return the lowest ttl that the service takes, in seconds."""
        return self.ttl_min

    async def confirm(self, zone: Name, present: Mapping[Key, RRset]) -> dict[Key, RRset]:  # noqa: ARG002
        """Return all: an API lists records, a wildcard's answers are not among them."""
        return dict(present)


def zone_text(zone: Name) -> str:
    """Return the zone's name without final dot, fit for a path."""
    return quote(to_text(zone).rstrip("."), safe="")


def host_text(name: Name) -> str:
    """Return a name without its final dot."""
    return to_text(name).rstrip(".")


def node_text(name: Name, zone: Name, apex: str = "@") -> str:
    """Return a name relative to its zone; ``apex`` is how the API calls the zone's own name."""
    return apex if name == zone else relative_text(name, zone)


def parsed(name: Name, type_: int, ttl: int, texts: Iterable[str], zone: Name, api: HttpApi) -> RRset:
    """Read an RRset from rdatas in master-file syntax. Raises ``PushError``."""
    try:
        rdatas = [canonical_rdata(type_, rdata_from_text(type_, text, zone)) for text in texts]
    except BadRdata:
        raise api.garbage() from None
    return make(name, type_, ttl, rdatas)


def texts_of(rrset: RRset) -> list[str]:
    """Return the rdatas in master-file syntax with absolute names."""
    return [rdata_to_text(rrset.type, rdata) for rdata in rrset.rdatas]


# --- services that know single records -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a service."""

    id: str
    name: Name
    type: int
    ttl: int
    address: str


class RecordProvider(Provider):
    """A service that adds and removes single records: first all that is new, then what is not wanted.

    Such services cannot replace an RRset in one step; in this order it is never empty on the way. They
    carry addresses alone, as each writes other types in a way of its own.
    """

    async def list_records(self, zone: Name, key: Key | None) -> list[Record]:
        """Return the address records of one name and type, or of the whole zone. Raises ``PushError``."""
        raise NotImplementedError

    async def add_record(self, zone: Name, key: Key, ttl: int, address: str, beside: Sequence[Record]) -> None:
        """Add a record beside those that stand there. Raises ``PushError``."""
        raise NotImplementedError

    async def change_ttl(self, zone: Name, record: Record, ttl: int) -> None:
        """Give a record another ttl. Raises ``PushError``."""
        raise NotImplementedError

    async def remove_record(self, zone: Name, record: Record) -> None:
        """Remove a record; one that is gone is no error. Raises ``PushError``."""
        raise NotImplementedError

    async def read(self, zone: Name, keys: Collection[Key]) -> dict[Key, RRset]:
        """Return the RRsets that stand there."""
        for _, type_ in keys:
            if type_ not in (A, AAAA):
                text = f"a target of this type carries A and AAAA records, not {type_to_text(type_)}"
                raise PushError("permanent", "type", f'{text}; set what = "services"')
        if len(keys) <= FEW_KEYS:
            records = [record for key in keys for record in await self.list_records(zone, key)]
        else:
            records = await self.list_records(zone, None)
        return _grouped(record for record in records if (record.name, record.type) in keys)

    async def replace(self, zone: Name, replacements: Sequence[Replacement]) -> None:
        """Make the replacements one after the other; what stands there is listed once more before each."""
        for each in replacements:
            records = await self.list_records(zone, each.key)
            present = _grouped(records).get(each.key)
            if (present.rdatas if present else ()) != (each.before.rdatas if each.before else ()):
                raise PushError("conflict", "conflict", "somebody else changed the records")
            await self._replace_one(zone, each, records)

    async def _replace_one(self, zone: Name, each: Replacement, records: list[Record]) -> None:
        wanted = (
            {} if each.after is None else {str(ipaddress.ip_address(rdata)): 0 for rdata in each.after.rdatas}
        )
        ttl = 0 if each.after is None else each.after.ttl
        kept: set[str] = set()
        surplus: list[Record] = []
        for record in records:
            address = str(ipaddress.ip_address(record.address))
            if address not in wanted or address in kept:
                surplus.append(record)
                continue
            kept.add(address)
            if ttl not in (record.ttl, TTL_OPEN) and record.ttl != TTL_OPEN:
                await self.change_ttl(zone, record, ttl)
        for address in wanted:
            if address not in kept:
                await self.add_record(zone, each.key, ttl, address, records)
        for record in surplus:
            await self.remove_record(zone, record)


def _grouped(records: Iterable[Record]) -> dict[Key, RRset]:
    groups: dict[Key, list[Record]] = {}
    for record in records:
        groups.setdefault((record.name, record.type), []).append(record)
    return {
        key: make(
            *key, max(each.ttl for each in group), [ipaddress.ip_address(each.address).packed for each in group]
        )
        for key, group in groups.items()
    }


def is_address(text: object) -> bool:
    """Say whether a value from outside is an IP address."""
    try:
        ipaddress.ip_address(str(text))
    except ValueError:
        return False
    return True
