"""What the server counts; plain numbers, read by whoever makes metrics of them."""

from collections import Counter

from node.dns.query import NOTIFY, QUERY, UPDATE
from node.dns.respond import Drop, Send, Stream, Transport
from node.zone.rrset import type_to_text

_RCODES = {
    0: "NOERROR",
    1: "FORMERR",
    2: "SERVFAIL",
    3: "NXDOMAIN",
    4: "NOTIMP",
    5: "REFUSED",
    6: "YXDOMAIN",
    7: "YXRRSET",
    8: "NXRRSET",
    9: "NOTAUTH",
    10: "NOTZONE",
    16: "BADVERS",
    23: "BADCOOKIE",
}
_OPCODES = {QUERY: "QUERY", NOTIFY: "NOTIFY", UPDATE: "UPDATE"}


class Counters:
    """Counts since the start. Every key comes from a fixed set, so that nobody outside can make them many."""

    def __init__(self) -> None:
        self.queries: Counter[tuple[str, str]] = Counter()
        """By transport and type (``A``, ``other``; ``NOTIFY`` and ``UPDATE`` for those)."""
        self.responses: Counter[str] = Counter()
        """By rcode."""
        self.dropped: Counter[str] = Counter()
        """By reason: short, answer, limited, repeated, unsent."""
        self.cut = 0
        """Answers cut to TC by the rate limit."""
        self.connections_opened = 0
        self.connections_closed = 0
        self.failures = 0
        """Messages that met a defect of ours and were answered SERVFAIL."""

    def count(self, transport: Transport, outcome: Send | Drop | Stream) -> None:
        """Count one message and what became of it."""
        if isinstance(outcome, Drop):
            self.dropped[outcome.reason] += 1
            return
        if isinstance(outcome, Stream):
            self.queries[transport, _type_text(outcome.type)] += 1
            self.responses["NOERROR"] += 1
            return
        self.queries[transport, _kind(outcome)] += 1
        self.responses[_RCODES.get(outcome.rcode, "other")] += 1


def _kind(outcome: Send) -> str:
    if outcome.opcode != QUERY:
        return _OPCODES.get(outcome.opcode, "other")
    return "other" if outcome.type is None else _type_text(outcome.type)


def _type_text(type_: int) -> str:
    text = type_to_text(type_)
    return "other" if text.startswith("TYPE") else text
