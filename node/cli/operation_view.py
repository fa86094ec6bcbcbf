"""What operators did to endpoints and services, as text."""

from collections.abc import Mapping
from typing import Any

from node.cli.output import Printer
from node.cli.times import clock

Json = Mapping[str, Any]


def show_places(out: Printer, word: str, reply: Json, undo: str) -> None:
    """Write one line an endpoint, then when it ends and what takes it back."""
    if not out.is_for_people:
        out.document(reply)
        return
    places = reply["places"]
    names = [f"{each['service']} {each['address']}" for each in places]
    width = max(map(len, names), default=0)
    verb = word if reply.get("changed", True) else f"already {word}"
    for number, (name, each) in enumerate(zip(names, places, strict=True)):
        out.line(
            f"{verb}  {name.ljust(width)}   {_standing(each)} at index {reply['index']}{_follow(each, number)}"
        )
    until = next((each["override"]["until_at"] for each in places if each.get("override")), None)
    if until:
        out.line(f"ends {clock(until)} by itself" + (f"; undo: {undo}" if undo else ""))
    elif undo:
        out.line(f"undo: {undo}")


def _standing(place: Json) -> str:
    return "in DNS" if place["published"] else "out of DNS"


def _follow(place: Json, number: int) -> str:
    """Say once how long the old answer may live on."""
    if number or place.get("ttl") is None:
        return ""
    return f"; clients follow within about {place['ttl']} s (ttl)"


def maintenance_line(reply: Json) -> str:
    """Write what a maintenance means, in one line."""
    found, service = reply["maintenance"], reply["service"]
    standing = f"{reply['published']} of {reply['endpoints']} in DNS"
    if found is None:
        return f"{service}: no maintenance, verdicts decide again ({standing})   index {reply['index']}"
    until = f" until {clock(found['until_at'])}" if found["until_at"] else ""
    if not found["active"]:
        return f"{service}: maintenance planned from {clock(found['from_at'])}{until}   index {reply['index']}"
    frozen = f"stays in DNS as it is ({standing}){until}"
    return f"{service}: {frozen}; probes go on, no alarms, no pushes   index {reply['index']}"


def failover_line(reply: Json, fqdn: str, *, is_auto: bool) -> str:
    """Write what is published and what not, in one line."""
    places = reply["places"]
    if is_auto:
        word = "the votes decide again" if places else "nothing was forced"
        return f"{fqdn}: {word}   index {reply['index']}"
    published = ", ".join(each["address"] for each in places if each["published"]) or "nothing"
    withdrawn = ", ".join(each["address"] for each in places if not each["published"]) or "nothing"
    until = next((each["override"]["until_at"] for each in places if each.get("override")), None)
    ends = f"until {clock(until)}, or: " if until else "until: "
    undo = f"{ends}qdns service failover {fqdn} --auto"
    return f"{fqdn}: {published} published, {withdrawn} withdrawn   index {reply['index']}   {undo}"
