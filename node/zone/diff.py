"""What a zone's contents would change from and to, RRset by RRset. Pure."""

from collections.abc import Callable, Collection, Iterable, Iterator
from heapq import nsmallest

import msgspec

from node.zone.master_write import iter_lines
from node.zone.name import Name, sort_key
from node.zone.rrset import SOA, RRset
from node.zone.zone import Zone, soa_with_serial


class Difference(msgspec.Struct, frozen=True, gc=False):
    """One RRset as it is and as it shall be; None where there is none."""

    before: RRset | None
    after: RRset | None

    @property
    def place(self) -> tuple[Name, int]:
        """Name and type."""
        rrset = self.after or self.before
        assert rrset is not None
        return rrset.name, rrset.type


def differences(
    zone: Zone, wanted: Iterable[RRset], is_left_alone: Callable[[Name, int], bool], pause: Callable[[], None]
) -> list[Difference]:
    """Return what must change for the zone to hold exactly these RRsets, what goes first.

    An SOA that differs in its serial alone is no difference, and a zone keeps its SOA and NS where none are wanted.
    What is left alone stays as it is, whatever is wanted.
    """
    found: list[Difference] = []
    present: set[tuple[Name, int]] = set()
    for number, rrset in enumerate(wanted):
        if number % 1000 == 0:
            pause()
        place = (rrset.name, rrset.type)
        present.add(place)
        old = zone.get(*place)
        if not is_alike(old, rrset) and not is_left_alone(*place):
            found.append(Difference(old, rrset))
    gone = _gone(zone, present, is_left_alone, pause)
    return [*gone, *found]


def _gone(
    zone: Zone,
    present: Collection[tuple[Name, int]],
    is_left_alone: Callable[[Name, int], bool],
    pause: Callable[[], None],
) -> list[Difference]:
    found = []
    for number, (name, node) in enumerate(zone.nodes.items()):
        if number % 1000 == 0:
            pause()
        for rrset in node.rrsets:
            is_own = name == zone.name and rrset.type in (SOA, 2)
            if (name, rrset.type) not in present and not is_own and not is_left_alone(name, rrset.type):
                found.append(Difference(rrset, None))
    return found


def is_alike(old: RRset | None, new: RRset | None) -> bool:
    """Say whether two RRsets are the same but for an SOA's serial."""
    if old is None or new is None or old.type != SOA or not new.rdatas:
        return old == new
    return soa_with_serial(old, 0) == soa_with_serial(new, 0)


def iter_diff_lines(found: Iterable[Difference], origin: Name, count_max: int) -> Iterator[str]:
    """Yield lines as ``diff`` does: ``-`` what goes, ``+`` what comes, of the first so many RRsets by name."""
    # To sort a million at once would hold up every other thread.
    for difference in nsmallest(count_max, found, key=lambda each: (sort_key(each.place[0]), each.place[1])):
        before, after = _lines(difference.before, origin), _lines(difference.after, origin)
        yield from (f"- {line}" for line in before if line not in after)
        yield from (f"+ {line}" for line in after if line not in before)


def _lines(rrset: RRset | None, origin: Name) -> list[str]:
    if rrset is None:
        return []
    return [line for text in list(iter_lines((rrset,), origin))[1:] for line in text.splitlines()]
