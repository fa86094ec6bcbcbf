"""The tables of healthchecks, and how votes become a verdict, as they stand in ``cluster.toml``."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, PlainValidator, Tag

from node.config.fields import DomainName, DurationMs, Table, Word, kind_of, text_reader, written
from node.health.rule import Rule, read_rule
from node.zone.rrset import BadRdata, type_from_text


def _rule(value: Any) -> Rule:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f'must be a word such as "any", a number of nodes or a share, not {kind_of(value)}')  # noqa: TRY004 - pydantic's way
    return read_rule(value)


RuleText = Annotated[Rule, PlainValidator(_rule, json_schema_input_type=str | int)]
"""How votes become a verdict."""


class TlsCheckTable(Table):
    """``tls`` of a healthcheck: what is asked of the certificate."""

    verify: bool = True
    warn_expiry: DurationMs | None = None


def _status_range(value: Any) -> tuple[int, int]:
    """Read ``301`` or ``"200-299"``."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    match = re.fullmatch(r"([0-9]{3})(?:-([0-9]{3}))?", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'{value!r} is not an HTTP status; write 204 or "200-299"')
    low, high = int(match[1]), int(match[2] or match[1])
    if not 100 <= low <= high <= 599:
        raise ValueError(f"{value!r}: HTTP status codes go from 100 to 599")
    return low, high


StatusRange = Annotated[tuple[int, int], BeforeValidator(_status_range, json_schema_input_type=int | str)]


def _type(text: str) -> int:
    try:
        return type_from_text(text)
    except BadRdata as error:
        raise ValueError(str(error)) from None


def read_check_form(value: Any) -> Any:
    """Read the short form of a check, a text, as its long one."""
    if isinstance(value, str):
        return {"url" if "://" in value and not value.startswith("tcp://") else "tcp": value}
    if not isinstance(value, dict):
        raise ValueError(f'must be a text like "http://{{}}:80/" or a table, not {kind_of(value)}')  # noqa: TRY004 - pydantic's way
    return value


class CheckTable(Table):
    """[services.healthcheck]: how an endpoint is probed; a text is short for ``url`` or ``tcp``.

    One of ``url`` to ``exec``, or ``parts``, says what is done; the rest are options of that.
    """

    url: str | None = None
    tcp: str | None = None
    dns: str | None = None
    udp: str | None = None
    grpc: str | None = None
    icmp: bool | None = None
    exec: Word | None = None
    parts: list[Annotated["PartTable", BeforeValidator(read_check_form)]] | None = None
    needed: Literal["all", "any"] | Annotated[int, Field(ge=1, le=8)] = "all"
    tls: Annotated[
        Annotated[str, Tag("text")] | Annotated[TlsCheckTable, Tag("table")],
        Discriminator(lambda value: "text" if isinstance(value, str) else "table"),
    ] = TlsCheckTable()
    method: Annotated[str, Field(pattern=r"^[A-Z]{1,16}$")] = "GET"
    host: str = ""
    expect_status: Annotated[list[StatusRange], Field(min_length=1)] = written(["200-399"])
    expect_body: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    send: str = ""
    expect: str = ""
    query_name: DomainName | None = None
    query_type: Annotated[int, PlainValidator(text_reader(_type), json_schema_input_type=str)] = written("A")
    expect_rcodes: Annotated[list[Annotated[int, Field(ge=0, le=15)]], Field(min_length=1)] = written([0])
    service: str = ""
    verify: bool = True


class PartTable(CheckTable):
    """One check of a composite one."""

    must_pass: bool = False
    observe_only: bool = False
