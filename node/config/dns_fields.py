"""The kinds of values that only [dns] and [[tsig]] have: access entries, networks, grants, secondaries."""

import ipaddress
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainValidator

from node.config.addresses import join, parse_endpoint
from node.config.fields import key_name, text_reader
from node.config.model import Allowed, Secondary
from node.dns.grants import Grant, grant_from_text
from node.dns.networks import Network

_KEY = "key:"
_DNS_PORT = 53


def _allowed(text: str) -> Allowed:
    """Read ``key:NAME``, an address or a network."""
    if text.startswith(_KEY):
        return Allowed(text, key=key_name(text.removeprefix(_KEY)))
    return Allowed(text, network=_network(text))


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        whole = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f'{text!r} is neither "key:NAME" nor an address nor a network like "10.0.0.0/8"'
        ) from None
    raise ValueError(f'{text!r} has bits set beyond its prefix; write "{whole}"')


def _secondary(text: str) -> Secondary:
    """Read ``203.0.113.53``, ``203.0.113.53:5353`` or one of both with `` key:NAME`` behind it."""
    address, _, rest = text.partition(" ")
    rest = rest.strip()
    if rest and not rest.startswith(_KEY):
        raise ValueError(f'{rest!r} is not "key:NAME"; write "203.0.113.53" or "203.0.113.53:53 key:NAME"')
    key = key_name(rest.removeprefix(_KEY)) if rest else ""
    return Secondary(join(*parse_endpoint(address, default_port=_DNS_PORT)), key)


def _grant(text: str) -> Grant:
    try:
        return grant_from_text(text)
    except ValueError as error:
        raise ValueError(f'{error}; write a name and types: "_acme-challenge.*.example.com TXT"') from None


def _false_is_none(value: Any) -> Any:
    return None if value is False else value


_STRING = {"json_schema_input_type": str}

AllowedEntry = Annotated[Allowed, PlainValidator(text_reader(_allowed), **_STRING)]
NetworkEntry = Annotated[Network, PlainValidator(text_reader(_network), **_STRING)]
SecondaryEntry = Annotated[Secondary, PlainValidator(text_reader(_secondary), **_STRING)]
GrantEntry = Annotated[Grant, PlainValidator(text_reader(_grant), **_STRING)]
OrFalse = BeforeValidator(_false_is_none, json_schema_input_type=Any)
"""A table that ``false`` turns off."""
