"""Small disks of real nodes: a tmpfs each, in a mount namespace that ends with its keeper."""

import contextlib
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

SCRIPT = 'for each in "$@"; do mount -t tmpfs -o size=%d none "$each" || exit 1; done; echo made; cat'


PIECE_OCTETS = 4096
"""A page: a tmpfs gives room by the page."""


class SmallDisks:
    """A mount namespace with a small disk at each of the folders, as long as the block lasts."""

    def __init__(self, folders: list[Path], size_octets: int) -> None:
        self._folders = folders
        self._size_octets = size_octets
        self._keeper: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        for folder in self._folders:
            folder.mkdir(parents=True)
        words = [
            "unshare",
            "-m",
            "--propagation",
            "slave",
            "sh",
            "-c",
            SCRIPT % self._size_octets,
            "sh",
            *map(str, self._folders),
        ]
        self._keeper = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._keeper.stdout is not None
        assert "made\n" == self._keeper.stdout.readline()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._keeper is not None
        self._keeper.communicate("", timeout=10)

    def words(self) -> list[str]:
        """Return the words that run a program where these disks are."""
        assert self._keeper is not None
        return ["nsenter", "-t", str(self._keeper.pid), "-m"]

    def seen(self, folder: Path) -> Path:
        """Return the path by which this process sees a folder on its disk."""
        assert self._keeper is not None
        return Path(f"/proc/{self._keeper.pid}/root{folder}")

    def fill(self, folder: Path) -> Path:
        """Leave no octet free on a disk; return the file that takes the room."""
        ballast = self.seen(folder) / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"x" * PIECE_OCTETS):
                pass
        return ballast
