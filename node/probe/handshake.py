"""TLS probes: a handshake with a certificate that is good for the name; nothing is said afterwards."""

import asyncio

from node.health.service import Check
from node.probe.result import Progress
from node.probe.stream import Exchange, converse
from node.probe.tls import end_of_validity, expiry_warning
from node.probe.tls_wire import Tls


async def probe_tls(check: Check, address: str, tls: Tls, progress: Progress) -> str:
    """Shake hands; return the evidence of success. Raises ``Failed`` or ``OSError``."""
    return await converse(_TlsExchange(check, progress), address, check.port, tls)


class _TlsExchange(Exchange):
    """Looks at the session and is content."""

    def __init__(self, check: Check, progress: Progress) -> None:
        super().__init__(progress)
        self._check = check

    def begin(self, transport: asyncio.Transport) -> None:
        """Tell what was agreed on."""
        session = transport.get_extra_info("ssl_object")
        self.progress.warning = expiry_warning(session, self._check.warn_expiry_days)
        version = str(session.version()).replace("v", " ", 1)
        not_after = end_of_validity(session)
        self.succeed(f"{version}, certificate until {not_after:%Y-%m-%d}" if not_after else version)
