"""The ends of a takeover in a node: who starts lets the running process give way, who runs can be asked to."""

import asyncio
import contextlib
import dataclasses
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import structlog

from node.dns.listen import ListenFailed, read_address
from node.dns_room import DnsRoom
from node.plan import Plan, StartError
from node.takeover import Sockets, TakeoverFailed, TakeoverPoint, take_over

logger = structlog.get_logger()


def taken_over(plan: Plan) -> Plan:
    """Let the process that runs this node give way. Raises ``StartError``."""
    folder = plan.dns.directory
    if folder is None:
        return plan
    logger.info("node.taking_over", node=plan.node)
    try:
        inherited = take_over(folder)
    except TakeoverFailed as error:
        raise StartError(str(error)) from None
    return with_sockets(plan, inherited)


def with_sockets(plan: Plan, found: Sockets) -> Plan:
    """Let a node listen on sockets that a predecessor has left, or a socket unit holds, beside those it has.

    What TCP sockets are for that come without a kind, DNS, DNS over TLS or the API, says the plan.
    """
    apis = {text: found["tcp", place] for text, place in _places(plan.api.listen) if ("tcp", place) in found}
    over_tls = {place for _, place in _places(plan.dns.tls_listen)}
    rest = {
        ("tls" if kind == "tcp" and place in over_tls else kind, place): bound
        for (kind, place), bound in found.items()
        if bound not in apis.values()
    }
    return dataclasses.replace(
        plan,
        dns=dataclasses.replace(plan.dns, inherited={**rest, **plan.dns.inherited}),
        api=dataclasses.replace(plan.api, inherited={**apis, **plan.api.inherited}),
    )


def _places(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield addresses to listen on as they are written and as sockets tell them; no others."""
    for text in texts:
        with contextlib.suppress(ListenFailed):
            yield text, str(read_address(text))


class Parting:
    """How a node ends and leaves its answerers to a successor: who asks for it, or SIGUSR1."""

    def __init__(self, end: Callable[[int], None]) -> None:
        self._end = end
        self._point: TakeoverPoint | None = None

    def offer(self, dns: DnsRoom, folder: Path) -> None:
        """Begin to listen for a successor."""

        def leave() -> None:
            dns.is_leaving = True
            self._end(0)

        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._point = TakeoverPoint(folder, lambda: dns.server.listening, leave)
        self._point.open()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, leave)

    async def close(self) -> None:
        """Give the successor what it waits for; everything else has stopped."""
        if self._point is not None:
            await self._point.close()
