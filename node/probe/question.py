"""DNS probes: one question over UDP, written and read by hand (RFC 1035 section 4.1).

Twelve octets of header and a name are less than any library would bring along.
"""

import secrets
import struct
from collections.abc import Iterator

from node.counted import counted
from node.health.service import Check
from node.probe.datagram import ask, open_datagram
from node.probe.result import Failed, Progress
from node.zone.name import ROOT, Name
from node.zone.rrset import rdata_from_text

_RECURSION_DESIRED = 0x0100
_IS_RESPONSE = 0x8000
_TRUNCATED = 0x0200
_IN = 1
_RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")


async def probe_dns(check: Check, fqdn: Name, address: str, progress: Progress) -> str:
    """Ask once; the rcode must be an expected one, and ``check.expect`` one of the answers' rdatas."""
    number = secrets.randbits(16)
    question = (check.query_name or fqdn) + struct.pack(">HH", check.query_type, _IN)
    packet = struct.pack(">HHHHHH", number, _RECURSION_DESIRED, 1, 0, 0, 0) + question

    def judge(datagram: bytes) -> str | None:
        return judge_answer(check, number, question, datagram)

    return await ask(open_datagram(address, check.port), packet, judge, progress)


def judge_answer(check: Check, number: int, question: bytes, datagram: bytes) -> str | None:
    """Return the evidence of a good answer, None for what does not answer this question. Raises ``Failed``."""
    if len(datagram) < 12:
        return None
    identity, flags, questions, answers = struct.unpack_from(">HHHH", datagram)
    if identity != number or not flags & _IS_RESPONSE:
        return None
    if questions == 1 and datagram[12 : 12 + len(question)].lower() != question:
        return None
    rcode = flags & 0xF
    word = _RCODES[rcode] if rcode < len(_RCODES) else f"rcode {rcode}"
    if rcode not in check.expect_rcodes:
        raise Failed(word)
    if check.expect:
        _require_rdata(check, datagram, 12 + (len(question) if questions else 0), answers, flags)
    return f"{word}, {counted(answers, 'answer')}"


def _require_rdata(check: Check, datagram: bytes, position: int, answers: int, flags: int) -> None:
    try:
        expected = rdata_from_text(check.query_type, check.expect, ROOT)
    except ValueError as error:
        raise Failed(f"expected rdata cannot be read: {error}", tried=False) from None
    try:
        found = expected in _rdatas(datagram, position, answers, check.query_type)
    except (struct.error, IndexError):
        raise Failed("answer cannot be read") from None
    if not found:
        raise Failed(
            "answer is truncated" if flags & _TRUNCATED else f"{check.expect} is not among the answers"
        )


def _rdatas(datagram: bytes, position: int, count: int, type_: int) -> Iterator[bytes]:
    """Yield the rdatas of this type from the answer section, as they stand there."""
    for _ in range(count):
        position = _skip_name(datagram, position)
        found, _, _, octets = struct.unpack_from(">HHIH", datagram, position)
        position += 10
        if found == type_:
            yield datagram[position : position + octets]
        position += octets


def _skip_name(datagram: bytes, position: int) -> int:
    """Return where the name at this position ends; a pointer ends it (RFC 1035 section 4.1.4)."""
    while length := datagram[position]:
        if length >= 0xC0:
            return position + 2
        position += 1 + length
    return position + 1
