"""A backup's file on this machine: written whole or not at all, read again before it counts.

It is put together beside its place under another name, with mode 0600, is on the medium and was read
back when it takes the place of an older one.
"""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from node.cli.faults import ExitCode, Failure, usage

if TYPE_CHECKING:
    from node.state.backup import BackupReader, Header
    from node.state.survey import Survey

Fetch = Callable[[Callable[[bytes], object]], object]
"""Calls what it is given with octets until there are no more. Raises ``Failure``."""


def keep(path: Path, fetch: Fetch) -> "tuple[Header, Survey, int]":
    """Fetch a backup into a file that replaces ``path`` once it was verified; return what it holds and its octets.

    Raises ``Failure``; then ``path`` is what it was before.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        kind = "a directory" if path.is_dir() else "no regular file"
        raise usage(f"{path} is {kind}; nothing was written", "name a file: qdns backup FILE")
    with _explained(path):
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    part = Path(name)
    try:
        with _explained(path), open(descriptor, "w+b") as file:  # noqa: PTH123 - it is open already
            found = _filled(file, fetch)
            os.fsync(file.fileno())
            part.replace(path)
        _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)
    return found


def pass_on(fetch: Fetch) -> "tuple[Header, Survey, int]":
    """Fetch a backup into a file without a name, verify it, and write it to standard output. Raises ``Failure``."""
    if sys.stdout.isatty():
        raise usage("a backup is no text for a terminal", "qdns backup - > FILE")
    with _explained(Path(tempfile.gettempdir())), tempfile.TemporaryFile() as file:
        found = _filled(file, fetch)
        file.seek(0)
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.flush()
    return found


@contextlib.contextmanager
def fetched(fetch: Fetch) -> Iterator[BinaryIO]:
    """Give a verified backup in a file without a name, at its beginning. Raises ``Failure``."""
    with _explained(Path(tempfile.gettempdir())), tempfile.TemporaryFile() as file:
        _filled(file, fetch)
        file.seek(0)
        yield file


@contextlib.contextmanager
def opened(path: Path) -> "Iterator[BackupReader]":
    """Open a backup at its beginning. Raises ``Failure``, also for what is found wrong while it is read."""
    from node.state.backup import BackupReader, BadBackup

    try:
        with path.open("rb") as file:
            yield BackupReader(file)
    except BadBackup as error:
        raise Failure(f"{path} cannot be used: {error}", ExitCode.USAGE, hint="take another backup") from None
    except FileNotFoundError:
        raise Failure(f"there is no file {path}", ExitCode.NOT_FOUND) from None
    except OSError as error:
        raise Failure(f"{path} cannot be read: {_reason(error)}", ExitCode.USAGE) from None


def _filled(file: BinaryIO, fetch: Fetch) -> "tuple[Header, Survey, int]":
    from node.state.backup import BackupReader, BadBackup

    fetch(file.write)
    file.flush()
    file.seek(0)
    try:
        reader = BackupReader(file)
        return reader.header, reader.survey(), reader.octets
    except BadBackup as error:
        message = f"what the node sent is no whole backup: {error}; nothing was kept"
        raise Failure(message, ExitCode.UNREACHABLE, hint="run it again; another node: --api URL") from None


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"the backup cannot be written to {path}: {_reason(error)}; nothing was kept"
        raise Failure(message, ExitCode.USAGE, hint="another place: qdns backup FILE") from None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
