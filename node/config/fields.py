"""The kinds of values that the file's keys take, as pydantic types that read them from text.

A reader gets what the TOML parser gave and returns the program's value, or raises ``ValueError``
with a sentence; pydantic collects the sentences of all keys.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

from node.config.addresses import is_any, join, parse_endpoint, parse_url
from node.config.units import parse_duration_ms, parse_percent
from node.health.service import canonical_address
from node.state.api_url import parse_api_url
from node.state.scopes import read_scope
from node.zone.name import BadName, Name, from_text, to_text

WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
ADDRESS_PLACEHOLDER = "{address}"
LABEL_CHARACTERS_MAX = 64

_T = TypeVar("_T")


class Table(BaseModel):
    """A table of the file: no unknown keys, no silent conversions."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, validate_default=True)


def written(default: object) -> Any:
    """Give a key its default as it would be written in the file; it is read like a given value."""
    return Field(default=default)


def text_reader(read: Callable[[str], _T]) -> Callable[[Any], _T]:
    """Return a reader that takes texts alone."""

    def reader(value: Any) -> _T:
        if not isinstance(value, str):
            raise ValueError(f"must be a text in quotes, not {kind_of(value)}")  # noqa: TRY004 - pydantic's way
        return read(value)

    return reader


def kind_of(value: object) -> str:
    """Say in the words of TOML what kind of value this is."""
    kinds = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "a table",
    }
    return next((words for kind, words in kinds.items() if isinstance(value, kind)), "a date or time")


def _word(text: str) -> str:
    if not WORD.fullmatch(text):
        raise ValueError(f"{text!r} cannot be a name; use up to 63 letters, digits, dots and hyphens")
    return text


def _label(text: str) -> str:
    if len(text) > LABEL_CHARACTERS_MAX or not text.isprintable():
        raise ValueError(f"must be at most {LABEL_CHARACTERS_MAX} printable characters")
    return text


def _file_path(text: str) -> str:
    if not text or "\x00" in text:
        raise ValueError(f"{text!r} cannot be the name of a file or directory")
    return text


def _name(text: str) -> Name:
    try:
        return from_text(text)
    except BadName as error:
        raise ValueError(str(error)) from None


def key_name(text: str) -> str:
    """Read the name of a TSIG key, which is a domain name (RFC 8945 section 4.2), as lower-case text."""
    name = to_text(_name(text)).rstrip(".")
    if not name:
        raise ValueError("a key needs a name")
    return name


def _contact(text: str) -> Name:
    """Read ``user@example.com``, or the same as the domain name of an SOA (RFC 1035 section 8)."""
    user, at, domain = text.partition("@")
    if not at:
        return _name(text)
    escaped = re.sub(r"([.\\])", r"\\\1", user)
    return _name(f"{escaped}.{domain}")


def _scope(text: str) -> str:
    read_scope(text)
    return " ".join(text.split())


def _node_address(text: str) -> str:
    host, port = parse_endpoint(text)
    if is_any(host):
        raise ValueError(
            f"{text!r} is no address that other nodes can reach; use bind to listen on all addresses"
        )
    return join(host, port)


def _bind_address(text: str) -> str:
    return join(*parse_endpoint(text))


def _listen_address(text: str) -> str:
    """Read an address to listen on; ``{address}`` stays for the node's own."""
    if text.startswith(f"{ADDRESS_PLACEHOLDER}:"):
        _, port = parse_endpoint("127.0.0.1" + text.removeprefix(ADDRESS_PLACEHOLDER))
        return f"{ADDRESS_PLACEHOLDER}:{port}"
    return join(*parse_endpoint(text))


def _server_address(text: str) -> str:
    return join(*parse_endpoint(text, default_port=53))


def _host_port(text: str) -> str:
    """Read ``stats.example.net:8125`` or an address with a port."""
    parse_api_url(f"http://{text}")
    return text


def _prefix(text: str) -> str:
    if text and not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", text):
        raise ValueError(f'{text!r} cannot stand before metrics; write "rrdnsd" or "dns.prod"')
    return text


_STRING = {"json_schema_input_type": str}

Word = Annotated[str, PlainValidator(text_reader(_word), **_STRING)]
"""The name of a node, a push target, a token."""
Label = Annotated[str, PlainValidator(text_reader(_label), **_STRING)]
"""A word or two for people."""
FilePath = Annotated[str, PlainValidator(text_reader(_file_path), **_STRING)]
DomainName = Annotated[Name, PlainValidator(text_reader(_name), **_STRING)]
KeyName = Annotated[str, PlainValidator(text_reader(key_name), **_STRING)]
Contact = Annotated[Name, PlainValidator(text_reader(_contact), **_STRING)]
IpAddress = Annotated[str, PlainValidator(text_reader(canonical_address), **_STRING)]
NodeAddress = Annotated[str, PlainValidator(text_reader(_node_address), **_STRING)]
BindAddress = Annotated[str, PlainValidator(text_reader(_bind_address), **_STRING)]
ListenAddress = Annotated[str, PlainValidator(text_reader(_listen_address), **_STRING)]
ScopeText = Annotated[str, PlainValidator(text_reader(_scope), **_STRING)]
"""What a token may do."""
ServerAddress = Annotated[str, PlainValidator(text_reader(_server_address), **_STRING)]
HostPort = Annotated[str, PlainValidator(text_reader(_host_port), **_STRING)]
"""A host by name or address, with a port."""
StatsdPrefix = Annotated[str, PlainValidator(text_reader(_prefix), **_STRING)]
ApiAddress = Annotated[str, PlainValidator(text_reader(parse_api_url), **_STRING)]
ApiUrl = Annotated[str, PlainValidator(text_reader(parse_url), **_STRING)]
"""Where somebody else's HTTP API begins."""
DurationMs = Annotated[int, PlainValidator(text_reader(parse_duration_ms), **_STRING)]
Percent = Annotated[int, PlainValidator(text_reader(parse_percent), **_STRING)]
Ttl = Annotated[int, Field(ge=1, le=604_800)]
Count = Annotated[int, Field(ge=1, le=100)]
Listed = BeforeValidator(lambda value: [value] if isinstance(value, str) else value, json_schema_input_type=Any)
"""A list that may be written as one text."""
