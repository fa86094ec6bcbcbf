"""The registers of the simulation: TXT records of one zone, written by the commands that real clients send."""

from node.state.command import ChangeZone, DeleteRRset, PutRRset, ZoneSettings
from node.state.state import State
from node.zone.name import Name, from_text
from node.zone.rrset import make

ZONE = from_text("sim.test")
TXT = 16
_SETTINGS = ZoneSettings(nameservers=(from_text("ns.sim.test"),), contact=from_text("host.sim.test"))


def name_of(key: str) -> Name:
    return from_text(key, ZONE)


def put(key: str, value: str, if_index: int | None = None) -> ChangeZone:
    """Return the command that writes a value of up to 255 octets; the zone comes with the first of them."""
    text = value.encode()
    rrset = make(name_of(key), TXT, 60, [bytes((len(text),)) + text])
    return ChangeZone(ZONE, (PutRRset(rrset),), create=_SETTINGS, if_index=if_index)


def delete(key: str) -> ChangeZone:
    """Return the command that takes a key away."""
    return ChangeZone(ZONE, (DeleteRRset(name_of(key), TXT),), create=_SETTINGS)


def value_of(state: State, key: str) -> str | None:
    """Return what stands at a key."""
    zone = state.zones.get(ZONE)
    rrset = zone.get(name_of(key), TXT) if zone is not None else None
    return rrset.rdatas[0][1:].decode() if rrset is not None else None


def index_of_value(state: State, key: str) -> int:
    """Return where the log last changed the key; 0 for never."""
    zone = state.zones.get(ZONE)
    node = zone.node(name_of(key)) if zone is not None else None
    return node.index if node is not None else 0
