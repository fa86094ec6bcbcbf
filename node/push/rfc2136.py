"""Dynamic updates (RFC 2136) and queries to one server, signed with TSIG (RFC 8945), by dnspython."""

import asyncio
import ipaddress
import socket
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dns.entropy
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
import msgspec

from node.push.errors import PushError
from node.push.exchange import Address, by_tcp, by_udp
from node.push.explain import explain_failure, explain_rcode
from node.push.orders import Key, Replacement
from node.push.settings import TsigSecret
from node.push.wire import answered, library_name, library_rdataset
from node.zone.name import Name, to_text
from node.zone.rrset import CNAME, SOA, RRset

UDP_OCTETS_MAX = 1232
QUERIES_MAX = 16
CONFLICTS = frozenset({dns.rcode.NXRRSET, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.YXDOMAIN})


@dataclass(frozen=True, slots=True)
class Server:
    """An outside server and how to speak to it."""

    address: str
    """``192.0.2.1:53``, ``[2001:db8::1]:53`` or ``name:53``."""
    key_name: str = ""
    key: TsigSecret | None = None
    udp_timeout_s: float = 1.0
    update_timeout_s: float = 3.0
    """How long an answer to an update may take by UDP: a server may have a queue of them, and write files."""
    tcp_timeout_s: float = 3.0


class Rfc2136:
    """Reads and changes RRsets on one server; see ``node.push.delivery.Carrier``."""

    fences = True

    def __init__(self, server: Server) -> None:
        self._server = server
        self._key = _library_key(server)

    def close(self) -> None:
        """Do nothing: every exchange has a socket of its own."""

    async def least_ttl(self, zone: Name) -> int:  # noqa: ARG002
        """Return 0: a name server takes any ttl."""
        return 0

    async def serial(self, zone: Name) -> int | None:
        """Return the serial of the SOA. Raises ``PushError``, also when the server does not hold the zone."""
        soa = answered(await self._query(zone, zone, SOA), zone, SOA)
        if soa is None:
            raise PushError("permanent", "no-zone", f"{self._server.address} does not hold {to_text(zone)}")
        return int.from_bytes(soa.rdatas[0][-20:-16], "big")

    async def read(self, zone: Name, keys: Collection[Key]) -> dict[Key, RRset]:
        """Return the RRsets that stand there, and a CNAME that stands in the way."""
        found: dict[Key, RRset] = {}

        async def read_one(key: Key) -> None:
            response = await self._query(zone, *key)
            for type_ in {key[1], CNAME}:
                rrset = answered(response, key[0], type_)
                if rrset is not None:
                    found[(key[0], type_)] = rrset

        await _in_parallel(read_one(key) for key in keys)
        return found

    async def confirm(self, zone: Name, present: Mapping[Key, RRset]) -> dict[Key, RRset]:
        """Return those that exist at their names: a prerequisite without an update asks it (RFC 2136 3.2)."""
        real: dict[Key, RRset] = {}

        async def ask(key: Key) -> None:
            message = self._update(zone)
            message.present(library_name(key[0]), dns.rdatatype.RdataType.make(key[1]))
            if await self._send_update(zone, message) == dns.rcode.NOERROR:
                real[key] = present[key]

        await _in_parallel(ask(key) for key in present)
        return real

    async def replace(self, zone: Name, replacements: Sequence[Replacement]) -> None:
        """Send one UPDATE: what is replaced as prerequisites, then each RRset whole, all or nothing."""
        message = self._update(zone)
        for each in replacements:
            put_prerequisite(message, each)
        for each in replacements:
            put_change(message, each)
        rcode = await self._send_update(zone, message)
        if rcode in CONFLICTS:
            text = f"{self._server.address} no longer has what was read ({dns.rcode.to_text(rcode)})"
            raise PushError("conflict", "conflict", text)

    def _update(self, zone: Name) -> dns.update.UpdateMessage:
        return dns.update.UpdateMessage(library_name(zone))

    async def _send_update(self, zone: Name, message: dns.update.UpdateMessage) -> dns.rcode.Rcode:
        """Send an UPDATE and return NOERROR or the rcode of a prerequisite that failed. Raises ``PushError``."""
        response = await self._exchange(zone, message)
        rcode = response.rcode()
        if rcode != dns.rcode.NOERROR and rcode not in CONFLICTS:
            raise explain_rcode(rcode, self._server.address, zone, "the update")
        if self._key is not None and not response.had_tsig:
            text = f"{self._server.address} answered a signed update without a signature"
            raise PushError("retryable", "unsigned", f"{text}; something between may have made it up")
        return rcode

    async def _query(self, zone: Name, name: Name, type_: int) -> dns.message.Message:
        query = dns.message.make_query(library_name(name), dns.rdatatype.RdataType.make(type_))
        query.flags = dns.flags.Flag(0)
        response = await self._exchange(zone, query)
        rcode = response.rcode()
        if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise explain_rcode(rcode, self._server.address, zone, "the query")
        if not response.flags & dns.flags.AA:
            text = f"{self._server.address} does not answer {to_text(name)} with authority"
            raise PushError("permanent", "lame", f"{text}; does it hold {to_text(zone)}?")
        return response

    async def _exchange(self, zone: Name, message: dns.message.Message) -> dns.message.Message:
        """Send by UDP, then by TCP when that was too small or got no answer; each try is signed anew."""
        address = await self._address()
        silence: Exception | None = None
        wire = self._signed(message)
        is_update = message.opcode() == dns.opcode.UPDATE
        timeout_s = self._server.update_timeout_s if is_update else self._server.udp_timeout_s
        try:
            if len(wire) <= UDP_OCTETS_MAX:
                try:
                    answer = await by_udp(wire, address, timeout_s)
                    response = self._parsed(message, answer)
                    if not response.flags & dns.flags.TC:
                        return response
                except TimeoutError as error:
                    silence = error
            answer = await by_tcp(self._signed(message), address, self._server.tcp_timeout_s)
            return self._parsed(message, answer)
        except Exception as error:
            hidden = silence is not None and isinstance(error, OSError)
            raise explain_failure(
                silence if hidden and silence else error, self._server.address, zone
            ) from None

    def _signed(self, message: dns.message.Message) -> bytes:
        """Return the message with a new id, signed at this moment."""
        message.id = dns.entropy.random_16()
        if self._key is not None:
            message.use_tsig(self._key)
        return message.to_wire()

    def _parsed(self, message: dns.message.Message, answer: bytes) -> dns.message.Message:
        """Read an answer and check its signature; whether one without is good enough is the caller's to say."""
        try:
            response = dns.message.from_wire(answer, keyring=message.keyring, request_mac=message.mac)
        except dns.exception.FormError:
            response = dns.message.from_wire(answer)
        if not message.is_response(response):
            raise PushError("retryable", "garbage", f"{self._server.address} answered another question")
        return response

    async def _address(self) -> Address:
        host, _, port = self._server.address.rpartition(":")
        host = host.strip("[]")
        try:
            return str(ipaddress.ip_address(host)), int(port)
        except ValueError:
            pass
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)
        except (OSError, ValueError, UnicodeError) as error:
            raise PushError("retryable", "no-address", f"{self._server.address}: {error}") from None
        return str(found[0][4][0]), int(found[0][4][1])


def put_prerequisite(message: dns.update.UpdateMessage, each: Replacement) -> None:
    """Demand that the RRset is exactly the one that was read (RFC 2136 sections 2.4.2 and 2.4.3)."""
    if each.before is None:
        message.absent(library_name(each.name), dns.rdatatype.RdataType.make(each.type))
    else:
        without_ttl = msgspec.structs.replace(each.before, ttl=0)
        message.present(library_name(each.name), library_rdataset(without_ttl))


def put_change(message: dns.update.UpdateMessage, each: Replacement) -> None:
    """Delete the RRset and add the new one; in one message nobody sees it empty (RFC 2136 section 3.4)."""
    if each.before is not None:
        message.delete(library_name(each.name), dns.rdatatype.RdataType.make(each.type))
    if each.after is not None:
        message.add(library_name(each.name), library_rdataset(each.after))


def _library_key(server: Server) -> dns.tsig.Key | None:
    if server.key is None:
        return None
    try:
        return dns.tsig.Key(server.key_name, server.key.secret, server.key.algorithm)
    except (ValueError, dns.exception.DNSException) as error:
        text = f'the TSIG key "{server.key_name}" cannot be used: {type(error).__name__}; is its secret base64?'
        raise PushError("permanent", "bad-secret", text) from None


async def _in_parallel(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run some works at a time; the first failure ends them all."""
    limit = asyncio.Semaphore(QUERIES_MAX)

    async def run(work: Coroutine[Any, Any, None]) -> None:
        async with limit:
            await work

    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(run(work))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
