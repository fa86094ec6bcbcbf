"""The tables of [[notify]]: who is told of events, and of which."""

from typing import Annotated, Literal

from pydantic import Field, PlainValidator

from node.config.addresses import parse_url
from node.config.fields import Listed, Table, Word, text_reader
from node.config.messages import did_you_mean
from node.notify.names import NAMES, Severity, matches

EVENTS_MAX = 64
MAIL_PORTS = {"starttls": 587, "implicit": 465, "none": 25}


def _event(text: str) -> str:
    """Read a pattern of event names; one that fits none is a mistake."""
    if not any(matches((text,), name) for name in NAMES):
        raise ValueError(f'there is no event "{text}"; {did_you_mean(text, NAMES)}')
    return text


def _pattern(text: str) -> str:
    if not text or not text.isprintable() or " " in text:
        raise ValueError(f'{text!r} is no pattern of service names; write "*.example.com"')
    return text.rstrip(".").lower()


def _mailbox(text: str) -> str:
    local, at, domain = text.rpartition("@")
    if not (local and at and domain and text.isascii() and text.isprintable()) or any(
        c in text for c in ' ,;<>"'
    ):
        raise ValueError(f'{text!r} is no mail address; write "dns@example.net"')
    return text


def _mail_server(text: str) -> str:
    """Read ``mail.example.net`` or ``mail.example.net:587``, ``[2001:db8::1]:25``."""
    parse_url(f"http://{text}")
    if "/" in text:
        raise ValueError(f'{text!r} is no server; write "mail.example.net:587"')
    return text


_STRING = {"json_schema_input_type": str}
EventPattern = Annotated[str, PlainValidator(text_reader(_event), **_STRING)]
ServicePattern = Annotated[str, PlainValidator(text_reader(_pattern), **_STRING)]
Mailbox = Annotated[str, PlainValidator(text_reader(_mailbox), **_STRING)]
MailServer = Annotated[str, PlainValidator(text_reader(_mail_server), **_STRING)]


class NotifyTable(Table):
    """[[notify]]: one who is told of what the cluster decides."""

    name: Word
    type: Literal["webhook", "script", "mail"]
    events: Annotated[list[EventPattern], Listed, Field(min_length=1, max_length=EVENTS_MAX)] = Field(
        default_factory=lambda: ["*"]
    )
    services: Annotated[list[ServicePattern], Listed, Field(max_length=EVENTS_MAX)] = Field(
        default_factory=list
    )
    severity: Severity = "warning"
    url: str | None = None
    secret: str | None = None
    argv: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=64)] | None = None
    server: MailServer | None = None
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    user: str | None = None
    password: str | None = None
    sender: Mailbox | None = None
    to: Annotated[list[Mailbox], Listed, Field(min_length=1, max_length=32)] | None = None
