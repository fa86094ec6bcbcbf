"""One entry of every kind of command, every field of it filled; what the golden file of commands was made from."""

import json
from pathlib import Path
from typing import get_args

from node.health.service import Check, Endpoint, Part, Service
from node.state.api_tokens import ApiToken, NoteTokenUses, PutToken, RevokeToken
from node.state.command import (
    AddRdatas,
    Ballot,
    BeginRestore,
    CastVotes,
    ChangeZone,
    Command,
    CommitImport,
    Decline,
    DeleteEndpoint,
    DeleteRRset,
    DeleteService,
    DeleteZone,
    DropImports,
    DropVotes,
    Entry,
    ExpireLeases,
    Grant,
    LeaseWish,
    Member,
    Prerequisite,
    PutEndpoint,
    PutRRset,
    PutService,
    PutZone,
    RemoveRdatas,
    RestorePieces,
    Seed,
    SetFormat,
    StageImport,
    Ticket,
    Together,
    ZoneSettings,
    encode,
)
from node.state.notices import ReportNotice
from node.state.operations import (
    ClearOverrides,
    EndWaits,
    KeepSchedule,
    Place,
    SetMaintenance,
    SetOverrides,
)
from node.state.pushes import DeleteTarget, HoldPush, PutTarget, ReportPush, SteerPush, Target
from node.state.votes import Abstention, WithdrawVotes
from node.zone.lease import LeaseKey
from node.zone.name import from_text
from node.zone.rrset import RRset

GOLDEN = Path(__file__).parent.parent / "golden" / "commands-v1.json"
ZONE, WWW = from_text("example.org"), from_text("www.example.org")
_SETTINGS = ZoneSettings((from_text("ns1.example.org"),), from_text("host.example.org"), 1, 2, 3, 4, 5)
_RRSET = RRset(WWW, 1, 60, (b"\xc0\x00\x02\x01", b"\xc0\x00\x02\x02"), "a comment", disabled=True)
_PART = Part(Check("tcp", 22, send="a", expect="b"), must_pass=True)
_CHECK = Check("https", 443, "/health", "HEAD", "host.test", ((200, 299),), "ok", (("X-A", "b"),), verify=False)
_ENDPOINT = Endpoint("192.0.2.1", "one", 2, 3, ("ns1",), "198.51.100.1")
_SERVICE = Service(WWW, ZONE, _CHECK, (_ENDPOINT,), 7, 3000, 500, 250, 3, 4, 75, "active-standby")
_COMPOSITE = Service(WWW, ZONE, Check("composite", 0, parts=(_PART,), needed=1), (Endpoint("2001:db8::1"),))
_TARGET = Target(
    "knot", "rfc2136", "192.0.2.53:53", (ZONE,), "all", "key", "native", "u", "t", 9, "name", fence=True
)
_KEY = LeaseKey(ZONE, WWW, 1, b"\xc0\x00\x02\x01")
_MEMBER = Member("ns1", "192.0.2.11:7300", "http://192.0.2.11:7380", "fra")

COMMANDS: tuple[Command, ...] = (
    Seed((_MEMBER,), (PutZone(ZONE, _SETTINGS, (_RRSET,), 1),), (_SERVICE,), (_TARGET,)),
    PutZone(ZONE, _SETTINGS, (_RRSET,), 0),
    DeleteZone(ZONE, 7),
    ChangeZone(
        ZONE,
        (PutRRset(_RRSET), AddRdatas(_RRSET), RemoveRdatas(_RRSET), DeleteRRset(WWW, 255)),
        (Prerequisite("rrset-equals", WWW, 1, (b"\xc0\x00\x02\x01",)),),
        _SETTINGS,
        3,
        (LeaseWish(_KEY, 300),),
        keep_leases=True,
    ),
    PutService(_SERVICE, 1),
    PutService(_COMPOSITE),
    DeleteService(WWW, 2),
    PutEndpoint(WWW, _ENDPOINT, 3),
    DeleteEndpoint(WWW, "192.0.2.1", 4),
    CastVotes("ns1", (Ballot(WWW, "192.0.2.1", up=False, latency_ms=12, evidence="HTTP 503"),), 5),
    DropVotes("ns2"),
    ExpireLeases((Grant(_KEY, 6),)),
    ReportPush("knot", "ns1", 8, ok=False, detail="timed out"),
    PutTarget(_TARGET, 9),
    DeleteTarget("knot", 10),
    SetFormat(1),
    BeginRestore("f11e", (_MEMBER,), 1, 65_536, "prod at index 7"),
    RestorePieces("f11e", 3, (b"\x92\xa3end\xa0", b"\x00\xff")),
    Decline("conflict", "why", "hint"),
    StageImport("id", ZONE, 1, (PutRRset(_RRSET),), 7, _SETTINGS),
    CommitImport("id", ZONE, 2, 8),
    DropImports((("id", 9),)),
    SetOverrides((Place(WWW, "192.0.2.1"),), "drain", 5, allow_empty=True, automated=True),
    ClearOverrides((Place(WWW, "192.0.2.1"),)),
    SetMaintenance(WWW, True, 5, 6),
    KeepSchedule(7),
    SteerPush("knot", "pause"),
    HoldPush("knot", "ns1", 9, ZONE, 7, 8),
    SetOverrides((Place(WWW, "192.0.2.1"),), "down", released=(Place(WWW, "192.0.2.2"),)),
    ReportNotice("ops", "ns1", "failed", 7, "HTTP 503"),
    PutToken(ApiToken("ci", b"\x01" * 32, ("records:write zone=example.org", "acme"), 5), 9),
    RevokeToken("ci", 10),
    EndWaits((Place(WWW, "192.0.2.1"),)),
    Together((PutZone(ZONE, _SETTINGS), DeleteService(WWW, 2))),
    PutToken(ApiToken("ci", b"\x01" * 32, ("admin",)), 9, keeps_administrator=True),
    RevokeToken("ci", 10, keeps_administrator=True),
    NoteTokenUses(20_000, ("ci", "gone")),
    WithdrawVotes("ns1", (Abstention(WWW, "192.0.2.1", "not tried for 7 s"),), 5),
    NoteTokenUses(20_000, ("ci",), corrects=True),
)
ENTRIES = tuple(
    Entry(command, 1_700_000_000_000 + number, "actor", "reason", Ticket("client", number, b"\x01" * 8, 4))
    for number, command in enumerate(COMMANDS)
)


def kind_of(entry: Entry) -> str:
    """Return the name of an entry's kind."""
    return type(entry.command).__name__


def kinds() -> set[str]:
    """Return the names of all kinds."""
    return {each.__name__ for each in get_args(Command)}


def main() -> None:
    """Add the kinds to the golden file that it lacks; what stands in it is never changed."""
    known = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else []
    have = {each["kind"] for each in known}
    known += [
        {"kind": kind_of(entry), "number": number, "octets": encode(entry).hex()}
        for number, entry in enumerate(ENTRIES)
        if kind_of(entry) not in have
    ]
    GOLDEN.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
