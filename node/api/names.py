"""Names, types and zones as they stand in paths and bodies, read with a sentence for what is wrong."""

from node.api.context import ApiContext
from node.api.problem import Problem
from node.state.command import ZoneSettings
from node.state.state import State
from node.zone.name import (
    ROOT,
    BadName,
    Name,
    from_labels,
    from_text,
    iter_ancestors,
    iter_labels,
    sort_key,
    to_text,
)
from node.zone.rrset import BadRdata, type_from_text
from node.zone.zone import Zone

_SHOWN_ZONES_MAX = 5


def plain(name: Name) -> str:
    """Write a name as JSON fields show it: without the final dot, but ``.`` for the root."""
    return to_text(name).removesuffix(".") or "."


def read_name(text: str, origin: Name | None = None) -> Name:
    """Read a name; the final dot may be left out. Raises ``Problem``."""
    try:
        return from_text(text, origin) if text == "@" else from_text(text)
    except BadName as error:
        raise Problem("invalid", f"{text!r} is not a name: {error}") from None


def read_type(text: str) -> int:
    """Read a record type. Raises ``Problem``."""
    try:
        return type_from_text(text.upper())
    except BadRdata as error:
        raise Problem("invalid", str(error), "a mnemonic such as AAAA, or TYPE65") from None


def read_contact(text: str) -> Name:
    """Read an SOA's mailbox: a name, or an e-mail address (RFC 1035 section 8). Raises ``Problem``."""
    local, at, domain = text.rpartition("@")
    if not at or text == "@":
        return read_name(text)
    try:
        return from_labels([local.encode(), *iter_labels(from_text(domain))])
    except BadName as error:
        raise Problem("invalid", f"{text!r} is not a mailbox: {error}") from None


def closest_zone(state: State, name: Name) -> Zone | None:
    """Return the longest of our zones that holds the name, or None."""
    for ancestor in iter_ancestors(name):
        zone = state.zones.get(ancestor)
        if zone is not None:
            return zone
    return None


def named_zone(state: State, text: str, name: Name | None = None) -> Zone:
    """Return the zone that a path names; ``-`` is the longest that holds ``name``. Raises ``Problem``."""
    if text == "-" and name is not None:
        zone = closest_zone(state, name)
        if zone is None:
            raise no_zone_for(state, name)
        return zone
    apex = read_name(text)
    zone = state.zones.get(apex)
    if zone is None:
        raise Problem("not_found", f"there is no zone {plain(apex)}", _zones_hint(state))
    return zone


def zone_for_write(context: ApiContext, text: str, name: Name) -> tuple[Name, ZoneSettings | None]:
    """Return the zone a change goes to, and the settings to create it with in development mode."""
    state = context.state()
    if not context.dev or closest_zone(state, name) is not None or text not in ("-", ""):
        return named_zone(state, text or "-", name).name, None
    apex = _new_apex(name)
    return apex, default_settings(apex)


def default_settings(apex: Name) -> ZoneSettings:
    """Return the settings of a zone that nobody described."""
    return ZoneSettings(
        nameservers=(_below(b"ns1", apex),),
        contact=_below(b"hostmaster", apex),
    )


def no_zone_for(state: State, name: Name) -> Problem:
    """Say that a name lies in none of our zones, and which there are."""
    return Problem(
        "not_found",
        f"{plain(name)} is in none of this cluster's zones; nothing was changed",
        _zones_hint(state),
    )


def _zones_hint(state: State) -> str:
    names = [plain(name) for name in sorted(state.zones, key=sort_key)]
    if not names:
        return "there are no zones yet; create one: qdns zone create NAME"
    more = len(names) - _SHOWN_ZONES_MAX
    shown = ", ".join(names[:_SHOWN_ZONES_MAX]) + (f" and {more} more" if more > 0 else "")
    return f"the zones are: {shown}"


def _new_apex(name: Name) -> Name:
    """Return the last two labels of the name, or the last alone when the other could be no zone."""
    labels = list(iter_labels(name))[-2:]
    if len(labels) == 2 and labels[0][:1] in (b"*", b"_"):
        labels = labels[1:]
    return from_labels(labels) if labels else ROOT


def _below(label: bytes, apex: Name) -> Name:
    return from_labels([label, *iter_labels(apex)])
