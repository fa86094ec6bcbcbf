"""The octets of a backup: a State at one log index with what is needed to trust it.

Version 1:

    line    quorumdns backup 1
    line    a JSON object, the header: what it is of, when it was taken, what it holds
    piece   length u32 | crc32 u32 | octets, as ``snapshot.dump`` yields them; big-endian
    end     length 0 | crc32 0 | blake2b-256 of all before

The first two lines can be read by people. No secret is in it: the State knows keys and tokens of
other servers by name alone.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

import msgspec

from node.state import snapshot
from node.state.command import FORMAT
from node.state.snapshot import BadState
from node.state.state import State
from node.state.survey import Survey, survey

FORMAT_VERSION: Final = 1
PIECE_OCTETS_MAX: Final = 256 * 1024 * 1024
_MAGIC: Final = b"quorumdns backup "
_HEADER_OCTETS_MAX: Final = 64 * 1024
_PIECE: Final = struct.Struct(">II")
_DIGEST_OCTETS: Final = 32


class BadBackup(ValueError):
    """The octets are not a whole backup that this version can read; the message says why."""


class Header(msgspec.Struct, frozen=True):
    """What a backup says of itself before its pieces."""

    cluster: str
    node: str
    version: str
    """Of the program that wrote it."""
    taken_at_ms: int
    """The writing node's wall clock, milliseconds since 1970 UTC."""
    index: int
    """The log index at which the State was taken."""
    digest: str
    """Of the State, as ``qdns status`` shows it."""
    state_format: int
    zones: int
    rrsets: int
    services: int
    targets: int


def header_of(state: State, cluster: str, node: str, version: str, taken_at_ms: int) -> Header:
    """Return the header for a State."""
    return Header(
        cluster=cluster,
        node=node,
        version=version,
        taken_at_ms=taken_at_ms,
        index=state.index,
        digest=snapshot.digest(state),
        state_format=state.format,
        zones=len(state.zones),
        rrsets=sum(zone.rrset_count for _, zone in state.zones.items()),
        services=len(state.services),
        targets=len(state.targets),
    )


def encode(header: Header, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the octets of a backup, one piece at a time."""
    hasher = hashlib.blake2b(digest_size=_DIGEST_OCTETS)
    start = _MAGIC + b"%d\n" % FORMAT_VERSION + msgspec.json.encode(header) + b"\n"
    hasher.update(start)
    yield start
    for piece in pieces:
        framed = _PIECE.pack(len(piece), zlib.crc32(piece)) + piece
        hasher.update(framed)
        yield framed
    end = _PIECE.pack(0, 0)
    hasher.update(end)
    yield end + hasher.digest()


class BackupReader:
    """Reads one backup from its beginning to its end. Raises ``BadBackup``, and the file's ``OSError``."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hasher = hashlib.blake2b(digest_size=_DIGEST_OCTETS)
        self.octets = 0
        """How many have been read."""
        self.checksum = ""
        """Of the whole file, once its end was reached; what tells it from any other."""
        self.header = self._read_header()

    def pieces(self) -> Iterator[bytes]:
        """Yield the pieces, each checked by itself; the end is checked when the last one is taken."""
        while True:
            head = self._exactly(_PIECE.size)
            length, crc = _PIECE.unpack(head)
            if length == 0:
                break
            if length > PIECE_OCTETS_MAX:
                raise BadBackup(f"it is damaged at octet {self.octets}: a part has an impossible length")
            piece = self._exactly(length)
            if zlib.crc32(piece) != crc:
                raise BadBackup(
                    f"it is damaged: the part that ends at octet {self.octets} is not as it was written"
                )
            yield piece
        self._check_end()

    def survey(self) -> Survey:
        """Read all of it and return what it holds; nothing in it is unread or unchecked after that."""
        try:
            found = survey(self.pieces())
        except BadState as error:
            raise BadBackup(str(error)) from None
        if snapshot.digest(found.state) != self.header.digest or found.state.index != self.header.index:
            raise BadBackup("its header does not fit its contents")
        return found

    def _read_header(self) -> Header:
        line = self._line(len(_MAGIC) + 12)
        number = line.removeprefix(_MAGIC).strip()
        if not line.startswith(_MAGIC) or not number.isdigit():
            raise BadBackup("it is no backup of quorumdns")
        if int(number) != FORMAT_VERSION:
            raise BadBackup(
                f"it is written in version {int(number)} of the format, and this program reads version {FORMAT_VERSION}"
            )
        try:
            header = msgspec.json.decode(self._line(_HEADER_OCTETS_MAX), type=Header)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise BadBackup(f"its header is damaged: {error}") from None
        if header.state_format > FORMAT:
            raise BadBackup(
                f"its state has format {header.state_format}, and this program ({FORMAT}) is too old to read that; "
                f"it was written by version {header.version}"
            )
        return header

    def _line(self, limit: int) -> bytes:
        line = self._file.readline(limit)
        self._hasher.update(line)
        self.octets += len(line)
        return line

    def _exactly(self, count: int) -> bytes:
        data = self._file.read(count)
        self.octets += len(data)
        if len(data) != count:
            raise BadBackup(f"it is cut off after {self.octets} octets")
        self._hasher.update(data)
        return data

    def _check_end(self) -> None:
        expected = self._hasher.digest()
        found = self._file.read(_DIGEST_OCTETS)
        self.octets += len(found)
        if len(found) != _DIGEST_OCTETS:
            raise BadBackup(f"it is cut off after {self.octets} octets")
        if found != expected:
            raise BadBackup("its checksum does not fit its contents")
        if self._file.read(1):
            raise BadBackup(f"something follows its end at octet {self.octets}")
        self.checksum = found.hex()
