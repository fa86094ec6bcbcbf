"""Zones and RRsets as PowerDNS shows them. Pure.

A service's RRset shows all its endpoints, the withdrawn ones as disabled, so that a tool which keeps
zones as files sees no difference while endpoints come and go.
"""

from collections.abc import Iterator
from typing import Any

from node.api.etcd.members import plain_comment
from node.api.names import plain
from node.api.order import NameOrder
from node.state.state import ServiceState, State
from node.zone.name import Name, to_text
from node.zone.rrset import AAAA, A, RRset, rdata_to_text, type_to_text
from node.zone.zone import Zone

Row = dict[str, Any]

SERVER = "/api/v1/servers/localhost"
_FAMILIES = ((A, 4), (AAAA, 6))


def zone_row(zone: Zone) -> Row:
    """Show a zone without its records; lists and texts that we have no use for are empty, of the right kind."""
    name = to_text(zone.name)
    return {
        "id": "=2E" if name == "." else name.replace("/", "=2F"),
        "name": name,
        "type": "Zone",
        "url": f"{SERVER}/zones/{name}",
        "kind": "Native",
        "serial": zone.serial,
        "edited_serial": zone.serial,
        "notified_serial": zone.serial,
        "masters": [],
        "dnssec": False,
        "nsec3param": "",
        "nsec3narrow": False,
        "presigned": False,
        "soa_edit": "",
        "soa_edit_api": "",
        "api_rectify": False,
        "account": "",
        "catalog": "",
        "last_check": 0,
        "master_tsig_key_ids": [],
        "slave_tsig_key_ids": [],
    }


def iter_rrset_rows(state: State, order: NameOrder, zone: Zone) -> Iterator[Row]:
    """Show every RRset of a zone in canonical order, those of services with all their endpoints."""
    services = {name for name, each in state.services.items() if each.service.zone == zone.name}
    for name in order.after(zone, None):
        services.discard(name)
        yield from name_rows(state, zone, name)
    for name in sorted(services):
        yield from name_rows(state, zone, name)


def name_rows(state: State, zone: Zone, name: Name) -> Iterator[Row]:
    """Show the RRsets of one name."""
    known = state.services.get(name)
    node = zone.node(name)
    for rrset in node.rrsets if node is not None else ():
        if known is None or rrset.type not in (A, AAAA):
            yield _rrset_row(rrset)
    if known is not None:
        yield from _service_rows(known)


def _rrset_row(rrset: RRset) -> Row:
    records = [
        {"content": rdata_to_text(rrset.type, rdata), "disabled": rrset.disabled} for rdata in rrset.rdatas
    ]
    comment = plain_comment(rrset)
    return _row(rrset.name, rrset.type, rrset.ttl, records, comment)


def _service_rows(known: ServiceState) -> Iterator[Row]:
    service = known.service
    comment = f"decided by the health of the service {plain(service.fqdn)}"
    for type_, version in _FAMILIES:
        addresses = [each.address for each in service.endpoints if (":" in each.address) == (version == 6)]
        if addresses:
            records = [{"content": each, "disabled": each not in known.published} for each in addresses]
            yield _row(service.fqdn, type_, service.ttl, records, comment)


def _row(name: Name, type_: int, ttl: int, records: list[Row], comment: str) -> Row:
    comments = [{"content": comment, "account": "", "modified_at": 0}] if comment else []
    return {
        "name": to_text(name),
        "type": type_to_text(type_),
        "ttl": ttl,
        "records": records,
        "comments": comments,
    }
