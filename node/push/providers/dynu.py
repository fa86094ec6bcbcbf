"""Dynu: single records (https://www.dynu.com/Support/API). The body's own ``statusCode`` tells of success."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from node.push.errors import PushError
from node.push.orders import Key
from node.push.providers.base import Record, RecordProvider, host_text, is_address, node_text, zone_text
from node.push.providers.http import HttpApi, said
from node.zone.name import BadName, Name, from_text
from node.zone.rrset import AAAA, A, type_to_text

URL = "https://api.dynu.com/v2"
_TYPES = {"A": (A, "ipv4Address"), "AAAA": (AAAA, "ipv6Address")}
_UNSTABLE = frozenset({"unreachable", "silent", "server-failure"})


class Dynu(RecordProvider):
    """The service; it is known to drop connections, so what only reads is asked twice."""

    ttl_min = 30

    def __init__(self, url: str, token: str) -> None:
        super().__init__(HttpApi("Dynu", url or URL, {"API-Key": token}, _status))
        self._domain_ids: dict[Name, int] = {}

    async def list_records(self, zone: Name, key: Key | None) -> list[Record]:
        """Return address records that are switched on."""
        if key is None:
            data = await self._ask(f"/dns/{await self._domain_id(zone)}/record")
        else:
            host = quote(host_text(key[0]), safe="")
            data = await self._ask(f"/dns/record/{host}", {"recordType": type_to_text(key[1])})
        try:
            rows = [row for row in data["dnsRecords"] or [] if row["recordType"] in _TYPES and row["state"]]
            records = [self._record(row) for row in rows]
        except (KeyError, TypeError, ValueError, BadName):
            raise self.api.garbage() from None
        return [record for record in records if key is None or (record.name, record.type) == key]

    async def add_record(self, zone: Name, key: Key, ttl: int, address: str, beside: Sequence[Record]) -> None:  # noqa: ARG002
        """Add a record."""
        await self._send("POST", f"/dns/{await self._domain_id(zone)}/record", _body(zone, key, ttl, address))

    async def change_ttl(self, zone: Name, record: Record, ttl: int) -> None:
        """Give a record another ttl."""
        body = _body(zone, (record.name, record.type), ttl, record.address)
        await self._send("POST", f"/dns/{await self._domain_id(zone)}/record/{record.id}", body)

    async def remove_record(self, zone: Name, record: Record) -> None:
        """Remove a record."""
        await self._send("DELETE", f"/dns/{await self._domain_id(zone)}/record/{record.id}")

    async def _domain_id(self, zone: Name) -> int:
        if zone not in self._domain_ids:
            data = await self._ask(f"/dns/getroot/{zone_text(zone)}")
            try:
                held = from_text(data["domainName"])
                self._domain_ids[zone] = int(data["id"])
            except (KeyError, TypeError, ValueError, BadName):
                raise self.api.garbage() from None
            if held != zone:
                raise self.api.no_zone(host_text(zone))
        return self._domain_ids[zone]

    async def _ask(self, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        """Read something, once more when the connection broke."""
        try:
            return await self._send("GET", path, query=query)
        except PushError as error:
            if error.code not in _UNSTABLE:
                raise
        return await self._send("GET", path, query=query)

    async def _send(
        self, method: str, path: str, body: Any = None, query: dict[str, str] | None = None
    ) -> dict[str, Any]:
        reply = await self.api.call(method, path, query=query, body=body)
        if reply.is_missing and method != "DELETE":
            raise self.api.refusal(404, said(reply.data))
        if not isinstance(reply.data, dict):
            raise self.api.garbage()
        return reply.data

    def _record(self, row: Any) -> Record:
        type_, field = _TYPES[row["recordType"]]
        if not is_address(row[field]):
            raise ValueError
        return Record(str(int(row["id"])), from_text(row["hostname"]), type_, int(row["ttl"]), row[field])


def _status(status: int, data: Any) -> int:
    """Return the status that is meant: the one in the body."""
    told = data.get("statusCode") if isinstance(data, dict) else None
    return told if isinstance(told, int) else status


def _body(zone: Name, key: Key, ttl: int, address: str) -> dict[str, Any]:
    text = type_to_text(key[1])
    return {
        "nodeName": node_text(key[0], zone, apex=""),
        "recordType": text,
        "ttl": ttl,
        "state": True,
        "group": "",
        _TYPES[text][1]: address,
    }
