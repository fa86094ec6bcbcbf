"""Asking a name server one question, as a resolver would. The only importer of dnspython here."""

import time
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver

from node.cli.faults import usage

Json = dict[str, Any]


def ask(server: str, name: str, type_: str, timeout_s: float, *, tcp: bool = False) -> Json:
    """Ask a server (``ip:port``) and return rcode, flags, records, time; or ``error`` with the reason.

    Raises ``Failure`` for a question that cannot be asked.
    """
    row: Json = {"server": server, "rcode": None, "flags": "", "answer": [], "authority": []}
    row |= {"time_ms": None, "error": ""}
    try:
        question = dns.message.make_query(name, type_)
    except (dns.exception.DNSException, ValueError) as error:
        raise usage(f"cannot ask for {name} {type_}: {error}", "qdns query www.example.org AAAA") from None
    begun_s = time.perf_counter()
    try:
        answer = _exchange(question, server, timeout_s, tcp=tcp)
    except (OSError, dns.exception.DNSException) as error:
        return row | {"error": _reason(error)}
    row["time_ms"] = round((time.perf_counter() - begun_s) * 1000, 1)
    row |= {"rcode": dns.rcode.to_text(answer.rcode()), "flags": dns.flags.to_text(answer.flags)}
    return row | {"answer": _lines(answer.answer), "authority": _lines(answer.authority)}


def serial_of(server: str, zone: str, timeout_s: float) -> int | None:
    """Return the serial that a server knows of a zone, None when it does not say."""
    found = ask(server, f"{zone}.", "SOA", timeout_s)
    soa = next((each["data"] for each in found["answer"] if each["type"] == "SOA"), None)
    return int(soa.split()[2]) if soa else None


def _exchange(
    question: dns.message.QueryMessage, server: str, timeout_s: float, *, tcp: bool
) -> dns.message.Message:
    """Send a query by UDP, and by TCP when the answer was cut (RFC 7766 section 5)."""
    host, _, port = server.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))  # noqa: S104
    if tcp:
        return dns.query.tcp(question, host, timeout=timeout_s, port=int(port))
    answer, _ = dns.query.udp_with_fallback(question, host, timeout=timeout_s, port=int(port))
    return answer


def _reason(error: Exception) -> str:
    if isinstance(error, dns.exception.Timeout):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def _lines(rrsets: Any) -> list[Json]:
    return [
        {
            "name": rrset.name.to_text(),
            "ttl": rrset.ttl,
            "type": dns.rdatatype.to_text(rrset.rdtype),
            "data": rdata.to_text(),
        }
        for rrset in rrsets
        for rdata in rrset
    ]


def nameservers_of(zone: str, timeout_s: float) -> set[str] | None:
    """Return whom the world asks about a zone, by this machine's resolver: none at all, or None when it does not say."""
    try:
        answer = dns.resolver.Resolver().resolve(f"{zone}.", "NS", lifetime=timeout_s)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return set()
    except (dns.exception.DNSException, OSError):
        return None
    return {rdata.target.to_text().rstrip(".").lower() for rdata in answer}
