"""Whether the parts of a node go on: what the health endpoints tell, and what systemd's watchdog is fed by."""

from node.api.context import Vital
from node.cluster import Cluster
from node.dns.self_check import SelfCheck
from node.probe.prober import Prober

LOG_SILENT_S_MAX = 5.0
"""A log that has not gone round for so long stands still; one entry may take a second or two."""
LATE_PARTS = 10
"""More than a tenth of the probes overdue by an interval is too much."""


class Vitals:
    """Looks at a node's parts."""

    def __init__(self, cluster: Cluster, dns: SelfCheck, prober: Prober) -> None:
        self._cluster = cluster
        self._dns = dns
        self._prober = prober

    async def look(self) -> tuple[Vital, ...]:
        """Return how each part is: the log's thread, our own DNS, the probes."""
        return (
            Vital("raft", self._log_problem()),
            Vital("dns", _dns_problem(await self._dns.silent())),
            Vital("probes", self._probe_problem()),
        )

    async def reason_to_restart(self) -> str:
        """Return why the process is not worth keeping, empty when it is; late probes are no reason."""
        return "; ".join(each.problem for each in await self.look() if each.problem and each.part != "probes")

    def _log_problem(self) -> str:
        silent_s = self._cluster.silent_s()
        if silent_s is None:
            return "the log has not begun"
        if silent_s > LOG_SILENT_S_MAX:
            return f"the log has stood still for {silent_s:.0f} s"
        return ""

    def _probe_problem(self) -> str:
        summary = self._prober.summary()
        if not self._prober.is_running:
            return "the prober does not run"
        if summary.overdue > summary.endpoints // LATE_PARTS:
            return f"{summary.overdue} of {summary.endpoints} endpoints are overdue to be probed"
        return ""


def _dns_problem(silent: tuple[str, ...]) -> str:
    return f"no answer from {', '.join(silent)}" if silent else ""
