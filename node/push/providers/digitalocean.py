"""DigitalOcean: single records (https://docs.digitalocean.com/reference/api/)."""

from collections.abc import Sequence
from typing import Any

from node.push.orders import Key
from node.push.providers.base import Record, RecordProvider, host_text, is_address, node_text, zone_text
from node.push.providers.http import PAGES_MAX, HttpApi
from node.zone.name import BadName, Name, from_text
from node.zone.rrset import AAAA, A, type_to_text

URL = "https://api.digitalocean.com"
_PAGE_ROWS = 200
_TYPES = {"A": A, "AAAA": AAAA}


class DigitalOcean(RecordProvider):
    """The service; 5,000 requests an hour are allowed."""

    ttl_min = 30

    def __init__(self, url: str, token: str) -> None:
        super().__init__(HttpApi("DigitalOcean", url or URL, {"Authorization": f"Bearer {token}"}))

    async def list_records(self, zone: Name, key: Key | None) -> list[Record]:
        """Return address records, all pages."""
        wanted = {} if key is None else {"name": host_text(key[0]), "type": type_to_text(key[1])}
        records: list[Record] = []
        for page in range(1, PAGES_MAX + 1):
            query = {**wanted, "page": page, "per_page": _PAGE_ROWS}
            reply = await self.api.call("GET", self._path(zone), query=query)
            if reply.is_missing:
                raise self.api.no_zone(host_text(zone))
            try:
                records += [
                    self._record(zone, row) for row in reply.data["domain_records"] if row["type"] in _TYPES
                ]
                links = reply.data.get("links") or {}
            except (KeyError, TypeError, ValueError, BadName):
                raise self.api.garbage() from None
            if not (links.get("pages") or {}).get("next"):
                return records
        raise self.api.garbage()

    async def add_record(self, zone: Name, key: Key, ttl: int, address: str, beside: Sequence[Record]) -> None:  # noqa: ARG002
        """Add a record."""
        body = {"type": type_to_text(key[1]), "name": node_text(key[0], zone), "data": address, "ttl": ttl}
        if (await self.api.call("POST", self._path(zone), body=body)).is_missing:
            raise self.api.no_zone(host_text(zone))

    async def change_ttl(self, zone: Name, record: Record, ttl: int) -> None:
        """Give a record another ttl."""
        body = {"type": type_to_text(record.type), "ttl": ttl}
        await self.api.call("PATCH", f"{self._path(zone)}/{record.id}", body=body)

    async def remove_record(self, zone: Name, record: Record) -> None:
        """Remove a record."""
        await self.api.call("DELETE", f"{self._path(zone)}/{record.id}")

    def _path(self, zone: Name) -> str:
        return f"/v2/domains/{zone_text(zone)}/records"

    def _record(self, zone: Name, row: Any) -> Record:
        if not is_address(row["data"]):
            raise ValueError
        name = from_text(row["name"], zone)
        return Record(str(int(row["id"])), name, _TYPES[row["type"]], int(row["ttl"]), row["data"])
