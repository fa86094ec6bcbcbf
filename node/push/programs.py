"""Updates sent by ``nsupdate`` (BIND) or ``knsupdate`` (Knot DNS) instead of by this process.

The script goes in by standard input, the key with it: arguments can be seen by everybody on the
machine. Both programs exit 0 when a script ends without ``send``, so it always ends with one; and as an
exit of 0 does not mean that anything was applied, the server is read afterwards like any other.
"""

import asyncio
import base64
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress

import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.update

from node.push.errors import PushError
from node.push.exchange import Address
from node.push.explain import explain_failure, explain_rcode, explain_signature
from node.push.rfc2136 import CONFLICTS, UDP_OCTETS_MAX, Rfc2136, Server
from node.zone.name import Name, to_text

TIMEOUT_S = 3
DEADLINE_S = 2.0 * TIMEOUT_S + 2.0
"""Both programs are told to give up before; this is for one that hangs."""
_OPTIONS = {
    "nsupdate": ("-t", str(TIMEOUT_S), "-u", "1", "-r", "1"),
    "knsupdate": ("-t", str(TIMEOUT_S), "-r", "1"),
}
_PLACES = "/usr/local/bin:/usr/bin:/usr/local/sbin:/usr/sbin"
_RCODE = re.compile(r"\b(?:failed: |error ')([A-Z]+)\b")
_STATUS = re.compile(r"\bstatus: ([A-Z]+);")
_SILENCE = re.compile(r"timed out|timeout")
_SHOWN_CHARACTERS = 120


class Program(Rfc2136):
    """Reads a server natively and changes it by one of the two programs."""

    def __init__(self, program: str, server: Server) -> None:
        super().__init__(server)
        self._program = program

    async def _send_update(self, zone: Name, message: dns.update.UpdateMessage) -> dns.rcode.Rcode:
        path = shutil.which(self._program, path=f"{os.environ.get('PATH', '')}:{_PLACES}")
        if path is None:
            raise PushError("permanent", "no-program", f"{self._program} is not installed on this node")
        script = "\n".join(self._script(zone, message, await self._address()))
        by_tcp = ("-v",) if len(message.to_wire()) > UDP_OCTETS_MAX else ()
        code, output, errors = await _run([path, *_OPTIONS[self._program], *by_tcp], script.encode())
        return self._judged(zone, code, output, errors)

    def _script(self, zone: Name, message: dns.update.UpdateMessage, address: Address) -> Iterator[str]:
        yield f"server {address[0]} {address[1]}"
        yield f"zone {to_text(zone)}"
        if self._key is not None:
            secret = base64.b64encode(self._key.secret).decode()
            yield f"key {self._key.algorithm.to_text(omit_final_dot=True)}:{self._key.name.to_text()} {secret}"
        for rrset in message.prerequisite:
            yield from _prerequisite_lines(rrset)
        for rrset in message.update:
            yield from _update_lines(rrset)
        yield "send"
        yield ""

    def _judged(self, zone: Name, code: int, output: str, errors: str) -> dns.rcode.Rcode:
        """Make of exit code and output what an answer would say. Raises ``PushError``."""
        if code == 0 and not errors.strip():
            return dns.rcode.NOERROR
        wrong = explain_signature(f"{errors}\n{output}", self._server.address)
        if wrong is not None:
            raise wrong
        match = _RCODE.search(errors) or _STATUS.search(output)
        if match is not None and match[1] in dns.rcode.Rcode.__members__:
            rcode = dns.rcode.from_text(match[1])
            if rcode in CONFLICTS:
                return rcode
            if rcode != dns.rcode.NOERROR:
                raise explain_rcode(rcode, self._server.address, zone, "the update")
        if "connection refused" in errors:
            raise explain_failure(ConnectionRefusedError(), self._server.address, zone)
        if _SILENCE.search(errors):
            raise explain_failure(TimeoutError(), self._server.address, zone)
        said = " ".join(errors.split())[:_SHOWN_CHARACTERS] or "nothing"
        text = f"{self._program} ended with {code} for {self._server.address} and said: {said}"
        raise PushError("retryable", "program", text)


def _prerequisite_lines(rrset: dns.rrset.RRset) -> Iterator[str]:
    what = f"{rrset.name.to_text()} {dns.rdatatype.to_text(rrset.rdtype)}"
    if rrset.rdclass == dns.rdataclass.IN:
        for rdata in rrset:
            yield f"prereq yxrrset {rrset.name.to_text()} IN {dns.rdatatype.to_text(rrset.rdtype)} {rdata.to_text()}"
    else:
        exists = rrset.rdclass == dns.rdataclass.ANY
        yield f"prereq {'yxrrset' if exists else 'nxrrset'} {what}"


def _update_lines(rrset: dns.rrset.RRset) -> Iterator[str]:
    type_ = dns.rdatatype.to_text(rrset.rdtype)
    if rrset.deleting is not None:
        yield f"update delete {rrset.name.to_text()} {type_}"
    else:
        for rdata in rrset:
            yield f"update add {rrset.name.to_text()} {rrset.ttl} IN {type_} {rdata.to_text()}"


async def _run(words: list[str], script: bytes) -> tuple[int, str, str]:
    """Run a program in a process group of its own, which is killed when it takes too long."""
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", _PLACES), "LC_ALL": "C"},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            output, errors = await process.communicate(script)
    except TimeoutError:
        raise PushError("retryable", "silent", f"{words[0]} did not end within {DEADLINE_S:g} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return process.returncode or 0, output.decode(errors="replace"), errors.decode(errors="replace")
