"""PowerDNS Authoritative Server over its HTTP API: RRsets are replaced in one transaction."""

from collections.abc import Collection, Sequence
from typing import Any

from node.push.orders import Key, Replacement
from node.push.providers.base import FEW_KEYS, Provider, parsed, texts_of
from node.push.providers.http import HttpApi
from node.zone.name import BadName, Name, from_text, to_text
from node.zone.rrset import BadRdata, RRset, type_from_text, type_to_text


class PowerDns(Provider):
    """A server at a URL such as ``http://192.0.2.1:8081``."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(HttpApi("PowerDNS", url, {"X-API-Key": token}))

    async def serial(self, zone: Name) -> int | None:
        """Return the zone's serial."""
        data = await self._zone(zone, {"rrsets": "false"})
        serial = data.get("serial")
        return serial if isinstance(serial, int) else None

    async def read(self, zone: Name, keys: Collection[Key]) -> dict[Key, RRset]:
        """Return the RRsets that stand there."""
        if len(keys) > FEW_KEYS:
            rows = await self._rows(zone, {})
        else:
            rows = []
            for name, type_ in keys:
                query = {"rrset_name": to_text(name), "rrset_type": type_to_text(type_)}
                rows += await self._rows(zone, query)
        found = (self._rrset(zone, row) for row in rows)
        return {(each.name, each.type): each for each in found if each and (each.name, each.type) in keys}

    async def replace(self, zone: Name, replacements: Sequence[Replacement]) -> None:
        """Replace all in one request, all or nothing."""
        rows = [_row(each) for each in replacements]
        if (await self.api.call("PATCH", self._path(zone), body={"rrsets": rows})).is_missing:
            raise self.api.no_zone(to_text(zone))

    async def _rows(self, zone: Name, query: dict[str, str]) -> list[Any]:
        rows = (await self._zone(zone, query)).get("rrsets")
        if not isinstance(rows, list):
            raise self.api.garbage()
        return rows

    async def _zone(self, zone: Name, query: dict[str, str]) -> dict[str, Any]:
        reply = await self.api.call("GET", self._path(zone), query=query)
        if reply.is_missing:
            raise self.api.no_zone(to_text(zone))
        if not isinstance(reply.data, dict):
            raise self.api.garbage()
        return reply.data

    def _path(self, zone: Name) -> str:
        return f"/api/v1/servers/localhost/zones/{to_text(zone).replace('/', '=2F')}"

    def _rrset(self, zone: Name, row: Any) -> RRset | None:
        """Read one RRset; None when all its records are switched off."""
        try:
            name, type_ = from_text(row["name"]), type_from_text(row["type"])
            texts = [record["content"] for record in row["records"] if not record.get("disabled")]
            return parsed(name, type_, int(row["ttl"]), texts, zone, self.api) if texts else None
        except (KeyError, TypeError, ValueError, BadName, BadRdata):
            raise self.api.garbage() from None


def _row(each: Replacement) -> dict[str, Any]:
    row: dict[str, Any] = {"name": to_text(each.name), "type": type_to_text(each.type)}
    if each.after is None:
        return {**row, "changetype": "DELETE"}
    records = [{"content": text, "disabled": False} for text in texts_of(each.after)]
    return {**row, "changetype": "REPLACE", "ttl": each.after.ttl, "records": records}
