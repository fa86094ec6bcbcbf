"""The few things the log does to a disk, so that a simulation can do them badly."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

_FILE_MODE: Final = 0o600
_DIRECTORY_MODE: Final = 0o700


class AppendFile(Protocol):
    """A file that only grows. Every method raises ``OSError``."""

    def write(self, data: bytes) -> None:
        """Add all the octets at the end; they may be lost until ``fdatasync`` has returned."""

    def fdatasync(self) -> None:
        """Return when everything written is on the medium. After an error nothing may be believed."""

    def close(self) -> None:
        """Let the file go."""


class Disk(Protocol):
    """Files by path. Every method raises ``OSError``."""

    def make_directory(self, path: Path) -> None:
        """Make the directory and those above it where they are missing."""

    def lock(self, path: Path) -> Callable[[], None]:
        """Lock the file against other processes and return what unlocks it. Raises ``BlockingIOError`` if held."""

    def size(self, path: Path) -> int | None:
        """Return the size of the file in octets, None if there is none."""

    def read(self, path: Path, offset: int, length: int) -> bytes:
        """Return up to ``length`` octets from ``offset``."""

    def create(self, path: Path) -> AppendFile:
        """Open a new, empty file in the place of any that is there."""

    def open_append(self, path: Path) -> AppendFile:
        """Open the file that is there."""

    def truncate(self, path: Path, size: int) -> None:
        """Cut the file and return when that is on the medium."""

    def replace(self, source: Path, target: Path) -> None:
        """Give the file another name, in the place of any that has it."""

    def remove(self, path: Path) -> None:
        """Remove the file if there is one."""

    def sync_directory(self, path: Path) -> None:
        """Return when the names in the directory are on the medium."""


class _RealFile:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def fdatasync(self) -> None:
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class RealDisk:
    """The disk of this machine."""

    def make_directory(self, path: Path) -> None:
        """Make it, for this user only, and return when its name is on the medium."""
        if not path.is_dir():
            self.make_directory(path.parent)
            path.mkdir(_DIRECTORY_MODE, exist_ok=True)
            self.sync_directory(path.parent)

    def lock(self, path: Path) -> Callable[[], None]:
        """Lock by ``flock``: the lock ends with the process, however that ends."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return lambda: os.close(descriptor)

    def size(self, path: Path) -> int | None:
        """Ask the file system."""
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return None

    def read(self, path: Path, offset: int, length: int) -> bytes:
        """Read at the offset."""
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def create(self, path: Path) -> AppendFile:
        """Create it, readable for this user only."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        return _RealFile(os.open(path, flags, _FILE_MODE))

    def open_append(self, path: Path) -> AppendFile:
        """Open it for appending."""
        return _RealFile(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC))

    def truncate(self, path: Path, size: int) -> None:
        """Cut it, then fsync: the size is no data of the file."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        """Rename it."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Unlink it."""
        path.unlink(missing_ok=True)

    def sync_directory(self, path: Path) -> None:
        """Fsync the directory."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
