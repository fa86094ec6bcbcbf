"""Hetzner DNS in the Cloud API: RRsets changed by actions (https://docs.hetzner.cloud/reference/cloud)."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import quote

from node.push.errors import PushError
from node.push.orders import TTL_OPEN, Key, Replacement
from node.push.providers.base import FEW_KEYS, Provider, host_text, node_text, parsed, texts_of, zone_text
from node.push.providers.http import PAGES_MAX, HttpApi, Reply, said
from node.zone.name import BadName, Name, from_text
from node.zone.rrset import BadRdata, RRset, type_from_text, type_to_text

URL = "https://api.hetzner.cloud/v1"
ACTION_POLLS_MAX = 20
ACTION_POLL_S = 0.5
_PAGE_ROWS = 50


class Hetzner(Provider):
    """The service; the token belongs to the project that holds the zone."""

    ttl_min = 60

    def __init__(self, url: str, token: str) -> None:
        super().__init__(HttpApi("Hetzner", url or URL, {"Authorization": f"Bearer {token}"}))

    async def read(self, zone: Name, keys: Collection[Key]) -> dict[Key, RRset]:
        """Return the RRsets that stand there."""
        if len(keys) > FEW_KEYS:
            rows = await self._pages(zone)
        else:
            replies = [await self.api.call("GET", self._path(zone, key)) for key in keys]
            rows = [_part(reply, "rrset") for reply in replies if not reply.is_missing]
        found = (self._rrset(zone, row) for row in rows)
        return {(each.name, each.type): each for each in found if (each.name, each.type) in keys}

    async def replace(self, zone: Name, replacements: Sequence[Replacement]) -> None:
        """Replace the RRsets one after the other, the records of each in one step."""
        for each in replacements:
            path = self._path(zone, each.key)
            if each.after is None:
                await self._act("DELETE", path)
                continue
            records = {"records": [{"value": text} for text in texts_of(each.after)]}
            if each.before is None:
                name = {"name": node_text(each.name, zone), "type": type_to_text(each.type)}
                path, body = f"/zones/{zone_text(zone)}/rrsets", {**name, "ttl": each.after.ttl, **records}
                if not await self._act("POST", path, body):
                    raise self.api.no_zone(host_text(zone))
                continue
            if each.before.rdatas != each.after.rdatas:
                await self._act("POST", f"{path}/actions/set_records", records)
            if each.before.ttl != each.after.ttl:
                await self._act("POST", f"{path}/actions/change_ttl", {"ttl": each.after.ttl})

    async def _act(self, method: str, path: str, body: Any = None) -> bool:
        """Start an action and wait for its end; False when there is no such thing there."""
        reply = await self.api.call(method, path, body=body)
        for _ in range(ACTION_POLLS_MAX):
            if reply.is_missing:
                return False
            action = _part(reply, "action")
            if not isinstance(action, dict):
                raise self.api.garbage()
            if action.get("status") == "success":
                return True
            if action.get("status") == "error":
                raise PushError("retryable", "action", f"Hetzner could not do it: {said(action)[:120]}")
            await asyncio.sleep(ACTION_POLL_S)
            reply = await self.api.call("GET", f"/actions/{action.get('id')}")
        raise PushError("retryable", "action", "Hetzner has not done it yet")

    async def _pages(self, zone: Name) -> list[Any]:
        rows: list[Any] = []
        page: Any = 1
        for _ in range(PAGES_MAX):
            query = {"page": page, "per_page": _PAGE_ROWS}
            reply = await self.api.call("GET", f"/zones/{zone_text(zone)}/rrsets", query=query)
            if reply.is_missing:
                raise self.api.no_zone(host_text(zone))
            try:
                rows += reply.data["rrsets"]
                page = reply.data["meta"]["pagination"]["next_page"]
            except (KeyError, TypeError):
                raise self.api.garbage() from None
            if page is None:
                return rows
        raise self.api.garbage()

    def _path(self, zone: Name, key: Key) -> str:
        node = quote(node_text(key[0], zone), safe="@")
        return f"/zones/{zone_text(zone)}/rrsets/{node}/{type_to_text(key[1])}"

    def _rrset(self, zone: Name, row: Any) -> RRset:
        try:
            name, type_ = from_text(row["name"], zone), type_from_text(row["type"])
            ttl = TTL_OPEN if row["ttl"] is None else int(row["ttl"])
            return parsed(name, type_, ttl, [each["value"] for each in row["records"]], zone, self.api)
        except (KeyError, TypeError, ValueError, BadName, BadRdata):
            raise self.api.garbage() from None


def _part(reply: Reply, key: str) -> Any:
    return reply.data.get(key) if isinstance(reply.data, dict) else None
