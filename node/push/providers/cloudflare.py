"""Cloudflare: single records (https://developers.cloudflare.com/api/).

Its batch request deletes before it adds and is not spread atomically, so records are changed singly:
first added, then removed.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from node.push.orders import TTL_OPEN, Key
from node.push.providers.base import Record, RecordProvider, host_text, is_address
from node.push.providers.http import PAGES_MAX, HttpApi, said
from node.zone.name import BadName, Name, from_text
from node.zone.rrset import AAAA, A, type_to_text

URL = "https://api.cloudflare.com/client/v4"
_PAGE_ROWS = 100
_TYPES = {"A": A, "AAAA": AAAA}
_AUTOMATIC_TTL = 1
_AUTHENTICATION_CODES = frozenset({6003, 6111, 9103, 9106, 9109, 10000, 10001})


class Cloudflare(RecordProvider):
    """The service; a record that it proxies decides its ttl itself, and new ones beside it are proxied too."""

    ttl_min = 60

    def __init__(self, url: str, token: str) -> None:
        super().__init__(HttpApi("Cloudflare", url or URL, {"Authorization": f"Bearer {token}"}, _status))
        self._zone_ids: dict[Name, str] = {}
        self._proxied: set[str] = set()

    async def list_records(self, zone: Name, key: Key | None) -> list[Record]:
        """Return address records, all pages."""
        wanted = {} if key is None else {"name": host_text(key[0]), "type": type_to_text(key[1])}
        path = await self._path(zone)
        records: list[Record] = []
        for page in range(1, PAGES_MAX + 1):
            data = await self._call("GET", path, query={**wanted, "page": page, "per_page": _PAGE_ROWS})
            try:
                records += [self._record(row) for row in data["result"] if row["type"] in _TYPES]
                pages = int((data.get("result_info") or {}).get("total_pages") or 1)
            except (KeyError, TypeError, ValueError, BadName):
                raise self.api.garbage() from None
            if page >= pages:
                return records
        raise self.api.garbage()

    async def add_record(self, zone: Name, key: Key, ttl: int, address: str, beside: Sequence[Record]) -> None:
        """Add a record, proxied when those beside it are."""
        proxied = any(record.id in self._proxied for record in beside)
        body = {
            "type": type_to_text(key[1]),
            "name": host_text(key[0]),
            "content": address,
            "ttl": _AUTOMATIC_TTL if proxied or ttl == TTL_OPEN else ttl,
            "proxied": proxied,
        }
        await self._call("POST", await self._path(zone), body=body)

    async def change_ttl(self, zone: Name, record: Record, ttl: int) -> None:
        """Give a record another ttl."""
        await self._call("PATCH", f"{await self._path(zone)}/{record.id}", body={"ttl": ttl})

    async def remove_record(self, zone: Name, record: Record) -> None:
        """Remove a record."""
        await self._call("DELETE", f"{await self._path(zone)}/{record.id}", may_miss=True)

    async def _path(self, zone: Name) -> str:
        """Return the path of a zone's records; the zone's id is looked up once."""
        if zone not in self._zone_ids:
            data = await self._call("GET", "/zones", query={"name": host_text(zone)})
            rows = data.get("result")
            if not isinstance(rows, list):
                raise self.api.garbage()
            if not rows:
                raise self.api.no_zone(host_text(zone))
            self._zone_ids[zone] = quote(str(rows[0].get("id", "")), safe="")
        return f"/zones/{self._zone_ids[zone]}/dns_records"

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        may_miss: bool = False,
    ) -> dict[str, Any]:
        reply = await self.api.call(method, path, query=query, body=body)
        if reply.is_missing and may_miss:
            return {}
        if reply.is_missing:
            raise self.api.refusal(404, said(reply.data))
        if not isinstance(reply.data, dict):
            raise self.api.garbage()
        return reply.data

    def _record(self, row: Any) -> Record:
        if not is_address(row["content"]):
            raise ValueError
        open_ttl = bool(row.get("proxied")) or int(row["ttl"]) == _AUTOMATIC_TTL
        if row.get("proxied"):
            self._proxied.add(row["id"])
        ttl = TTL_OPEN if open_ttl else int(row["ttl"])
        return Record(
            quote(str(row["id"]), safe=""), from_text(row["name"]), _TYPES[row["type"]], ttl, row["content"]
        )


def _status(status: int, data: Any) -> int:
    """Return the status that is meant: the body says whether a request had success, and why not."""
    if not isinstance(data, dict) or data.get("success") is not False:
        return status
    errors = data.get("errors")
    codes = {error.get("code") for error in errors or [] if isinstance(error, dict)}
    if codes & _AUTHENTICATION_CODES:
        return 403
    return max(status, 400)
