"""Writing files that must not be there yet, all or none, and replacing one without a moment of half of it."""

import contextlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from node.cli.faults import ExitCode, Failure

PRIVATE = 0o600
PUBLIC = 0o644


@dataclass(frozen=True, slots=True)
class NewFile:
    """What a file will hold, and who may read it."""

    octets: bytes = field(repr=False)
    mode: int = PUBLIC


def write_new(files: Mapping[Path, NewFile]) -> None:
    """Write files, with the folders they need; none when one is there or cannot be written. Raises ``Failure``."""
    there = [str(path) for path in files if os.path.lexists(path)]
    if there:
        raise Failure(
            "nothing is overwritten, and these are here already; nothing was written",
            ExitCode.CONFLICT,
            facts=there,
            hint="another folder: --out DIR   another certificate of this cluster: qdns init --issue NODE",
        )
    written: list[Path] = []
    try:
        for path, file in files.items():
            _make_folder(path.parent, file.mode)
            _write(path, file)
            written.append(path)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise _unwritable(error) from None


def replace(path: Path, file: NewFile) -> None:
    """Put a file in the place of another one. Raises ``Failure``."""
    passing = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        _write(passing, file)
        passing.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            passing.unlink(missing_ok=True)
        raise _unwritable(error) from None


def keep_copy(path: Path, to: Path) -> None:
    """Keep what a file holds under a name that is free, for its owner alone. Raises ``Failure``."""
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise _unwritable(error) from None
    if not to.exists() or to.read_bytes() != octets:
        write_new({to: NewFile(octets, PRIVATE)})


def _make_folder(folder: Path, mode: int) -> None:
    folder.mkdir(
        parents=True, exist_ok=True, mode=0o700 if mode == PRIVATE and folder.name in _KEPT_APART else 0o755
    )


_KEPT_APART = ("offline", "secrets", "old")
"""Folders that hold nothing that others may read."""


def _write(path: Path, file: NewFile) -> None:
    """Write a file that is not there; whatever goes wrong, nothing is left of it. Raises ``OSError``."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file.mode)
    try:
        with open(descriptor, "wb") as opened:  # noqa: PTH123 - it is open already
            os.fchmod(descriptor, file.mode)
            opened.write(file.octets)
            opened.flush()
            os.fsync(descriptor)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _unwritable(error: OSError) -> Failure:
    reason = (error.strerror or str(error)).lower()
    return Failure(f"cannot write {error.filename or 'a file'}: {reason}", ExitCode.USAGE)
