"""``/v1/acme``: challenges of certificate authorities, one record at a time; what lego calls ``httpreq``.

Additive on purpose: two clients that prove one name at once each keep their own value.
"""

from pydantic import Field

from node.api.body import Body, read_model
from node.api.context import ApiContext
from node.api.handlers.common import write
from node.api.message import Proposal, Request
from node.api.names import closest_zone, no_zone_for, read_name
from node.api.problem import Problem
from node.state.command import AddRdatas, ChangeZone, RemoveRdatas
from node.zone.name import Name
from node.zone.rrset import TXT, RRset, make

TTL_S = 5


class ChallengeBody(Body):
    """A challenge as lego's ``httpreq`` sends it."""

    fqdn: str = Field(examples=["_acme-challenge.www.example.org."])
    value: str = Field(min_length=1, max_length=255)


def present(context: ApiContext, request: Request) -> Proposal:
    """Add a challenge's record beside those that are there."""
    zone, rrset = _meant(context, request)
    return write(ChangeZone(zone, (AddRdatas(rrset),)), lambda _state: None)


def cleanup(context: ApiContext, request: Request) -> Proposal:
    """Take a challenge's record away; one that is not there is gone already."""
    zone, rrset = _meant(context, request)
    return write(ChangeZone(zone, (RemoveRdatas(rrset),)), lambda _state: None)


def _meant(context: ApiContext, request: Request) -> tuple[Name, RRset]:
    """Return the zone and the one record that the body names. Raises ``Problem``."""
    body = read_model(ChallengeBody, request)
    name, octets = read_name(body.fqdn), body.value.encode()
    state = context.state()
    zone = closest_zone(state, name)
    if zone is None:
        raise no_zone_for(state, name)
    if len(octets) > 255:
        raise Problem("invalid", f"the value has {len(octets)} octets, 255 fit; nothing was changed")
    present = zone.get(name, TXT)
    settings = state.zone_settings.get(zone.name)
    usual = settings.default_ttl if settings is not None else TTL_S
    ttl = present.ttl if present is not None else usual
    return zone.name, make(name, TXT, ttl, [bytes((len(octets),)) + octets])
