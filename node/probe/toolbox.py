"""What probes share: TLS contexts and the worker for patterns. One per prober, closed with it."""

from functools import cached_property
from pathlib import Path
from ssl import SSLContext

from node.probe.pattern import Patterns
from node.probe.stream import Tls
from node.probe.tls import make_context


class Toolbox:
    """Things that are made once and used by many probes, when first needed."""

    def __init__(self, ca_file: Path | None = None) -> None:
        self._ca_file = ca_file
        self.patterns = Patterns()

    @cached_property
    def _verifying(self) -> SSLContext:
        return make_context(verify=True, ca_file=self._ca_file)

    @cached_property
    def _trusting(self) -> SSLContext:
        return make_context(verify=False, ca_file=None)

    def tls(self, host: str, *, verify: bool) -> Tls:
        """Return how to speak TLS with ``host``. Raises ``OSError`` when the CA file cannot be read."""
        return Tls(self._verifying if verify else self._trusting, host)

    async def close(self) -> None:
        """End the pattern worker."""
        await self.patterns.close()
