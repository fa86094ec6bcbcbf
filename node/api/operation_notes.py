"""What is as it is because somebody wanted it: told beside the problems, and none of them. Pure."""

from collections.abc import Iterator

from node.api.views import Row

Note = tuple[str, str, tuple[str, ...], str | None]
"""Code, sentence, what takes it back, since when."""

_WORDS = {"drain": "is drained", "up": "is forced up", "down": "is forced down"}


def is_maintained(service: Row) -> bool:
    """Say whether a service stands still in DNS now, so that its verdicts alarm nobody."""
    return service["maintenance"] is not None and service["maintenance"]["active"]


def find_notes(service: Row) -> Iterator[Note]:
    """Yield what operators said of a service and its endpoints."""
    yield from _maintenance_note(service)
    for endpoint in service["endpoints"]:
        override = endpoint["override"]
        if override is not None:
            yield _override_note(service["fqdn"], endpoint, override)
        elif endpoint["wait"] is not None and endpoint["verdict"] != "down":
            yield _wait_note(service["fqdn"], endpoint, endpoint["wait"])


def _maintenance_note(service: Row) -> Iterator[Note]:
    maintenance, fqdn = service["maintenance"], service["fqdn"]
    if maintenance is None:
        return
    back = ("qdns", "service", "maintenance", fqdn, "off")
    said = _said(maintenance)
    if maintenance["active"]:
        down = sum(each["verdict"] == "down" for each in service["endpoints"])
        meanwhile = f"; {down} of {len(service['endpoints'])} endpoints are down" if down else ""
        text = f"{fqdn} is in maintenance{said}: it stays in DNS as it is{meanwhile}"
        yield "maintenance", text, back, maintenance["from_at"]
    else:
        begins = f" from {maintenance['from_at']}"
        yield "maintenance_planned", f"{fqdn} will be in maintenance{begins}{said}", back, None


def _override_note(fqdn: str, endpoint: Row, override: Row) -> Note:
    kind = override["kind"]
    place = f"{fqdn}/{endpoint['address']}"
    against = "; the votes say down" if kind == "up" and endpoint["verdict"] == "down" else ""
    text = f"{fqdn} {endpoint['address']} {_WORDS[kind]}{_said(override)}{against}"
    if kind == "drain":
        return "drained", text, ("qdns", "endpoint", "undrain", place), override["since_at"]
    return "forced", text, ("qdns", "endpoint", "force", place, "auto"), override["since_at"]


def _wait_note(fqdn: str, endpoint: Row, wait: Row) -> Note:
    back = ("qdns", "endpoint", "failback", f"{fqdn}/{endpoint['address']}")
    until = f" until {wait['until_at'][:19]}Z" if wait["until_at"] else ""
    place = f"{fqdn} {endpoint['address']}"
    if wait["kind"] == "flapping":
        return (
            "held",
            f"{place} was up and down too often: it is held out of DNS{until}",
            back,
            wait["since_at"],
        )
    return "failback", f"{place} is up again and waits{until or ' for somebody'}", back, wait["since_at"]


def _said(row: Row) -> str:
    """Write who said so, why, and until when."""
    by = f" by {row['author']}" if row["author"] else ""
    why = f" ({row['reason']})" if row["reason"] else ""
    until = f" until {row['until_at'][:19]}Z" if row["until_at"] else ""
    return f"{by}{why}{until}"
