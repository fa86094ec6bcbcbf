"""Where everything stands in the shared serving table; writer and readers agree by this file alone.

The table is one flat buffer of little-endian words. A page of header words comes first, then one cache line
for each reader, then a ring of change notices, then the heap of blocks. Blocks are never changed once
published: a change writes a new block and stores its place in one aligned word. Answerers import
nothing else of the node, so this file knows the standard library only.
"""

import struct

MAGIC = int.from_bytes(b"qdnstabl", "little")
FORMAT = 2
"""Raised with every change of this file: an answerer of another format is replaced, not adopted."""

# --- header words (indexes into the buffer seen as 64-bit words) ----------------------------------
WORD_MAGIC, WORD_FORMAT = 0, 1
WORD_SLOTS = 2
"""Slot array: log2 of its length in the top octet, its offset in octets below."""
WORD_ZONES = 3
"""Offset of the list of zones."""
WORD_CONSTANTS = 4
"""Offset of what holds for all answers; 0 until the table may be answered from."""
WORD_EPOCH = 5
WORD_NOTICES = 6
"""How many change notices were ever written."""
WORD_LEASES = 7
"""Until when leased answers may be given, in milliseconds of the monotonic clock."""

PAGE_OCTETS = 4096
READERS_MAX = 64
READER_WORDS = 8
READER_WORD = PAGE_OCTETS // 8
"""First word of the first reader's line: the epoch it has seen."""
IDLE = 2**64 - 1
"""Epoch of a reader that holds nothing of the table."""

NOTICES = 1024
NOTICE_OCTETS = 272
NOTICES_OFFSET = PAGE_OCTETS + READERS_MAX * READER_WORDS * 8
HEAP_OFFSET = -(-(NOTICES_OFFSET + NOTICES * NOTICE_OCTETS) // PAGE_OCTETS) * PAGE_OCTETS

MAPPED_OCTETS = 16 * 2**30
"""Address space set aside; memory is taken only as the heap grows."""

# --- change notices: kind, octets, data -----------------------------------------------------------
NOTICE_NAME = 1
"""Answers at exactly one name changed."""
NOTICE_SHAPE = 2
"""A name came, went, or is a wildcard that changed: what is answered without a name of its own may differ."""
NOTICE_SERIAL = 3
"""A zone's serial changed; the data is its cell."""
NOTICE_ALL = 4
NOTICE_HEAD = struct.Struct("<BB")

# --- slots: 32 bits of hash, 32 bits of offset in units -------------------------------------------
UNIT_OCTETS = 16
EMPTY, DELETED = 0, 1
SLOT_OFFSET_MASK = 0xFFFF_FFFF

# --- blocks ---------------------------------------------------------------------------------------
BLOCK_HEAD = struct.Struct("<I")
"""Octets of the block with its head, a multiple of a unit."""
NODE_KEY_HEAD = struct.Struct("<IB")
"""Zone number and octets of the name; the name follows. Together they are the key of a node."""
NODE_HEAD = struct.Struct("<BBBB")
"""Flags, position of the entry that answers ANY, entries, referral templates."""
NODE_CUT, NODE_DNAME = 1, 2
NODE_LEASED = 4
"""Something here is on a lease: the answers hold no longer than ``WORD_LEASES`` says."""
NO_ENTRY = 255

TURNED_MAX = 255
"""So many addresses of an answer are turned at most: their number is one octet."""
ANSWER = struct.Struct("<HHHHHHHHHIHHBBBB")
"""One prepared answer: see ``table_reader.Prepared`` for the fields.

type, record octets, body octets, total octets, required octets, flags, three counts, serial cell, place of the
serial, place of the first turned rdata, distance between turned rdatas, how many, pointers, options.
Then come the pointers (16 bits each), the labels to avoid (length, octets), their end (0), and the body.
"""
POINTER = struct.Struct("<H")
ANSWER_DNSSEC_DIFFERS = 1
"""Whoever wants DNSSEC records gets another answer, which is not prepared."""

TYPE_DEFAULT = 0
"""Type of the entry that answers all types without an entry of their own."""

ZONES_HEAD = struct.Struct("<I")
"""How many zones follow."""
ZONE_HEAD = struct.Struct("<IIBBHHB")
"""Zone number, serial cell, is it answered from, apex octets, flags of NODATA and of NXDOMAIN, templates."""

CONSTANTS = struct.Struct("<HHBB")
"""Octets a UDP answer may have, flags of a refusal, octets of the OPT record, of a refusal's OPT record."""
OPT_FLAGS_OCTET = 7
"""Place of DO's octet within an OPT record."""


def slots_word(offset: int, bits: int) -> int:
    """Describe a slot array."""
    return bits << 56 | offset


def slot_word(hash_: int, offset: int) -> int:
    """Describe a block's place; the hash is never one that means empty or deleted."""
    return hash_ << 32 | offset // UNIT_OCTETS


def padded(octets: int) -> int:
    """Round up to whole units."""
    return -(-octets // UNIT_OCTETS) * UNIT_OCTETS
