"""A log of one node in memory: what proposes, applies and answers, for tests of updates and transfers."""

from node.dns.grants import Access, grant_from_text
from node.dns.respond import RespondSettings, View
from node.dns.tsig import Key
from node.state.command import ChangeZone, Command, Entry, Member, PutZone, Seed, ZoneSettings, encode
from node.state.machine import apply
from node.state.state import Accepted, State
from node.zone.name import Name, from_text
from node.zone.rrset import RRset
from raft.proposal import Committed, NotCommitted, Outcome

KEYS = {
    from_text(name): Key(from_text(name), from_text("hmac-sha256"), b"secret-secret-secret-12345678")
    for name in ("all", "acme", "none", "xfr")
}
ACCESS = Access(
    updates={
        from_text("all"): (grant_from_text("**.example"),),
        from_text("acme"): (grant_from_text("_acme-challenge.*.example TXT"),),
    },
    transfer_keys=frozenset({from_text("xfr")}),
    transfer_networks=(),
)
ZONE = from_text("example.")


class Log:
    """A state, and ``propose`` as the cluster has it."""

    def __init__(self, *rrsets: RRset, access: Access = ACCESS) -> None:
        self.state = State()
        self.index = 0
        self.proposals: list[tuple[Command, str]] = []
        self.has_quorum = True
        self.settings = RespondSettings(keys=KEYS, access=access)
        settings = ZoneSettings((from_text("ns1.example."),), from_text("host.example."))
        seeded = self.apply(Seed((Member("ns1"),), zones=(PutZone(ZONE, settings, rrsets),)))
        assert isinstance(seeded, Committed)
        assert isinstance(seeded.result, Accepted), seeded.result

    def apply(self, command: Command) -> Outcome:
        """Append a command and apply it."""
        self.index += 1
        applied = apply(self.state, self.index, encode(Entry(command, 0)))
        self.state = applied.state
        return Committed(self.index, applied.result)

    async def propose(self, command: ChangeZone, /, *, actor: str) -> Outcome:
        """Propose as the cluster does."""
        self.proposals.append((command, actor))
        return (
            self.apply(command) if self.has_quorum else NotCommitted("no-quorum", "only 1 of 3 nodes is here")
        )

    def view(self) -> View:
        """Return what is answered from now."""
        return View(self.state.zones, ready=True, node="ns1", settings=self.settings)

    def zone_names(self) -> set[Name]:
        """Return the names of the zone."""
        return set(self.state.zones[ZONE].nodes)
