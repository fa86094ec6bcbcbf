"""What answerers count, in memory they share with the control process; one writer for each line, no lock."""

import mmap
from collections.abc import Iterable

TYPES = {
    1: "A",
    2: "NS",
    5: "CNAME",
    6: "SOA",
    12: "PTR",
    15: "MX",
    16: "TXT",
    28: "AAAA",
    33: "SRV",
    43: "DS",
    48: "DNSKEY",
    64: "SVCB",
    65: "HTTPS",
    255: "ANY",
    257: "CAA",
}
OTHER = "other"
RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", OTHER)

_TYPE_PLACES = {number: place for place, number in enumerate(TYPES)}
_ANSWERS = (len(TYPES) + 1) * len(RCODES)

EVENTS = (
    "short",
    "answer",
    "oversized",
    "unsent",
    "handed_up",
    "shed",
    "away",
    "question_hits",
    "misses",
    "batches",
    "forgotten",
    "limited",
    "cut",
    "native",
)
"""Packets dropped for three reasons; answers the kernel refused; packets given to the control process, given up
for its full queue, refused as it was away; questions known though not octet by octet; questions looked up;
batches; cached answers forgotten after changes; answers that the rate limit kept back, or cut; answers that the compiled
reader found, which keeps none ready."""
SHORT, ANSWER, OVERSIZED, UNSENT, HANDED_UP, SHED, AWAY = range(_ANSWERS, _ANSWERS + 7)
QUESTION_HITS, MISSES, BATCHES, FORGOTTEN, LIMITED, CUT, NATIVE = range(_ANSWERS + 7, _ANSWERS + len(EVENTS))
TIMES = _ANSWERS + len(EVENTS)
TIME_BUCKETS = 24
"""Answers by the time their batch took; bucket n holds times below 2**n microseconds."""
LINE_WORDS = 256
LINES_MAX = 64
OCTETS = LINES_MAX * LINE_WORDS * 8


def answer_place(type_: int, rcode: int) -> int:
    """Return the word that counts answers of a type with an rcode."""
    kind = _TYPE_PLACES.get(type_, len(TYPES))
    return kind * len(RCODES) + min(rcode, len(RCODES) - 1)


class Stats:
    """The lines of all answerers."""

    def __init__(self, buffer: mmap.mmap) -> None:
        self.words = memoryview(buffer).cast("Q")

    def line(self, number: int) -> memoryview:
        """Return one answerer's line."""
        return self.words[number * LINE_WORDS : (number + 1) * LINE_WORDS]

    def sums(self) -> list[int]:
        """Add all lines up."""
        words = self.words.tolist()
        return [sum(words[place::LINE_WORDS]) for place in range(LINE_WORDS)]

    def close(self) -> None:
        """Let go of the memory."""
        self.words.release()


def answers(sums: list[int]) -> Iterable[tuple[str, str, int]]:
    """Yield type, rcode and count of what was answered."""
    names = [*TYPES.values(), OTHER]
    for place in range(_ANSWERS):
        if sums[place]:
            yield names[place // len(RCODES)], RCODES[place % len(RCODES)], sums[place]


def events(sums: list[int]) -> dict[str, int]:
    """Return the other counts by name."""
    return dict(zip(EVENTS, sums[_ANSWERS : _ANSWERS + len(EVENTS)], strict=True))


def times(sums: list[int]) -> list[int]:
    """Return the histogram of the time from reading a batch to its answers being sent."""
    return sums[TIMES : TIMES + TIME_BUCKETS]
