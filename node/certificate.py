"""A certificate for listeners: read from files, and again when they change, without a listener closed.

DNS over TLS and the HTTP API each have one.
"""

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path

import structlog

logger = structlog.get_logger()

DOT = ("dot",)
"""Of DNS over TLS, for ``alpn``: RFC 7858 section 3.1 and the registry it refers to."""
HTTP = ("http/1.1",)
"""RFC 7301 section 6."""
_LOOK_AGAIN_S = 5.0

Marks = tuple[tuple[int, int, int], ...]


class BadCertificate(Exception):
    """The files are no certificate and its key; the message says which and why."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Files in PEM form: the certificate with its chain, and its key."""

    cert: Path
    key: Path


class Certificate:
    """A context for listeners that shows the newest pair that could be read. Raises ``BadCertificate`` at first."""

    def __init__(
        self, files: CertificateFiles, look_again_s: float = _LOOK_AGAIN_S, alpn: tuple[str, ...] = DOT
    ) -> None:
        self.files = files
        self.alpn = alpn
        self.look_again_s = look_again_s
        self._marks = _marks(files)  # before they are read: a change in between is seen
        self._current = _loaded(files, alpn)
        self.context = _loaded(files, alpn)
        """For listeners: every handshake takes the newest pair (the callback runs without a name, too)."""
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current

    def reload(self, files: CertificateFiles | None = None) -> bool:
        """Read the pair again, or another one; say whether it is good. A bad one changes nothing."""
        wanted = files or self.files
        marks = _marks(wanted)
        try:
            fresh = _loaded(wanted, self.alpn)
        except BadCertificate as bad:
            logger.error("certificate.refused", detail=str(bad))
            self._marks = marks
            return False
        self.files, self._current, self._marks = wanted, fresh, marks
        logger.info("certificate.loaded", cert=str(wanted.cert))
        return True

    async def watch(self) -> None:
        """Read the pair again whenever a file has changed, until cancelled."""
        while True:
            await asyncio.sleep(self.look_again_s)
            if _marks(self.files) != self._marks:
                self.reload()


def _loaded(files: CertificateFiles, alpn: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(list(alpn))
    try:
        context.load_cert_chain(files.cert, files.key, password="")
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or str(error)
        raise BadCertificate(f"{files.cert} and {files.key} are no certificate and its key: {reason}") from None
    return context


def _marks(files: CertificateFiles) -> Marks:
    """Return what changes when a file does; a missing file has a mark of its own."""
    found = []
    for path in (files.cert, files.key):
        try:
            status = path.stat()
            found.append((status.st_mtime_ns, status.st_ino, status.st_size))
        except OSError:
            found.append((0, 0, 0))
    return tuple(found)
