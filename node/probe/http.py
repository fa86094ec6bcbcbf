"""HTTP and HTTPS probes: one request on a fresh connection, the answer's status, optionally its body.

Redirects are answers like any other and never followed; no proxy, cookie jar or netrc exists here.
"""

import asyncio
from functools import lru_cache
from urllib.parse import quote

from node.health.service import Check
from node.probe.http_reader import BadAnswer, HttpReader
from node.probe.pattern import Patterns, PatternTooSlow
from node.probe.result import Failed, Progress
from node.probe.stream import Exchange, converse
from node.probe.tls import expiry_warning
from node.probe.tls_wire import Tls

_PRINTABLE = "".join(chr(code) for code in range(33, 127))
_OWN_FIELDS = (("User-Agent", "quorumdns-probe"), ("Accept", "*/*"), ("Accept-Encoding", "identity"))


async def probe_http(
    check: Check, host: str, address: str, tls: Tls | None, patterns: Patterns, progress: Progress
) -> str:
    """Ask once and judge the answer; return the evidence of success. Raises ``Failed`` or ``OSError``."""
    exchange = _HttpExchange(check, build_request(check, host), progress)
    evidence = await converse(exchange, address, check.port, tls)
    if check.expect_body:
        progress.missing = "body not judged"
        await _match_body(check.expect_body, bytes(exchange.reader.body), patterns)
    return evidence


@lru_cache(maxsize=16_384)
def build_request(check: Check, host: str) -> bytes:
    """Return the request's octets; the check's own headers win over ours."""
    own = {name.lower() for name, _ in check.headers}
    fields = [("Host", host), *_OWN_FIELDS]
    lines = [f"{check.method} {quote(check.path, safe=_PRINTABLE)} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in fields if name.lower() not in own]
    lines += [f"{name}: {value}" for name, value in check.headers if name.lower() != "connection"]
    lines += ["Connection: close", "", ""]
    return "\r\n".join(lines).encode()


class _HttpExchange(Exchange):
    """Sends the request and reads until the status, and the body if it matters, are known."""

    def __init__(self, check: Check, request: bytes, progress: Progress) -> None:
        super().__init__(progress)
        self._check = check
        self._request = request
        self.reader = HttpReader(wants_body=bool(check.expect_body), method=check.method.upper())

    def greet(self, transport: asyncio.Transport) -> None:
        """Note when the certificate is about to end."""
        if self._check.warn_expiry_days and self._check.kind == "https":
            session = transport.get_extra_info("ssl_object")
            self.progress.warning = expiry_warning(session, self._check.warn_expiry_days)

    def begin(self, transport: asyncio.Transport) -> None:
        """Ask."""
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self.finished.done():
            return
        try:
            complete = self.reader.feed(data)
        except BadAnswer as error:
            self.fail(str(error))
            return
        if self.reader.status and not self._is_expected():
            self.fail(f"HTTP {self.reader.status}")
        elif complete:
            self.succeed(f"HTTP {self.reader.status}")
        else:
            self.progress.missing = "no complete answer"

    def eof_received(self) -> None:
        """Judge what has come, as no more will."""
        if self.finished.done():
            return
        try:
            self.reader.finish()
        except BadAnswer as error:
            self.fail(str(error))
            return
        self.succeed(f"HTTP {self.reader.status}")

    def _is_expected(self) -> bool:
        return any(low <= self.reader.status <= high for low, high in self._check.expect_status)


async def _match_body(pattern: str, body: bytes, patterns: Patterns) -> None:
    try:
        found = await patterns.search(pattern, body.decode("utf-8", "replace"))
    except PatternTooSlow as error:
        raise Failed(str(error)) from None
    if not found:
        raise Failed("body does not match")
