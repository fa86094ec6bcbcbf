"""Whom this node trusts, and how it proves itself: read from files, and read again when they change.

Files that cannot be used change nothing: what was read before goes on, and the fault is told.
"""

import datetime as dt
import ssl
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from raft.errors import RaftError
from raft.identity import Certified
from raft.protection import TlsFiles
from raft.status import CertificateStatus
from raft.tls import TlsContexts

logger = structlog.get_logger()

WARN_DAYS: Final = 30
"""A certificate is told of so long before it ends."""
_TELL_AGAIN: Final = dt.timedelta(hours=12)

_Stamps = tuple[tuple[int, int, int] | None, ...]


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Trust:
    """The TLS files of the node ``own``. Raises ``RaftError`` if they cannot be used at the start."""

    def __init__(self, files: TlsFiles, own: Certified, *, now: Callable[[], dt.datetime] = _now) -> None:
        self._files = files
        self._own = own
        self._now = now
        self._loaded = self._seen = _stamps(files)
        self._told = ""
        self._told_at = dt.datetime.min.replace(tzinfo=dt.UTC)
        self.contexts = TlsContexts(files, own)
        self.status = self._described()
        self._tell_open_key()
        self.tell_of_time()

    def certified(self, connection: ssl.SSLObject) -> Certified:
        """Return who the other side is, if its certificate is trusted now. Raises ``Refusal``."""
        return self.contexts.certified(connection)

    def look(self) -> bool:
        """Read the files again if they have changed and then stood still for one look; tell whether they are in use."""
        stamps = _stamps(self._files)
        is_still, self._seen = stamps == self._seen, stamps
        return is_still and stamps != self._loaded and self.reload()

    def reload(self) -> bool:
        """Read the files again now; False, and the reason in ``status``, when they cannot be used."""
        self._loaded = self._seen = _stamps(self._files)
        try:
            self.contexts = TlsContexts(self._files, self._own)
        except RaftError as error:
            self.status = self._described(str(error))
            logger.error("certificate.not_reloaded", detail=str(error))
            return False
        self.status = self._described()
        self._told = ""
        ends = self.contexts.certificate.not_valid_after_utc
        logger.info("certificate.reloaded", ends=f"{ends:%Y-%m-%d}", refused=len(self.contexts.refused))
        self._tell_open_key()
        self.tell_of_time()
        return True

    def tell_of_time(self) -> None:
        """Log, now and then, that the certificate ends soon or has ended."""
        now, ends = self._now(), self.contexts.certificate.not_valid_after_utc
        event = "certificate.expired" if now > ends else "certificate.ends_soon"
        if ends - now >= dt.timedelta(days=WARN_DAYS) or (
            self._told == event and now - self._told_at < _TELL_AGAIN
        ):
            return
        self._told, self._told_at = event, now
        tell = logger.error if now > ends else logger.warning
        hint = f"qdns init --renew {self._own.node}, where the authority's key is"
        tell(event, ends=f"{ends:%Y-%m-%d %H:%M}", hint=hint)

    def _described(self, problem: str = "") -> CertificateStatus:
        """Return what people should know of this node's certificate; asked for at every turn of the log, so kept."""
        certificate = self.contexts.certificate
        return CertificateStatus(
            begins_at_s=certificate.not_valid_before_utc.timestamp(),
            ends_at_s=certificate.not_valid_after_utc.timestamp(),
            problem=problem,
        )

    def _tell_open_key(self) -> None:
        if is_world_readable(self._files.key):
            logger.warning(
                "certificate.key_open", key=str(self._files.key), hint=f"chmod 600 {self._files.key}"
            )


def check_files(files: TlsFiles, own: Certified) -> dt.datetime:
    """Return when the certificate ends. Raises ``RaftError`` if the files do not prove that this is ``own``, now."""
    return TlsContexts(files, own).certificate.not_valid_after_utc


def is_world_readable(path: Path) -> bool:
    """Tell whether everyone on this machine can read a file; a missing one nobody can."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _stamps(files: TlsFiles) -> _Stamps:
    paths = (files.authority, files.certificate, files.key, files.refused)
    return tuple(_stamp(path) if path is not None else None for path in paths)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
