"""Trying one endpoint once: one function per kind of check, one deadline from start to verdict."""

import asyncio
from functools import lru_cache

import structlog

from node.health.service import Check
from node.probe.deadline import Deadline
from node.probe.http import probe_http
from node.probe.result import Failed, ProbeResult, Progress
from node.probe.stream import Tls, explain, is_answer
from node.probe.tcp import probe_tcp
from node.probe.toolbox import Toolbox
from node.zone.name import Name, to_text

logger = structlog.get_logger()


async def run(
    check: Check, fqdn: Name, address: str, timeout_s: float, toolbox: Toolbox | None = None
) -> ProbeResult:
    """Probe the address once, on a fresh connection, within ``timeout_s`` in all.

    Never raises; whatever goes wrong is a result with a sentence of evidence. Without a toolbox one is
    made for this probe alone. ``{}`` does not exist here: host and name come from the service.
    """
    if toolbox is not None:
        return await _run(check, fqdn, address, timeout_s, toolbox)
    own = Toolbox()
    try:
        return await _run(check, fqdn, address, timeout_s, own)
    finally:
        await own.close()


async def _run(check: Check, fqdn: Name, address: str, timeout_s: float, toolbox: Toolbox) -> ProbeResult:
    clock_s = asyncio.get_running_loop().time
    started_s = clock_s()
    progress = Progress()
    up, answered = False, False
    try:
        async with Deadline(timeout_s):
            evidence = await _probe(check, fqdn, address, toolbox, progress)
        up = answered = True
    except Failed as failure:
        evidence, answered = str(failure), failure.answered
    except TimeoutError:
        evidence, answered = f"{progress.missing} within {round(timeout_s * 1000)} ms", progress.answered
    except OSError as error:
        evidence, answered = explain(error), is_answer(error) or progress.answered
    except Exception as error:
        evidence = f"probe broke down: {type(error).__name__}: {error}"
        logger.exception("probe.failed", kind=check.kind, fqdn=to_text(fqdn), address=address)
    return ProbeResult(up, round((clock_s() - started_s) * 1000), evidence, answered)


async def _probe(check: Check, fqdn: Name, address: str, toolbox: Toolbox, progress: Progress) -> str:
    if check.kind == "tcp":
        return await probe_tcp(check, address, progress)
    host = check.host or host_of(fqdn)
    tls = _tls(check, host, toolbox) if check.kind == "https" else None
    return await probe_http(check, host, address, tls, toolbox.patterns, progress)


@lru_cache(maxsize=16_384)
def host_of(fqdn: Name) -> str:
    """Return the service's name as a Host header has it."""
    return to_text(fqdn).removesuffix(".")


def _tls(check: Check, host: str, toolbox: Toolbox) -> Tls:
    try:
        return toolbox.tls(tls_name(host), verify=check.verify)
    except OSError as error:
        raise Failed(f"the CA file cannot be read: {error}", answered=False) from None


def tls_name(host: str) -> str:
    """Return the TLS server name of a Host header: brackets and port belong to the header only."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0]
