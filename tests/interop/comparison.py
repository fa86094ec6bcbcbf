"""One question to several servers, and their answers in a form that can be compared."""

import socket
import struct
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

TRIES = 3
TIMEOUT_S = 2.0
ITEMS = ("rcode", "aa", "tc", "answer", "authority", "additional", "question")

Lines = frozenset[str]


@dataclass(frozen=True, slots=True)
class Ask:
    """A question and how it is put."""

    name: str
    type: str
    edns: int | None = None
    """The UDP size offered, None without EDNS."""
    do: bool = False
    tcp: bool = False
    rd: bool = False
    class_: str = "IN"

    def packet(self) -> bytes:
        """Write the query."""
        message = dns.message.make_query(
            dns.name.from_text(self.name),
            self.type,
            self.class_,
            use_edns=self.edns is not None,
            payload=self.edns,
            want_dnssec=self.do,
            id=4711,
        )
        message.flags = dns.flags.RD if self.rd else dns.flags.Flag(0)
        return message.to_wire()

    def __str__(self) -> str:
        words = [self.name, self.class_ if self.class_ != "IN" else "", self.type]
        words += [
            f"+bufsize={self.edns}" if self.edns else "",
            "+do" if self.do else "",
            "+tcp" if self.tcp else "",
        ]
        return " ".join(word for word in [*words, "+rd" if self.rd else ""] if word)


@dataclass(frozen=True, slots=True)
class Told:
    """What a server said."""

    rcode: str
    aa: bool
    tc: bool
    answer: Lines
    authority: Lines
    additional: Lines
    question: str


def tell(asked: Ask, port: int) -> Told:
    """Ask the server at a port of loopback."""
    return reduced(dns.message.from_wire(_sent(asked.packet(), port, tcp=asked.tcp), one_rr_per_rrset=True))


def reduced(message: dns.message.Message) -> Told:
    """Keep what is compared: sections as sets, no matter the order or the case of names."""
    is_truncated = bool(message.flags & dns.flags.TC)
    sections = [frozenset(map(_line, section)) for section in message.sections[1:]]
    answer, authority, additional = (frozenset(), frozenset(), frozenset()) if is_truncated else sections
    return Told(
        dns.rcode.to_text(message.rcode()),
        bool(message.flags & dns.flags.AA),
        is_truncated,
        answer,
        authority,
        additional,
        str(message.question),
    )


def _line(rrset: dns.rrset.RRset) -> str:
    rdata = rrset[0].to_digestable().hex()
    text = str(rrset[0]).lower() if rrset.rdtype != dns.rdatatype.TXT else str(rrset[0])
    owner = str(rrset.name).lower()
    return f"{owner} {rrset.ttl} {dns.rdatatype.to_text(rrset.rdtype)} {text if len(text) < 120 else rdata}"


def _sent(packet: bytes, port: int, *, tcp: bool) -> bytes:
    if tcp:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as stream:
            stream.sendall(struct.pack("!H", len(packet)) + packet)
            file = stream.makefile("rb")
            return file.read(int.from_bytes(file.read(2), "big"))
    with socket.socket(type=socket.SOCK_DGRAM) as datagram:
        datagram.settimeout(TIMEOUT_S)
        datagram.connect(("127.0.0.1", port))
        for _ in range(TRIES):
            datagram.send(packet)
            try:
                return datagram.recv(65_535)
            except TimeoutError:
                continue
    raise AssertionError(f"no answer from port {port}")
