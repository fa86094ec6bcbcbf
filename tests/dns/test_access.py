"""Who may update and transfer: the lists of [dns], and what refusals say."""

import time
from ipaddress import ip_network

import dns.message
import dns.query
import dns.rcode
import dns.update
import pytest

from node.dns.grants import Access, grant_from_text
from node.dns.respond import Client, Propose, RespondSettings, Send, Stream, View, respond
from node.zone.name import from_text
from tests.dns.log import KEYS
from tests.dns.test_tsig import theirs
from tests.dns.zones import zones

ZONES = zones({"example.": "www A 192.0.2.1\n"})
GRANTS = {from_text(name): (grant_from_text("**.example"),) for name in ("all", "acme")}
INSIDE, OUTSIDE = Client("10.1.2.3", "tcp"), Client("192.0.2.9", "tcp")


def view(access: Access) -> View:
    """Show the zone to those who may have it."""
    return View(ZONES, ready=True, node="ns1", settings=RespondSettings(keys=KEYS, access=access))


def signed(message: dns.message.Message, key: str) -> bytes:
    """Sign a request with another library."""
    message.use_tsig(theirs(KEYS[from_text(key)]))
    return message.to_wire()


def update(key: str) -> bytes:
    """Make an update of one record."""
    message = dns.update.UpdateMessage("example.")
    message.add("new", 60, "A", "192.0.2.7")
    return signed(message, key)


def reason(outcome: object) -> str:
    """Return the extended error of a refusal, which the log has as well."""
    assert isinstance(outcome, Send)
    answer = dns.message.from_wire(outcome.packet, keyring=False, ignore_trailing=True)
    assert dns.rcode.REFUSED == answer.rcode()
    if answer.options:
        assert outcome.note == answer.options[0].text
    return outcome.note


@pytest.mark.parametrize(
    ("access", "key", "client", "expected"),
    [
        (Access(GRANTS), "all", OUTSIDE, None),
        (Access(GRANTS), "none", OUTSIDE, "the key none has no grant"),
        (Access(GRANTS, frozenset({from_text("all")})), "all", OUTSIDE, None),
        (
            Access(GRANTS, frozenset({from_text("all")})),
            "acme",
            OUTSIDE,
            "allow_update does not list the key acme",
        ),
        (Access(GRANTS, None, (ip_network("10.0.0.0/8"),)), "acme", INSIDE, None),
        (
            Access(GRANTS, None, (ip_network("10.0.0.0/8"),)),
            "acme",
            OUTSIDE,
            "allow_update does not list the address 192.0.2.9",
        ),
        (Access(GRANTS, frozenset(), ()), "all", INSIDE, "allow_update does not list the address 10.1.2.3"),
    ],
)
def test_updates_need_a_listed_key_and_a_listed_address(
    access: Access, key: str, client: Client, expected: str | None
) -> None:
    """Both lists must agree where they say something; the rule that refuses is named."""
    outcome = respond(update(key), client, view(access), 0, int(time.time()))
    if expected is None:
        assert isinstance(outcome, Propose)
    else:
        assert expected == reason(outcome)


@pytest.mark.parametrize(
    ("key", "client", "expected"),
    [
        (None, INSIDE, None),
        ("xfr", OUTSIDE, None),
        (None, OUTSIDE, "allow_transfer does not list the address 192.0.2.9"),
        ("all", OUTSIDE, "allow_transfer lists neither the key all nor the address 192.0.2.9"),
    ],
)
def test_a_transfer_needs_a_listed_key_or_address(
    key: str | None, client: Client, expected: str | None
) -> None:
    """Either is enough."""
    access = Access(transfer_keys=frozenset({from_text("xfr")}), transfer_networks=(ip_network("10.0.0.0/8"),))
    message = dns.message.make_query("example.", "AXFR", use_edns=0)
    packet = message.to_wire() if key is None else signed(message, key)
    outcome = respond(packet, client, view(access), 0, int(time.time()))
    if expected is None:
        assert isinstance(outcome, Stream)
    else:
        assert expected == reason(outcome)


def test_two_stars_stand_for_any_number_of_labels_wherever_they_are():
    """The grant of the documentation covers challenges at, below and deep below the domain, and nothing beside it."""
    grant = grant_from_text("_acme-challenge.**.example.com TXT")
    names = ("", "www.", "a.b.")
    assert [True] * 3 == [grant.covers(from_text(f"_acme-challenge.{each}example.com"), 16) for each in names]
    others = ("example.com", "www.example.com", "_acme-challenge.example.org", "x._acme-challenge.example.com")
    assert [False] * 4 == [grant.covers(from_text(each), 16) for each in others]
    with pytest.raises(ValueError, match="more than one label"):
        grant_from_text("**.a.**.example.com")
