"""The writer's side of the shared memory: blocks taken, published by one store, and reused after all readers passed."""

import mmap
import os
import time
from collections import deque

from node.dns import table_layout as layout

_GRACE_S = 0.05
"""An unpublished block rests this long besides: no store a processor still holds back is that old."""
_LARGE_OCTETS = 2**20


class TableFull(Exception):
    """The address space set aside for the table is used up."""


class Heap:
    """One table's memory. There is one writer; readers only read, but for their own line each."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("quorumdns-table", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, layout.MAPPED_OCTETS)
        self.buffer = mmap.mmap(self.fd, layout.MAPPED_OCTETS)
        self.words = memoryview(self.buffer).cast("Q")
        self.end = layout.HEAP_OFFSET
        self._free: dict[int, list[int]] = {}
        self._retired: deque[tuple[int, int, int, float]] = deque()
        self.free_octets = 0
        self.words[layout.WORD_EPOCH] = 1
        self.words[layout.WORD_FORMAT] = layout.FORMAT
        self.words[layout.WORD_MAGIC] = layout.MAGIC

    def close(self) -> None:
        """Let go of the memory; readers keep it as long as they map it."""
        self.words.release()
        self.buffer.close()
        os.close(self.fd)

    def put(self, data: bytes) -> int:
        """Write a block and return its offset. Nobody sees it before a word points to it."""
        octets = layout.padded(layout.BLOCK_HEAD.size + len(data))
        offset = self._take(octets)
        self.buffer[offset : offset + 4 + len(data)] = layout.BLOCK_HEAD.pack(octets) + data
        return offset

    def take_empty(self, octets: int) -> int:
        """Take fresh memory that holds zeros."""
        return self._extend(layout.padded(octets))

    def publish(self, word: int, value: int) -> None:
        """Store one aligned word.

        On x86-64 this is one instruction, and stores are seen in the order they were made. Other processors may
        show them in another order, so ``is_supported`` says no there.
        """
        self.words[word] = value

    def retire(self, offset: int, octets: int | None = None) -> None:
        """Hand back a block that no word points to any more; it is reused when no reader can still see it."""
        size = octets or layout.BLOCK_HEAD.unpack_from(self.buffer, offset)[0]
        self._retired.append((offset, size, self.words[layout.WORD_EPOCH], time.monotonic()))

    def advance(self) -> None:
        """End a change: readers that begin from now on see none of what it took away. Reuse what is old enough."""
        self.words[layout.WORD_EPOCH] += 1
        if not self._retired:
            return
        passed, now = self._passed(), time.monotonic()
        while self._retired and self._retired[0][2] < passed and now - self._retired[0][3] > _GRACE_S:
            offset, octets, _, _ = self._retired.popleft()
            if octets >= _LARGE_OCTETS:
                first = -(-offset // mmap.PAGESIZE) * mmap.PAGESIZE
                last = (offset + octets) // mmap.PAGESIZE * mmap.PAGESIZE
                self.buffer.madvise(mmap.MADV_REMOVE, first, last - first)
                continue
            self._free.setdefault(octets, []).append(offset)
            self.free_octets += octets

    def clear_reader(self, reader: int) -> None:
        """Forget a reader that has ended."""
        self.words[layout.READER_WORD + reader * layout.READER_WORDS] = 0

    def _passed(self) -> int:
        """Return the oldest epoch that a reader may still be in."""
        line = layout.READER_WORD
        step = layout.READER_WORDS
        seen = self.words[line : line + layout.READERS_MAX * step].tolist()[::step]
        return min((epoch for epoch in seen if epoch), default=layout.IDLE)

    def _take(self, octets: int) -> int:
        free = self._free.get(octets)
        if free:
            self.free_octets -= octets
            return free.pop()
        return self._extend(octets)

    def _extend(self, octets: int) -> int:
        if self.end + octets > layout.MAPPED_OCTETS:
            raise TableFull(
                f"the serving table cannot grow beyond {layout.MAPPED_OCTETS} octets; split the zones over clusters"
            )
        offset = self.end
        self.end += octets
        return offset


class Slots:
    """The hash table from a node's key to its block."""

    _BITS_MIN = 10

    def __init__(self, heap: Heap) -> None:
        self._heap = heap
        self._bits = 0
        self._base = 0
        self.used = 0
        """Words that are not empty, deleted ones included."""
        self.live = 0
        self._switch(self._BITS_MIN)

    def reserve(self, more: int) -> None:
        """Make room for so many more nodes; a larger array is built beside and switched to by one store."""
        if (self.used + more) * 3 <= 2 << self._bits:
            return
        bits = self._BITS_MIN
        while (self.live + more) * 2 > 1 << bits:
            bits += 1
        self._switch(bits)

    def find(self, key: bytes, hash_: int) -> tuple[int, int]:
        """Return the word's place for a key and the block's offset; 0 where it is not there, and where it would go."""
        words, buffer = self._heap.words, self._heap.buffer
        mask = (1 << self._bits) - 1
        position = hash_ & mask
        vacant = -1
        while word := words[self._base + position]:
            offset = (word & layout.SLOT_OFFSET_MASK) * layout.UNIT_OCTETS
            if word >> 32 == hash_ and offset and buffer[offset + 4 : offset + 4 + len(key)] == key:
                return self._base + position, offset
            if word == layout.DELETED and vacant < 0:
                vacant = position
            position = (position + 1) & mask
        return self._base + (position if vacant < 0 else vacant), 0

    def insert(self, place: int, hash_: int, offset: int) -> None:
        """Publish a new node at the place that ``find`` named."""
        self.used += self._heap.words[place] == layout.EMPTY
        self.live += 1
        self._heap.publish(place, layout.slot_word(hash_, offset))

    def delete(self, place: int) -> None:
        """Take a node out."""
        self.live -= 1
        self._heap.publish(place, layout.DELETED)

    def _switch(self, bits: int) -> None:
        heap, words = self._heap, self._heap.words
        start = heap.take_empty(8 << bits)
        base, mask = start >> 3, (1 << bits) - 1
        for old in range(self._base, self._base + (1 << self._bits) if self._bits else 0):
            word = words[old]
            if word > layout.DELETED:
                position = word >> 32 & mask
                while words[base + position]:
                    position = (position + 1) & mask
                words[base + position] = word
        if self._bits:
            heap.retire(self._base << 3, 8 << self._bits)
        self._base, self._bits, self.used = base, bits, self.live
        heap.publish(layout.WORD_SLOTS, layout.slots_word(start, bits))
