"""Answers to whole packets and to questions, kept ready in one process and forgotten when the table says so.

Three levels: the octets of a packet behind its id, in lower case, as the spelling of a name changes nothing but the
question that is echoed; what names that do not exist have in common; and the question. What is answered by no record of
the name may occupy a small part only, so that odd questions do not push out what is asked for often.
"""

from collections import deque

from node.dns import answerer_stats as stats
from node.dns import table_layout as layout
from node.dns.answerer_beside import Beside
from node.dns.answerer_entry import (
    HEAD_OCTETS,
    Entry,
    Kind,
    heads_of,
    is_meant,
    is_name,
    one_more,
    with_dnssec_ok,
)
from node.dns.answerer_shelf import TURNS, Shelf
from node.dns.table_copy import Prepared
from node.dns.table_reader import Reader

EXACT_MAX = 24_000
LOOSE_MAX = 12_000
_PACKETS_PER_QUESTION_MAX = 6
_KINDS_MAX = 4_096
"""Of answer sizes and flags; so many that nobody can use up all by asking with odd ones."""
_OPTS_MAX = 512
_PLAIN_OCTETS_MAX = 512
_PLAIN = b"\x00\x01\x00\x00\x00\x00\x00\x00"
_WITH_OPT = b"\x00\x01\x00\x00\x00\x00\x00\x01"
_OPT_OCTETS = 11
_CLASS_IN = b"\x00\x01"
_NOTICES_SAFE = layout.NOTICES - 16


class AnswerCache:
    """Answers packets from one table. ``line`` is where it counts."""

    def __init__(self, reader: Reader, line: memoryview) -> None:
        self.reader = reader
        self.line = line
        self.shelf = Shelf()
        self.source = b""
        """What the last answer came from, empty when there is none, or when nobody asks (``account``)."""
        self._is_accounted = False
        self.hands_up_outside = False
        """Questions outside our zones are not answered here."""
        self._plain = Kind(_PLAIN_OCTETS_MAX, has_opt=False, dnssec_ok=False)
        self._kinds: dict[tuple[int, bool, int], Kind] = {}
        self._opts: dict[bytes, Kind] = {}
        self._names: dict[bytes, list[Entry]] = {}
        self._cells: dict[int, set[Entry]] = {}
        self._loose: set[Entry] = set()
        self._leased: set[Entry] = set()
        self._turn = 0
        self._asked: set[bytes] = set()
        """Questions for what a name does not have that were asked once."""
        self._exact_order: deque[Entry] = deque()
        self._loose_order: deque[Entry] = deque()
        self.noticed = reader.words[layout.WORD_NOTICES]
        """How many notices of the table were looked at."""
        self.is_ready = reader.refresh()
        self.beside = Beside(reader)
        self.refreshes = 0
        """How often zones and constants were read again."""

    def ready(self, packet: bytes) -> bytes | None:
        """Return the answer to a packet without its id, also without, None where it is to be looked for."""
        shelf = self.shelf
        ready = shelf.whole.get(packet)
        if ready is not None and ready[-1] != TURNS:
            self.line[ready[-1]] += 1
            self.source = b""
            return ready[:-1]
        lowered = packet.lower()
        tail = shelf.tails.get(lowered)
        if tail is not None:
            head, place, behind = shelf.plans[tail[-1]]
            self.line[place] += 1
            self.source = b""
            return head + packet[HEAD_OCTETS : len(packet) - behind] + tail[:-1]
        known = shelf.known.get(lowered) or self.beside.find(lowered)
        if known is None or not is_meant(known, packet):
            return None
        head, end, tail, turns, place, self.source, _ = known
        self.line[place] += 1
        return head + packet[HEAD_OCTETS:end] + (tail or next(turns))

    def account(self, *, is_accounted: bool) -> None:
        """Say whether each answer's source is asked for; without that most are kept shorter."""
        if self._is_accounted != is_accounted:
            self._is_accounted = is_accounted
            self.forget_all()

    def answer(self, packet: bytes) -> bytes | None:
        """Return the answer without its id, None to hand the packet up, nothing (``b""``) to drop it."""
        self.source = b""
        if len(packet) < 12:
            self.line[stats.SHORT] += 1
            return b""
        flags = packet[2]
        if flags & 0xF8:
            if flags & 0x80:
                self.line[stats.ANSWER] += 1
                return b""
            return None
        counts = packet[4:12]
        if counts == _PLAIN:
            end, kind = len(packet), self._plain
        elif counts == _WITH_OPT:
            end = len(packet) - _OPT_OCTETS
            opt = packet[end:]
            known = self._opts.get(opt) or self._kind_of(opt)
            if known is None:
                return None
            kind = known
        else:
            return None
        lowered = packet[12 : end - 4].lower()
        key = lowered + packet[end - 4 : end]
        entry = kind.entries.get(key)
        ways = flags & 1 | packet[3] >> 3 & 2
        if entry is None:
            self.line[stats.MISSES] += 1
            entry = self._load(kind, key, lowered) if end >= 17 and self.is_ready else None
            if entry is None:
                return None
            self.line[entry.place] += 1
            self.source = entry.source
            if not entry.is_kept:
                if entry.standing is not None:
                    self.beside.keep(packet[2:].lower(), entry.standing, entry.known(packet[2:], end - 2))
                return self._passing(entry, ways, packet[12:end])
        else:
            self.line[stats.QUESTION_HITS] += 1
            self.line[entry.place] += 1
            self.source = entry.source
            if len(entry.packets) < _PACKETS_PER_QUESTION_MAX:
                return self._keep_packet(packet[2:], end - 2, entry)
        return entry.heads[ways] + packet[12:end] + next(entry.turns)

    def answer_apart(self, packet: bytes, octets: int) -> bytes | None:
        """Answer a query with a bare OPT record, with so many octets of the answer kept free for others.

        None hands it up. Nothing is remembered of the packet, as it was cut.
        """
        self.source = b""
        end = len(packet) - _OPT_OCTETS
        kind = None if packet[2] & 0xF8 or end < 17 else self._kind_of(packet[end:], octets)
        if kind is None:
            return None
        lowered = packet[12 : end - 4].lower()
        key = lowered + packet[end - 4 : end]
        entry = kind.entries.get(key)
        if entry is not None:
            self.line[stats.QUESTION_HITS] += 1
        else:
            self.line[stats.MISSES] += 1
            entry = self._load(kind, key, lowered) if self.is_ready else None
        if entry is None:
            return None
        self.line[entry.place] += 1
        self.source = entry.source
        ways = packet[2] & 1 | packet[3] >> 3 & 2
        if not entry.is_kept:
            return self._passing(entry, ways, packet[12:end])
        return entry.heads[ways] + packet[12:end] + next(entry.turns)

    def cut(self, packet: bytes) -> bytes:
        """Answer a query with nothing but its question and TC, without its id."""
        end = 12
        while packet[end]:
            end += 1 + packet[end]
        end += 5
        flags = 0x8200 | (packet[2] & 1) << 8 | packet[3] & 0x10
        opt = self.reader.opt if packet[11] else b""
        if opt and packet[end + layout.OPT_FLAGS_OCTET] & 0x80:
            opt = with_dnssec_ok(opt)
        counts = _WITH_OPT if opt else _PLAIN
        return flags.to_bytes(2, "big") + counts + packet[12:end] + opt

    def _passing(self, entry: Entry, ways: int, question: bytes) -> bytes:
        """Answer a question that is not kept; addresses take turns over all such questions."""
        self._turn += 1
        return entry.heads[ways] + question + entry.tails[self._turn % len(entry.tails)]

    def _keep_packet(self, octets: bytes, end: int, entry: Entry) -> bytes:
        """Keep the answer to a packet that was asked for again, and return it; its question ends at ``end``."""
        known, lowered = entry.known(octets, end), octets.lower()
        answer = known[0] + octets[HEAD_OCTETS:end] + next(entry.turns)
        is_lower = octets[HEAD_OCTETS : end - 4] == lowered[HEAD_OCTETS : end - 4]
        is_short = not self._is_accounted and len(entry.tails) == 1
        if is_short and is_lower and self.shelf.put_whole(octets, answer, entry.place):
            entry.packets.append(octets)
            return answer
        if is_lower or not (is_short and self.shelf.put_tail(lowered, known)):
            self.shelf.put_known(lowered, known, comes_so=octets == lowered)
        entry.packets.append(lowered)
        return answer

    # --- filling ---------------------------------------------------------------------------------

    def _kind_of(self, opt: bytes, reserved: int = 0) -> Kind | None:
        """Return the kind of queries with this OPT record, None when it is not a bare one of version 0.

        ``reserved`` octets of the answer are for others.
        """
        if opt[:3] != b"\x00\x00\x29" or opt[6] or opt[9:] != b"\x00\x00" or len(opt) != _OPT_OCTETS:
            return None
        asked = int.from_bytes(opt[3:5], "big")
        limit = max(_PLAIN_OCTETS_MAX, min(asked, self.reader.payload_octets)) - reserved
        dnssec_ok = bool(opt[7] & 0x80)
        kind = self._kinds.get((limit, dnssec_ok, reserved))
        if kind is None:
            if len(self._kinds) >= _KINDS_MAX:
                return None
            kind = self._kinds[limit, dnssec_ok, reserved] = Kind(limit, has_opt=True, dnssec_ok=dnssec_ok)
        if not reserved and len(self._opts) < _OPTS_MAX:
            self._opts[opt] = kind
        return kind

    def _load(self, kind: Kind, key: bytes, name: bytes) -> Entry | None:
        """Take a question's answer from the table, None when the table has none for it."""
        if key[-2:] != _CLASS_IN or not is_name(name):
            return None
        type_ = key[-4] << 8 | key[-3]
        prepared = self.reader.resolve(name, type_)
        if prepared is None or (kind.dnssec_ok and prepared.dnssec_differs):
            return None
        if self.hands_up_outside and prepared.error:
            return None
        if prepared.is_leased and not self.reader.do_leases_hold():
            return None
        source = bytes((prepared.flags & 15,)) + (name if prepared.exact else prepared.source)
        place = stats.answer_place(type_, prepared.flags & 15)
        made = self._made(kind, prepared, len(key))
        if made is None:
            return None
        self.shelf.note_place(place)
        entry = Entry(kind, key, name, *made, place)
        entry.source = source
        entry.standing = prepared.place
        if prepared.exact or (prepared.place is None and self._is_repeated(key)):
            entry.exact, entry.cell = prepared.exact, prepared.cell
            self._keep(entry)
            if prepared.is_leased:
                self._leased.add(entry)
        return entry

    def _is_repeated(self, key: bytes) -> bool:
        """Say whether a question was asked before, not long ago: one for what a name does not have may be made up."""
        if key in self._asked:
            return True
        if len(self._asked) >= LOOSE_MAX:
            self._asked.clear()
        self._asked.add(key)
        return False

    def _made(
        self, kind: Kind, prepared: Prepared, key_octets: int
    ) -> tuple[tuple[bytes, ...], list[bytes]] | None:
        """Make heads and tails for queries of a kind, None when the records fit in part."""
        opt = self._opt(kind, prepared)
        room = kind.limit - len(opt) - 12 - key_octets
        flags, counts, bodies = prepared.flags, prepared.counts, [b""]
        if prepared.required_octets > room:
            flags, counts = flags | 0x0200, _PLAIN
        elif prepared.total_octets > room:
            return None
        else:
            bodies = prepared.bodies()
        if opt:
            counts = one_more(counts)
        return heads_of(flags, counts), [body + opt for body in bodies]

    def _opt(self, kind: Kind, prepared: Prepared) -> bytes:
        if not kind.has_opt:
            return b""
        opt = prepared.error or self.reader.opt
        if not kind.dnssec_ok:
            return opt
        return with_dnssec_ok(opt)

    def _keep(self, entry: Entry) -> None:
        """Keep an answer; the oldest one of its class makes room."""
        entry.is_kept = True
        entry.kind.entries[entry.key] = entry
        self._names.setdefault(entry.name, []).append(entry)
        if entry.cell:
            self._cells.setdefault(entry.cell, set()).add(entry)
        if entry.exact:
            order, most = self._exact_order, EXACT_MAX
        else:
            order, most = self._loose_order, LOOSE_MAX
            self._loose.add(entry)
        order.append(entry)
        if len(order) > most:
            self._forget(order.popleft())

    # --- forgetting ------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Forget what changed in the table since the last call. Called between batches."""
        if self._leased and not self.reader.do_leases_hold():
            self._forget_each(self._leased)
        self.reader.see_slots()
        words = self.reader.words
        count = words[layout.WORD_NOTICES]
        if count == self.noticed:
            return
        notices = [self._notice(number) for number in range(max(self.noticed, count - layout.NOTICES), count)]
        is_overrun = words[layout.WORD_NOTICES] - self.noticed > _NOTICES_SAFE
        self.noticed = count
        if is_overrun or any(kind == layout.NOTICE_ALL for kind, _ in notices):
            self.forget_all()
            return
        for kind, data in notices:
            self._apply(kind, data)

    def forget_all(self) -> None:
        """Start anew."""
        for each in (self._plain, *self._kinds.values()):
            each.entries.clear()
        self.line[stats.FORGOTTEN] += len(self._exact_order) + len(self._loose_order)
        self.shelf.clear()
        for kept in (
            self._names,
            self._cells,
            self._loose,
            self._leased,
            self._opts,
            self._kinds,
        ):
            kept.clear()
        self._exact_order.clear()
        self._loose_order.clear()
        self.is_ready = self.reader.refresh()
        self.beside.clear()
        self.refreshes += 1

    def _notice(self, number: int) -> tuple[int, bytes]:
        place = layout.NOTICES_OFFSET + number % layout.NOTICES * layout.NOTICE_OCTETS
        kind, octets = layout.NOTICE_HEAD.unpack_from(self.reader.buffer, place)
        place += layout.NOTICE_HEAD.size
        return kind, self.reader.buffer[place : place + octets]

    def _apply(self, kind: int, data: bytes) -> None:
        if kind == layout.NOTICE_SERIAL:
            self.beside.clear()
            self._forget_each(self._cells.get(int.from_bytes(data, "little"), ()))
            return
        self._forget_each(self._names.get(data, ()))
        if kind == layout.NOTICE_SHAPE:
            self.beside.clear()
            self._forget_each(self._loose)

    def _forget_each(self, entries: "set[Entry] | list[Entry] | tuple[()]") -> None:
        for entry in list(entries):
            self._forget(entry)
            self.line[stats.FORGOTTEN] += 1

    def _forget(self, entry: Entry) -> None:
        """Take an answer out of all that leads to it; its place in the order stays until its turn."""
        if entry.kind.entries.get(entry.key) is not entry:
            return
        del entry.kind.entries[entry.key]
        for octets in entry.packets:
            self.shelf.pop(octets)
        entry.packets.clear()
        named = self._names[entry.name]
        named.remove(entry)
        if not named:
            del self._names[entry.name]
        self._loose.discard(entry)
        self._leased.discard(entry)
        if entry.cell:
            users = self._cells[entry.cell]
            users.discard(entry)
            if not users:
                del self._cells[entry.cell]
