"""Bodies as PowerDNS' clients send them. Unknown keys are let pass: Go clients send more than is asked for."""

from pydantic import BaseModel, Field

from node.zone.rrset import RDATAS_MAX


class Record(BaseModel):
    """One record in master-file text."""

    content: str
    disabled: bool = False


class Comment(BaseModel):
    """A remark on an RRset; the account is not kept."""

    content: str = ""


class RRsetChange(BaseModel):
    """What is to become of an RRset."""

    name: str
    type: str
    changetype: str = "REPLACE"
    ttl: int | None = None
    records: list[Record] | None = Field(None, max_length=RDATAS_MAX)
    comments: list[Comment] | None = None


class ZonePatch(BaseModel):
    """Changes of one zone, all or nothing."""

    rrsets: list[RRsetChange]


class ZoneSettings(BaseModel):
    """What a zone is to be; all but its kind is let pass and not kept."""

    kind: str | None = None


class ZoneCreation(ZoneSettings):
    """A new zone."""

    name: str
    nameservers: list[str] | None = None
    rrsets: list[RRsetChange] | None = None
