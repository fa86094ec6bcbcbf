"""Gandi LiveDNS: one request an RRset (https://api.gandi.net/docs/livedns/)."""

from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import quote

from node.push.orders import Key, Replacement
from node.push.providers.base import FEW_KEYS, Provider, host_text, node_text, parsed, texts_of, zone_text
from node.push.providers.http import PAGES_MAX, HttpApi
from node.zone.name import BadName, Name, from_text
from node.zone.rrset import BadRdata, RRset, type_from_text, type_to_text

URL = "https://api.gandi.net/v5/livedns"
_PAGE_ROWS = 100


class Gandi(Provider):
    """The service; the token is a personal access token."""

    ttl_min = 300

    def __init__(self, url: str, token: str) -> None:
        super().__init__(HttpApi("Gandi", url or URL, {"Authorization": f"Bearer {token}"}))

    async def read(self, zone: Name, keys: Collection[Key]) -> dict[Key, RRset]:
        """Return the RRsets that stand there."""
        if len(keys) > FEW_KEYS:
            rows = await self._pages(zone)
        else:
            replies = [await self.api.call("GET", self._path(zone, key)) for key in keys]
            rows = [reply.data for reply in replies if not reply.is_missing]
        found = (self._rrset(zone, row) for row in rows)
        return {(each.name, each.type): each for each in found if (each.name, each.type) in keys}

    async def replace(self, zone: Name, replacements: Sequence[Replacement]) -> None:
        """Replace the RRsets one after the other, each in one step."""
        for each in replacements:
            path = self._path(zone, each.key)
            if each.after is None:
                await self.api.call("DELETE", path)
                continue
            body = {"rrset_ttl": each.after.ttl, "rrset_values": texts_of(each.after)}
            if (await self.api.call("PUT", path, body=body)).is_missing:
                raise self.api.no_zone(host_text(zone))

    async def _pages(self, zone: Name) -> list[Any]:
        rows: list[Any] = []
        for page in range(1, PAGES_MAX + 1):
            query = {"page": page, "per_page": _PAGE_ROWS}
            reply = await self.api.call("GET", f"/domains/{zone_text(zone)}/records", query=query)
            if reply.is_missing:
                raise self.api.no_zone(host_text(zone))
            if not isinstance(reply.data, list):
                raise self.api.garbage()
            rows += reply.data
            if len(reply.data) < _PAGE_ROWS:
                return rows
        raise self.api.garbage()

    def _path(self, zone: Name, key: Key) -> str:
        node = quote(node_text(key[0], zone), safe="")
        return f"/domains/{zone_text(zone)}/records/{node}/{type_to_text(key[1])}"

    def _rrset(self, zone: Name, row: Any) -> RRset:
        try:
            name, type_ = from_text(row["rrset_name"], zone), type_from_text(row["rrset_type"])
            return parsed(name, type_, int(row["rrset_ttl"]), row["rrset_values"], zone, self.api)
        except (KeyError, TypeError, ValueError, BadName, BadRdata):
            raise self.api.garbage() from None
