"""A disk that forgets what was not synced when its machine loses power, and that can be full or broken."""

import errno
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

SECTOR_BYTES = 512


@dataclass
class Blob:
    """The contents of a file, and how much of it is on the medium."""

    data: bytearray = field(default_factory=bytearray)
    durable: int = 0


class SimDisk:
    """The disk of one node; survives its processes."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._names: dict[Path, Blob] = {}
        self._durable_names: dict[Path, Blob] = {}
        self.is_full = False
        self.is_broken = False
        self.syncs = 0

    # --- what the log calls ---------------------------------------------------------------------------

    def make_directory(self, path: Path) -> None:
        pass

    def lock(self, path: Path) -> Callable[[], None]:
        return lambda: None

    def size(self, path: Path) -> int | None:
        blob = self._names.get(path)
        return None if blob is None else len(blob.data)

    def read(self, path: Path, offset: int, length: int) -> bytes:
        return bytes(self._named(path).data[offset : offset + length])

    def create(self, path: Path) -> "SimFile":
        self._check_space()
        self._names[path] = Blob()
        return SimFile(self, self._names[path])

    def open_append(self, path: Path) -> "SimFile":
        return SimFile(self, self._named(path))

    def truncate(self, path: Path, size: int) -> None:
        blob = self._named(path)
        del blob.data[size:]
        blob.durable = len(blob.data)

    def replace(self, source: Path, target: Path) -> None:
        self._names[target] = self._names.pop(source)

    def remove(self, path: Path) -> None:
        self._names.pop(path, None)

    def sync_directory(self, path: Path) -> None:
        self._check_broken()
        self._durable_names = dict(self._names)

    # --- what befalls it ------------------------------------------------------------------------------

    def lose_power(self) -> None:
        """Forget what was not synced: all of it, or all but a torn piece; names as likely as not."""
        if self._rng.random() < 0.5:
            self._names = dict(self._durable_names)
        for blob in self._names.values():
            self._tear(blob)
        self._durable_names = dict(self._names)

    def _tear(self, blob: Blob) -> None:
        """Drop what was not synced, or its end, or some of its sectors, or a part of one sector.

        What was never written reads as zeros, or as whatever the medium held there before.
        """
        kind = self._rng.choice(("all", "end", "sectors", "part"))
        begin, size = blob.durable, len(blob.data)
        if kind == "all":
            del blob.data[begin:]
        elif kind == "end":
            del blob.data[self._rng.randint(begin, size) :]
        elif kind == "sectors":
            self._lose_sectors(blob)
        elif begin < size:
            self._lose(blob, *sorted((self._rng.randint(begin, size), self._rng.randint(begin, size))))
        blob.durable = len(blob.data)

    def _lose_sectors(self, blob: Blob) -> None:
        begin, size = blob.durable, len(blob.data)
        while begin < size:
            end = min(size, (begin // SECTOR_BYTES + 1) * SECTOR_BYTES)
            if self._rng.random() < 0.5:
                self._lose(blob, begin, end)
            begin = end

    def _lose(self, blob: Blob, begin: int, end: int) -> None:
        is_zero = self._rng.random() < 0.7
        blob.data[begin:end] = bytes(end - begin) if is_zero else self._rng.randbytes(end - begin)

    def _named(self, path: Path) -> Blob:
        if path not in self._names:
            raise FileNotFoundError(errno.ENOENT, "No such file", str(path))
        return self._names[path]

    def _check_space(self) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")

    def _check_broken(self) -> None:
        if self.is_broken:
            raise OSError(errno.EIO, "Input/output error")


class SimFile:
    """A file that only grows."""

    def __init__(self, disk: SimDisk, blob: Blob) -> None:
        self._disk = disk
        self._blob = blob

    def write(self, data: bytes) -> None:
        if self._disk.is_full:
            self._blob.data += data[: len(data) // 2]
        self._disk._check_space()
        self._blob.data += data

    def fdatasync(self) -> None:
        self._disk.syncs += 1
        self._disk._check_broken()
        self._blob.durable = len(self._blob.data)

    def close(self) -> None:
        pass
