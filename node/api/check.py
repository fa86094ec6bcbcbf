"""Checks and decision rules in the bodies of ``/v1``: the forms they have there, and the values they stand for."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from node.api.body import Body
from node.api.names import plain
from node.health.check_options import OPTIONS, composed, has_meaning, require_pattern, with_options
from node.health.check_text import read_check
from node.health.rule import Rule, RuleKind, problem, read_rule
from node.health.service import PARTS_MAX, PORTLESS_KINDS, Check, CheckKind, Part
from node.zone.name import BadName, Name, from_text
from node.zone.rrset import BadRdata, type_from_text, type_to_text


def _pattern(text: str) -> str:
    require_pattern(text)
    return text


def _name(text: str) -> str:
    try:
        return plain(from_text(text)) if text else ""
    except BadName as error:
        raise ValueError(str(error)) from None


def _type(text: str) -> str:
    try:
        return type_to_text(type_from_text(text))
    except BadRdata as error:
        raise ValueError(str(error)) from None


class CheckBody(Body):
    """How endpoints are probed; which key means something to which kind stands in ``node.health.check_options``."""

    kind: CheckKind
    port: int = Field(
        0, ge=0, le=65_535, description="not for icmp, exec, composite and push", validate_default=True
    )
    path: str = "/"
    method: str = "GET"
    host: str = ""
    expect_status: list[Annotated[list[int], Field(min_length=2, max_length=2)]] = Field(default=[[200, 399]])
    expect_body: Annotated[str, AfterValidator(_pattern)] = ""
    headers: dict[str, str] = Field(default={})
    verify: bool = True
    send: str = ""
    expect: str = ""
    warn_expiry_days: int = 0
    query_name: Annotated[str, AfterValidator(_name)] = Field("", description="empty: the service's own name")
    query_type: Annotated[str, AfterValidator(_type)] = "A"
    expect_rcodes: list[int] = Field(default=[0])
    tls: bool = Field(False, description="whether grpc goes over TLS")
    grpc_service: str = ""
    command: str = Field("", description="name of a command of every node's own configuration (exec)")
    parts: list["PartBody"] = Field([], max_length=PARTS_MAX)
    lease_s: int = Field(60, description="how long a heartbeat counts (push)")
    needed: int = Field(0, description="how many parts of a composite check must be good; 0: all")

    @field_validator("port")
    @classmethod
    def _has_port(cls, port: int, info: ValidationInfo) -> int:
        if not port and info.data.get("kind", "icmp") not in PORTLESS_KINDS:
            raise ValueError("is required")
        return port

    @field_validator("*")
    @classmethod
    def _has_meaning(cls, value: Any, info: ValidationInfo) -> Any:
        kind, key = info.data.get("kind"), str(info.field_name)
        is_foreign = kind is not None and key in CheckBody.model_fields and not has_meaning(kind, key)
        if is_foreign and value != cls.model_fields[key].default:
            raise ValueError(f"has no meaning in a check of kind {kind}")
        return value

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        self.check()
        return self

    def check(self) -> Check:
        """Return the check this stands for. Raises ``ValueError``."""
        if self.kind == "composite":
            return composed([part.part() for part in self.parts], self.needed)
        options = {key: _OF_BODY.get(key, _same)(getattr(self, key)) for key in OPTIONS[self.kind]}
        return with_options(Check(self.kind, self.port), options)


class PartBody(CheckBody):
    """One check of a composite one."""

    must_pass: bool = False
    observe_only: bool = False

    def part(self) -> Part:
        """Return the part this stands for."""
        return Part(self.check(), self.must_pass, self.observe_only)


def _same(value: Any) -> Any:
    return value


_OF_BODY: Mapping[str, Callable[[Any], Any]] = {
    "expect_status": lambda value: tuple((low, high) for low, high in value),
    "headers": lambda value: tuple(value.items()),
    "query_name": lambda value: from_text(value) if value else Name(b""),
    "query_type": type_from_text,
    "expect_rcodes": tuple,
}
_OF_CHECK: Mapping[str, Callable[[Any], Any]] = {
    "expect_status": lambda value: [list(each) for each in value],
    "headers": dict,
    "query_name": lambda value: plain(value) if value != Name(b"") else "",
    "query_type": type_to_text,
    "expect_rcodes": list,
    "parts": lambda value: [_part_row(each) for each in value],
}


def check_row(check: Check) -> dict[str, Any]:
    """Return the long form of a check, as ``CheckBody`` reads it."""
    options = {key: _OF_CHECK.get(key, _same)(getattr(check, key)) for key in OPTIONS[check.kind]}
    return {"kind": check.kind, "port": check.port} | options


def _part_row(part: Part) -> dict[str, Any]:
    return check_row(part.check) | {"must_pass": part.must_pass, "observe_only": part.observe_only}


def long_check(value: object) -> object:
    """Read the one-line form of a check, a text, as its long one."""
    return check_row(read_check(value)) if isinstance(value, str) else value


class RuleBody(Body):
    """How votes become a verdict."""

    kind: Literal["majority", "any", "all", "count", "fraction", "regions"] = "majority"
    number: int = Field(default=0, description="nodes for count, percent for fraction")
    min_voters: int = 0

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        sentence = problem(self.rule())
        if sentence:
            raise ValueError(sentence)
        return self

    def rule(self) -> Rule:
        """Return the rule this stands for."""
        kind: RuleKind = self.kind
        return Rule(kind, self.number, self.min_voters)


def rule_row(rule: Rule) -> dict[str, Any]:
    """Return the long form of a rule, as ``RuleBody`` reads it."""
    return {"kind": rule.kind, "number": rule.number, "min_voters": rule.min_voters}


def long_rule(value: object) -> object:
    """Read the short form of a rule, such as ``any``, 2 or ``40%``, as its long one."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return rule_row(read_rule(value))
    return value
