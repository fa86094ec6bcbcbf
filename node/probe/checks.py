"""Trying one endpoint once: one function per kind of check, one deadline from start to verdict."""

import asyncio
from functools import lru_cache

import structlog

from node.health.service import Check
from node.probe.composite import judge_parts
from node.probe.datagram import probe_udp
from node.probe.deadline import Deadline, Starved
from node.probe.echo import probe_icmp
from node.probe.execute import probe_exec
from node.probe.grpc import probe_grpc
from node.probe.handshake import probe_tls
from node.probe.http import probe_http
from node.probe.question import probe_dns
from node.probe.result import Failed, ProbeResult, Progress
from node.probe.sessions import Place
from node.probe.stream import failure_of
from node.probe.tcp import probe_tcp
from node.probe.tls_wire import Tls
from node.probe.toolbox import Toolbox
from node.zone.name import Name, to_text

logger = structlog.get_logger()


async def run(
    check: Check,
    fqdn: Name,
    address: str,
    timeout_s: float,
    toolbox: Toolbox | None = None,
    resumes: bool = False,
) -> ProbeResult:
    """Probe the address once, on a fresh connection, within ``timeout_s`` in all.

    Never raises; whatever goes wrong is a result with a sentence of evidence. Without a toolbox one is
    made for this probe alone. ``{}`` does not exist here: host and name come from the service. ``resumes`` lets
    the handshake take up the session of an earlier probe, where the check is not about the certificate.
    """
    if toolbox is not None:
        return await _run(check, fqdn, address, timeout_s, toolbox, resumes)
    own = Toolbox()
    try:
        return await _run(check, fqdn, address, timeout_s, own, resumes)
    finally:
        await own.close()


async def _run(
    check: Check, fqdn: Name, address: str, timeout_s: float, toolbox: Toolbox, resumes: bool
) -> ProbeResult:
    if check.kind == "composite":
        return await _run_parts(check, fqdn, address, timeout_s, toolbox)
    clock_s = asyncio.get_running_loop().time
    started_s = clock_s()
    progress = Progress()
    up = False
    try:
        async with Deadline(timeout_s):
            evidence = await _probe(check, fqdn, address, toolbox, progress, resumes)
        up, failure = True, Failed(evidence)
    except Failed as error:
        failure = error
    except Starved:
        failure = Failed("this node is too busy to tell", answered=progress.answered, tried=False)
    except TimeoutError:
        evidence = f"{progress.missing} within {round(timeout_s * 1000)} ms"
        failure = Failed(evidence, answered=progress.answered)
    except OSError as error:
        failure = failure_of(error, progress)
    except Exception as error:
        failure = Failed(f"probe broke down: {type(error).__name__}: {error}", answered=False, tried=False)
        logger.exception("probe.failed", kind=check.kind, fqdn=to_text(fqdn), address=address)
    latency_ms = round((clock_s() - started_s) * 1000)
    return ProbeResult(up, latency_ms, str(failure), failure.answered, failure.tried, progress.warning)


async def _run_parts(check: Check, fqdn: Name, address: str, timeout_s: float, toolbox: Toolbox) -> ProbeResult:
    """Probe all parts at once, each within the whole deadline, and judge them together.

    Their handshakes are full ones: a part that is well would keep a session while the whole is down.
    """
    runs = (_run(part.check, fqdn, address, timeout_s, toolbox, resumes=False) for part in check.parts)
    return judge_parts(check, await asyncio.gather(*runs))


async def _probe(
    check: Check, fqdn: Name, address: str, toolbox: Toolbox, progress: Progress, resumes: bool
) -> str:
    host = check.host or host_of(fqdn)
    match check.kind:
        case "http":
            return await probe_http(check, host, address, None, toolbox.patterns, progress)
        case "https":
            tls = _tls(check, host, toolbox, lent_to=(fqdn, address) if resumes else None)
            evidence = await probe_http(check, host, address, tls, toolbox.patterns, progress)
            toolbox.sessions.give_back(tls.loan)
            return evidence
        case "tcp":
            return await probe_tcp(check, address, progress)
        case "tls":  # asks for the certificate, so each of its handshakes is a full one
            return await probe_tls(check, address, _tls(check, host, toolbox), progress)
        case "dns":
            return await probe_dns(check, fqdn, address, progress)
        case "udp":
            return await probe_udp(check, address, progress)
        case "icmp":
            return await probe_icmp(address, progress)
        case "grpc" if check.tls:
            tls = _tls(check, host, toolbox, ("h2",), lent_to=(fqdn, address) if resumes else None)
            evidence = await probe_grpc(check, host, address, tls, progress)
            toolbox.sessions.give_back(tls.loan)
            return evidence
        case "grpc":
            return await probe_grpc(check, host, address, None, progress)
        case "push":
            if toolbox.heartbeats is None:
                raise Failed("heartbeats are heard by running nodes only", answered=False, tried=False)
            return toolbox.heartbeats.listen(fqdn, address, check.lease_s)
        case "exec":
            progress.missing = "no end"
            return await probe_exec(check.command, toolbox.exec_checks.get(check.command), host, address)
        case _:
            raise Failed(f"this version has no check of kind {check.kind}", answered=False, tried=False)


@lru_cache(maxsize=16_384)
def host_of(fqdn: Name) -> str:
    """Return the service's name as a Host header has it."""
    return to_text(fqdn).removesuffix(".")


def _tls(
    check: Check,
    host: str,
    toolbox: Toolbox,
    protocols: tuple[str, ...] = (),
    lent_to: tuple[Name, str] | None = None,
) -> Tls:
    """Return how to speak TLS; a service's endpoint is lent the session that it has, if one."""
    try:
        tls = toolbox.tls(tls_name(host), verify=check.verify, protocols=protocols)
    except OSError as error:
        raise Failed(f"the CA file cannot be read: {error}", answered=False, tried=False) from None
    if lent_to is None:
        return tls
    fqdn, address = lent_to
    return tls._replace(loan=toolbox.sessions.lend(Place(tls.context, tls.name, address, check.port, fqdn)))


def tls_name(host: str) -> str:
    """Return the TLS server name of a Host header: brackets and port belong to the header only."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0]
