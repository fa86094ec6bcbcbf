"""The table's memory: no torn answer under a writer at full speed, reuse only behind all readers, growth in place."""

import mmap
import os
import subprocess
import sys
import time
from pathlib import Path

from node.dns import table_layout as layout
from node.dns.table_heap import Heap, Slots
from node.state.state import Changed
from node.zone.name import from_text
from node.zone.rrset import make
from node.zone.zone import Replacement, with_changes
from tests.dns.tables import Twin, packet
from tests.dns.zones import zones

READER = """
import mmap, sys, time
from node.dns import table_layout as layout
from node.dns.table_reader import Reader
from node.zone.name import from_text
reader = Reader(mmap.mmap(int(sys.argv[1]), layout.MAPPED_OCTETS))
name, other = from_text("www.example."), from_text("x.example.")
line = layout.READER_WORD
end = time.monotonic() + float(sys.argv[2])
seen, kinds = 0, set()
while time.monotonic() < end:
    reader.words[line] = reader.words[layout.WORD_EPOCH]
    reader.refresh()
    for _ in range(20):
        found = reader.resolve(name, 16)
        mark = found.body[-1]
        assert found.exact, found
        count = found.counts[3]
        records = [found.body[k:k + len(found.body) // count] for k in range(0, len(found.body), len(found.body) // count)]
        assert {record[-1] for record in records} == {mark}, found.body
        assert all(record[-59:] == bytes((mark,)) * 59 for record in records), found.body
        assert reader.resolve(other, 1).flags & 15 == 3
        kinds.add((mark, count))
        seen += 1
print(seen, len(kinds))
"""


def texts(number: int) -> list[bytes]:
    """Build rdatas that are all of one octet; how many and how long follows from the number."""
    mark = bytes((65 + number % 26,))
    return [bytes((60,)) + bytes((48 + place,)) + mark * 59 for place in range(1 + number % 4)]


def test_no_answer_is_ever_torn() -> None:
    """A reader in another process never meets half of one version and half of another."""
    apex, name = from_text("example."), from_text("www.example.")
    twin = Twin(zones({"example.": "www TXT start\n"}))
    where = {apex: with_changes(twin.zones[apex], [Replacement(name, 16, make(name, 16, 60, texts(0)))], 1)}
    twin.change(where, None)
    fd = twin.writer.heap.fd
    root = Path(__file__).resolve().parents[2]
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(fd), "2"], cwd=root, pass_fds=[fd], stdout=subprocess.PIPE
    )
    changes = 0
    while reader.poll() is None:
        changes += 1
        after = with_changes(where[apex], [Replacement(name, 16, make(name, 16, 60, texts(changes)))], changes)
        where = {apex: after}
        twin.writer.publish(where, Changed(names=((apex, name), (apex, apex)), zones=(apex,)))
    assert 0 == reader.returncode
    assert reader.stdout is not None
    seen, kinds = map(int, reader.stdout.read().split())
    assert seen > 100
    assert kinds > 10
    assert changes > 100
    assert twin.writer.heap.end < layout.HEAP_OFFSET + 2**20, "old blocks were not reused"


def test_a_block_waits_for_the_slowest_reader() -> None:
    """What a reader may still look at is not written over, however long it takes."""
    heap = Heap()
    slow = layout.READER_WORD + 5 * layout.READER_WORDS
    heap.words[slow] = heap.words[layout.WORD_EPOCH]
    offset = heap.put(b"a" * 50)
    heap.retire(offset)
    deadline = time.monotonic() + 0.2
    while time.monotonic() < deadline:
        heap.advance()
    assert heap.put(b"b" * 50) != offset
    heap.words[slow] = heap.words[layout.WORD_EPOCH]
    heap.advance()
    assert heap.put(b"c" * 50) == offset
    heap.close()


def test_a_reader_that_is_gone_holds_nothing_up() -> None:
    """The line of an answerer that ended is cleared; idle ones hold nothing."""
    heap = Heap()
    line = layout.READER_WORD + 2 * layout.READER_WORDS
    heap.words[line] = 1
    heap.words[line + layout.READER_WORDS] = layout.IDLE
    offset = heap.put(b"a" * 10)
    heap.retire(offset)
    heap.clear_reader(2)
    deadline = time.monotonic() + 1
    while not heap.free_octets and time.monotonic() < deadline:
        heap.advance()
    assert heap.put(b"b" * 10) == offset
    heap.close()


def test_slots_grow_and_forget() -> None:
    """A larger array takes over; deleted places are used again; keys with equal hashes stay apart."""
    heap = Heap()
    slots = Slots(heap)
    keys = [bytes((number % 251,)) * 4 + bytes((number // 251,)) for number in range(5_000)]
    for number, key in enumerate(keys):
        slots.reserve(1)
        place, old = slots.find(key, number % 7)
        assert 0 == old
        slots.insert(place, number % 7, heap.put(key))
        if number % 3 == 0:
            slots.delete(slots.find(key, number % 7)[0])
        if number > 600:
            break
    for number, key in enumerate(keys[:600]):
        found = slots.find(key, number % 7)[1]
        assert bool(found) == (number % 3 != 0)
    assert 401 == slots.live
    heap.close()


def test_the_memory_is_one_mapping_of_untouched_pages() -> None:
    """Address space is set aside, memory is not: a fresh table takes little."""
    heap = Heap()
    assert layout.MAPPED_OCTETS == os.fstat(heap.fd).st_size
    assert os.fstat(heap.fd).st_blocks * 512 < 2**20
    assert isinstance(heap.buffer, mmap.mmap)
    heap.close()


def test_a_question_asked_before_growth_is_answered_after() -> None:
    """Readers follow to the larger array without being told."""
    apex = from_text("example.")
    twin = Twin(zones({"example.": "www A 192.0.2.1\n"}))
    query = packet(from_text("www.example."), 1)
    before = twin.answer(query)
    many = [
        make(from_text(f"h{number}.example."), 1, 60, [bytes((10, 0, number >> 8, number & 255))])
        for number in range(3_000)
    ]
    after = with_changes(twin.zones[apex], [Replacement(each.name, 1, each) for each in many], 2)
    twin.change(
        {apex: after}, Changed(names=((apex, apex), *((apex, each.name) for each in many)), zones=(apex,))
    )
    assert before == twin.answer(query)
    last = packet(from_text("h2999.example."), 1)
    assert twin.expected(last, 1) == [twin.answer(last)]
    assert 3_000 < twin.writer.nodes
