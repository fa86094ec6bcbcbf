"""Answers ready to be sent, as the loop over a batch takes them: one object each.

What is asked for is spread over far more memory than a processor holds near by. So most of the time that a ready answer
takes goes to waiting for memory, and each object more that it touches is another wait.
"""

from node.dns.answerer_entry import Known

TURNS = 255
"""In the place of a count: the answer is found among those that are ``known``. Counts of answers have lower places."""
_TURNED = bytes((TURNS,))
_PLANS_MAX = 255
_MESSAGE_OCTETS_MAX = 4_095
"""Of a message with the octet that is kept behind it: buffers have one more."""

Plan = tuple[bytes, int, int]
"""What answers have in common: flags and counts, the place of their count, and the query's octets behind the question."""


class Shelf:
    """All keys are packets without their id."""

    def __init__(self) -> None:
        self.whole: dict[bytes, bytes] = {}
        """For packets as they come, with names in lower case: the answer without its id, and an octet for the place of its count."""
        self.tails: dict[bytes, bytes] = {}
        """For packets made lower-case: what follows the question, and an octet for the number of the plan."""
        self.plans: list[Plan] = []
        self.known: dict[bytes, Known] = {}
        """For packets made lower-case: where there is more to know than one answer."""
        self.places: list[int] = []
        """Of the counts of all answers here."""
        self._numbers: dict[Plan, int] = {}

    def put_whole(self, packet: bytes, answer: bytes, place: int) -> bool:
        """Keep the one answer to a packet; say whether there is room for it."""
        if len(answer) + 2 > _MESSAGE_OCTETS_MAX:
            return False
        self.whole[packet] = answer + bytes((place,))
        return True

    def put_tail(self, packet: bytes, known: Known) -> bool:
        """Keep the answer to a packet in any spelling; say whether that can be."""
        head, end, tail, _, place, _, outside = known
        if outside is not None or end + 2 + len(tail) > _MESSAGE_OCTETS_MAX:
            return False
        number = self._number((head, place, len(packet) - end))
        if number is None:
            return False
        self.tails[packet] = tail + bytes((number,))
        return True

    def put_known(self, packet: bytes, known: Known, *, comes_so: bool) -> None:
        """Keep what is known of a packet, which came in lower case or otherwise."""
        self.known[packet] = known
        if comes_so:
            self.whole[packet] = _TURNED

    def _number(self, plan: Plan) -> int | None:
        number = self._numbers.get(plan)
        if number is None and len(self.plans) < _PLANS_MAX:
            number = self._numbers[plan] = len(self.plans)
            self.plans.append(plan)
        return number

    def pop(self, packet: bytes) -> None:
        """Forget a packet."""
        self.whole.pop(packet, None)
        self.tails.pop(packet, None)
        self.known.pop(packet, None)

    def clear(self) -> None:
        """Forget everything but where is counted."""
        for kept in (self.whole, self.tails, self.plans, self.known, self._numbers):
            kept.clear()

    def note_place(self, place: int) -> None:
        """Note where answers are counted."""
        if place not in self.places:
            self.places.append(place)
