"""The names a command carries, all of which must be canonical before anything is done with them.

Decoding takes any octets for a name, and what walks the labels of one relies on its form.
"""

from collections.abc import Iterator
from itertools import filterfalse
from typing import Any

from node.health.service import Check
from node.state.command import (
    CastVotes,
    Change,
    ChangeZone,
    CommitImport,
    DeleteEndpoint,
    DeleteRRset,
    DeleteService,
    DeleteZone,
    ExpireLeases,
    PutEndpoint,
    PutService,
    PutZone,
    Seed,
    StageImport,
    Together,
    ZoneSettings,
)
from node.state.operations import (
    ClearOverrides,
    EndWaits,
    SetMaintenance,
    SetOverrides,
)
from node.state.pushes import PutTarget
from node.state.votes import WithdrawVotes
from node.zone.name import Name, is_canonical


def bad_name(command: Any) -> bytes | None:
    """Return the first name of a command that is not in canonical form, or None."""
    return next(filterfalse(is_canonical, _names(command)), None)


def _names(command: Any) -> Iterator[Name]:
    match command:
        case Seed():
            for zone in command.zones:
                yield from _names(zone)
            for service in command.services:
                yield from _names(PutService(service))
            for target in command.targets:
                yield from target.zones
        case Together():
            for step in command.steps:
                yield from _names(step)
        case PutZone():
            yield from (command.zone, *_of_settings(command.settings))
            yield from dict.fromkeys(rrset.name for rrset in command.rrsets)
        case ChangeZone():
            yield command.zone
            if command.create:
                yield from _of_settings(command.create)
            yield from _of_changes(command.changes)
            for prerequisite in command.prerequisites:
                yield prerequisite.name
            for wish in command.leases:
                yield from (wish.key.zone, wish.key.name)
        case StageImport():
            yield from (command.zone, *(_of_settings(command.create) if command.create else ()))
            yield from _of_changes(command.changes)
        case CommitImport():
            yield command.zone
        case ExpireLeases():
            yield from (name for grant in command.grants for name in (grant.key.zone, grant.key.name))
        case PutService():
            yield from (command.service.fqdn, command.service.zone, *_of_check(command.service.check))
        case DeleteZone():
            yield command.zone
        case SetOverrides() | ClearOverrides() | EndWaits():
            yield from dict.fromkeys(place.fqdn for place in command.places)
        case SetMaintenance():
            yield command.fqdn
        case DeleteService() | PutEndpoint() | DeleteEndpoint():
            yield command.fqdn
        case CastVotes():
            yield from dict.fromkeys(ballot.fqdn for ballot in command.ballots)
        case WithdrawVotes():
            yield from dict.fromkeys(each.fqdn for each in command.abstentions)
        case PutTarget():
            yield from command.target.zones


def _of_settings(settings: ZoneSettings) -> tuple[Name, ...]:
    return (*settings.nameservers, settings.contact)


def _of_changes(changes: tuple[Change, ...]) -> dict[Name, None]:
    """Return the names, each once."""
    return {change.name if isinstance(change, DeleteRRset) else change.rrset.name: None for change in changes}


def _of_check(check: Check) -> Iterator[Name]:
    """Yield the names that dns checks ask for; an empty one stands for the service's own."""
    for each in (check, *(part.check for part in check.parts)):
        if each.query_name:
            yield each.query_name
