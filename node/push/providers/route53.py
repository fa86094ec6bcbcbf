"""Route 53 of AWS: changes in one batch, all or nothing (Amazon Route 53 API Reference, 2013-04-01).

To take an RRset away one must name it as it stands, so a batch fails when somebody else was faster. The token of the
target is ``ACCESS_KEY_ID:SECRET_ACCESS_KEY``, with ``:SESSION_TOKEN`` behind it for a temporary one.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from node.push.errors import PushError
from node.push.orders import Key, Replacement
from node.push.providers.base import FEW_KEYS, Provider, parsed, texts_of
from node.push.providers.http import PAGES_MAX, HttpApi
from node.push.providers.sigv4 import Credentials, SigV4
from node.zone.name import BadName, Name, from_text, to_text
from node.zone.rrset import BadRdata, RRset, type_from_text, type_to_text

URL = "https://route53.amazonaws.com"
REGION = "us-east-1"
"""The one region that its requests are signed for."""
BATCH_RECORDS_MAX = 400
"""A request may name 1,000 records; each replacement names those before and those after."""
_BASE = "/2013-04-01"
_NAMESPACE = "https://route53.amazonaws.com/doc/2013-04-01/"
_OCTAL = re.compile(r"\\([0-7]{3})")
_MEANT = {
    "Throttling": 429,
    "ThrottlingException": 429,
    "PriorRequestNotComplete": 429,
    "NoSuchHostedZone": 404,
    "AccessDenied": 403,
    "InvalidClientTokenId": 403,
    "SignatureDoesNotMatch": 403,
    "InvalidSignature": 403,
    "MissingAuthenticationToken": 403,
    "IncompleteSignature": 403,
    "ExpiredToken": 403,
    "InvalidChangeBatch": 409,
}
"""Codes in bodies of status 400 that mean another one."""


class Route53(Provider):
    """The service, or another server with its API."""

    def __init__(self, url: str, token: str) -> None:
        """Raises ``PushError`` for a token that is no access key."""
        api = HttpApi(
            "Route 53",
            url or URL,
            {"Accept": "application/xml"},
            _meant,
            auth=SigV4(_credentials(token), REGION, "route53"),
            parse=_parse,
        )
        super().__init__(api)
        self._zones: dict[Name, str] = {}

    async def read(self, zone: Name, keys: Collection[Key]) -> dict[Key, RRset]:
        """Return the RRsets that stand there."""
        if len(keys) > FEW_KEYS:
            rows = [row async for row in self._pages(zone, {})]
        else:
            rows = []
            for name, type_ in keys:
                start = {"name": to_text(name), "type": type_to_text(type_), "maxitems": "1"}
                rows += (await self._page(zone, start))[0]
        found: dict[Key, RRset] = {}
        for row in rows:
            key = self._key(row)
            if key is not None and key in keys:
                found[key] = self._rrset(zone, key, row)
        return found

    async def replace(self, zone: Name, replacements: Sequence[Replacement]) -> None:
        """Replace in as few requests as the limit allows; each is all or nothing."""
        for batch in _batches(replacements):
            request = ET.Element("ChangeResourceRecordSetsRequest", xmlns=_NAMESPACE)
            changes = ET.SubElement(ET.SubElement(request, "ChangeBatch"), "Changes")
            for each in batch:
                for action, rrset in (("DELETE", each.before), ("CREATE", each.after)):
                    if rrset is not None:
                        _add_change(changes, action, rrset)
            try:
                body = ET.tostring(request, encoding="utf-8", xml_declaration=True)
                reply = await self.api.call("POST", f"{await self._path(zone)}/rrset/", body=body)
            except PushError as error:
                if error.code == "conflict-there":
                    raise PushError("conflict", "conflict", str(error)) from None
                raise
            if reply.is_missing:
                raise self.api.no_zone(to_text(zone))
            if _tag(reply.data) != "ChangeResourceRecordSetsResponse":
                raise self.api.garbage()

    async def _pages(self, zone: Name, start: dict[str, str]) -> Any:
        for _ in range(PAGES_MAX):
            rows, following = await self._page(zone, start)
            for row in rows:
                yield row
            if following is None:
                return
            start = following
        raise self.api.garbage()

    async def _page(self, zone: Name, start: dict[str, str]) -> tuple[list[ET.Element], dict[str, str] | None]:
        """Return the RRsets of a page, and where the next one begins."""
        reply = await self.api.call("GET", f"{await self._path(zone)}/rrset", query=start)
        if reply.is_missing:
            raise self.api.no_zone(to_text(zone))
        data = reply.data
        if _tag(data) != "ListResourceRecordSetsResponse":
            raise self.api.garbage()
        rows = list(_at(data, "ResourceRecordSets") if data is not None else ())
        if _text(data, "IsTruncated") != "true":
            return rows, None
        following = {
            query: _text(data, tag)
            for query, tag in (
                ("name", "NextRecordName"),
                ("type", "NextRecordType"),
                ("identifier", "NextRecordIdentifier"),
            )
            if _text(data, tag)
        }
        return rows, following

    async def _path(self, zone: Name) -> str:
        """Return the path of the public hosted zone. Raises ``PushError``."""
        if zone not in self._zones:
            query = {"dnsname": to_text(zone), "maxitems": "10"}
            reply = await self.api.call("GET", f"{_BASE}/hostedzonesbyname", query=query)
            if reply.is_missing or _tag(reply.data) != "ListHostedZonesByNameResponse":
                raise self.api.garbage()
            for row in _at(reply.data, "HostedZones"):
                is_private = row.findtext("{*}Config/{*}PrivateZone") == "true"
                if _name(_text(row, "Name")) == zone and not is_private:
                    self._zones[zone] = _text(row, "Id").rpartition("/")[2]
                    break
            else:
                raise self.api.no_zone(to_text(zone))
        return f"{_BASE}/hostedzone/{self._zones[zone]}"

    def _key(self, row: ET.Element) -> Key | None:
        name = _name(_text(row, "Name"))
        try:
            return None if name is None else (name, type_from_text(_text(row, "Type")))
        except BadRdata:
            return None

    def _rrset(self, zone: Name, key: Key, row: ET.Element) -> RRset:
        for tag in ("AliasTarget", "SetIdentifier"):
            if row.find(f"{{*}}{tag}") is not None:
                text = f"{to_text(key[0])} has an alias or a routing policy in Route 53, which is not ours to replace"
                raise PushError("permanent", "alias", text)
        try:
            texts = [_text(each, "Value") for each in _at(row, "ResourceRecords")]
            return parsed(*key, int(_text(row, "TTL")), texts, zone, self.api)
        except ValueError:
            raise self.api.garbage() from None


def _credentials(token: str) -> Credentials:
    key_id, _, rest = token.partition(":")
    secret, _, session = rest.partition(":")
    if not key_id or not secret:
        raise PushError("permanent", "token", "the token for Route 53 is ACCESS_KEY_ID:SECRET_ACCESS_KEY")
    return Credentials(key_id, secret, session)


def _batches(replacements: Sequence[Replacement]) -> Iterator[list[Replacement]]:
    batch: list[Replacement] = []
    size = 0
    for each in replacements:
        own = sum(len(rrset.rdatas) for rrset in (each.before, each.after) if rrset is not None)
        if batch and size + own > BATCH_RECORDS_MAX:
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += own
    if batch:
        yield batch


def _add_change(changes: ET.Element, action: str, rrset: RRset) -> None:
    change = ET.SubElement(changes, "Change")
    ET.SubElement(change, "Action").text = action
    row = ET.SubElement(change, "ResourceRecordSet")
    ET.SubElement(row, "Name").text = to_text(rrset.name)
    ET.SubElement(row, "Type").text = type_to_text(rrset.type)
    ET.SubElement(row, "TTL").text = str(rrset.ttl)
    records = ET.SubElement(row, "ResourceRecords")
    for text in texts_of(rrset):
        ET.SubElement(ET.SubElement(records, "ResourceRecord"), "Value").text = text


# --- XML ------------------------------------------------------------------------------------------


def _parse(raw: bytes) -> ET.Element:
    """Read XML in UTF-8, without any declaration of a document type. Raises ``ValueError``."""
    if b"<!" in raw or b"\0" in raw:  # a wider encoding could hide one
        raise ValueError("a document type is declared, or the encoding is not UTF-8")
    try:
        return ET.fromstring(raw)  # noqa: S314  # entities need a document type
    except ET.ParseError as error:
        raise ValueError(str(error)) from None


def _meant(status: int, data: Any) -> int:
    """Return the status that an error's code stands for."""
    if status == 400 and isinstance(data, ET.Element):
        return _MEANT.get(data.findtext("{*}Error/{*}Code") or _tag(data), status)
    return status


def _tag(data: Any) -> str:
    return data.tag.rpartition("}")[2] if isinstance(data, ET.Element) else ""


def _at(data: ET.Element, tag: str) -> list[ET.Element]:
    found = data.find(f"{{*}}{tag}")
    return [] if found is None else list(found)


def _text(data: ET.Element, tag: str) -> str:
    return data.findtext(f"{{*}}{tag}") or ""


def _name(text: str) -> Name | None:
    """Read a name, in which octets that are no letters stand as octal numbers."""
    decimal = _OCTAL.sub(lambda match: f"\\{int(match[1], 8):03}", text)
    try:
        return from_text(decimal)
    except BadName:
        return None
