"""deSEC: RRsets in bulk, all or nothing (https://desec.readthedocs.io/)."""

import re
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from node.push.orders import Key, Replacement
from node.push.providers.base import FEW_KEYS, Provider, host_text, node_text, parsed, texts_of, zone_text
from node.push.providers.http import PAGES_MAX, HttpApi
from node.zone.name import BadName, Name, from_text
from node.zone.rrset import BadRdata, RRset, type_from_text, type_to_text

URL = "https://desec.io/api/v1"
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')


class DeSec(Provider):
    """The service, or another server with its API."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(HttpApi("deSEC", url or URL, {"Authorization": f"Token {token}"}))

    async def least_ttl(self, zone: Name) -> int:
        """Return the domain's own minimum, mostly an hour."""
        reply = await self.api.call("GET", f"/domains/{zone_text(zone)}/")
        if reply.is_missing:
            raise self.api.no_zone(host_text(zone))
        try:
            return int(reply.data["minimum_ttl"])
        except (KeyError, TypeError, ValueError):
            raise self.api.garbage() from None

    async def read(self, zone: Name, keys: Collection[Key]) -> dict[Key, RRset]:
        """Return the RRsets that stand there."""
        if len(keys) > FEW_KEYS:
            rows = await self._pages(zone, {})
        else:
            rows = []
            for name, type_ in keys:
                rows += await self._pages(
                    zone, {"subname": node_text(name, zone, apex=""), "type": type_to_text(type_)}
                )
        found = (self._rrset(zone, row) for row in rows)
        return {(each.name, each.type): each for each in found if (each.name, each.type) in keys}

    async def replace(self, zone: Name, replacements: Sequence[Replacement]) -> None:
        """Replace all in one request, all or nothing."""
        rows = [_row(zone, each) for each in replacements]
        if (await self.api.call("PATCH", self._path(zone), body=rows)).is_missing:
            raise self.api.no_zone(host_text(zone))

    async def _pages(self, zone: Name, query: dict[str, str]) -> list[Any]:
        rows: list[Any] = []
        query = {**query, "cursor": ""}
        for _ in range(PAGES_MAX):
            reply = await self.api.call("GET", self._path(zone), query=query)
            if reply.is_missing:
                raise self.api.no_zone(host_text(zone))
            if not isinstance(reply.data, list):
                raise self.api.garbage()
            rows += reply.data
            following = _NEXT.search(reply.headers.get("link", ""))
            if following is None:
                return rows
            query = dict(parse_qsl(urlsplit(following[1]).query, keep_blank_values=True))
        raise self.api.garbage()

    def _path(self, zone: Name) -> str:
        return f"/domains/{zone_text(zone)}/rrsets/"

    def _rrset(self, zone: Name, row: Any) -> RRset:
        try:
            name, type_ = from_text(row["name"]), type_from_text(row["type"])
            return parsed(name, type_, int(row["ttl"]), row["records"], zone, self.api)
        except (KeyError, TypeError, ValueError, BadName, BadRdata):
            raise self.api.garbage() from None


def _row(zone: Name, each: Replacement) -> dict[str, Any]:
    row: dict[str, Any] = {"subname": node_text(each.name, zone, apex=""), "type": type_to_text(each.type)}
    if each.after is None:
        return {**row, "records": []}
    return {**row, "ttl": each.after.ttl, "records": texts_of(each.after)}
