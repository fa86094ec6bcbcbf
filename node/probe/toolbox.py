"""What probes share: TLS contexts, the worker for patterns, the local programs. One per prober, closed with it."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from ssl import SSLContext

from node.probe.heartbeats import Heartbeats
from node.probe.pattern import Patterns
from node.probe.sessions import Sessions
from node.probe.tls import make_context
from node.probe.tls_wire import Tls


class Toolbox:
    """Things that are made once and used by many probes, when first needed."""

    def __init__(
        self,
        ca_file: Path | None = None,
        exec_checks: Mapping[str, tuple[str, ...]] | None = None,
        heartbeats: Heartbeats | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.exec_checks = dict(exec_checks or {})
        """The argv of every exec check that this node's own configuration knows."""
        self.heartbeats = heartbeats
        """What endpoints told this node by themselves; None where it hears none."""
        self.patterns = Patterns()
        self.sessions = Sessions(clock_s)
        """What handshakes may take up again."""
        self._ca_file = ca_file
        self._contexts: dict[tuple[bool, tuple[str, ...]], SSLContext] = {}

    def tls(self, host: str, *, verify: bool, protocols: tuple[str, ...] = ()) -> Tls:
        """Return how to speak TLS with ``host``. Raises ``OSError`` when the CA file cannot be read."""
        key = verify, protocols
        if key not in self._contexts:
            ca_file = self._ca_file if verify else None
            self._contexts[key] = make_context(verify=verify, ca_file=ca_file, protocols=protocols)
        return Tls(self._contexts[key], host)

    async def close(self) -> None:
        """End the pattern worker."""
        await self.patterns.close()
