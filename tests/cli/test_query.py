"""``qdns query``: real DNS messages to small servers on loopback."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from tests.cli.conftest import Qdns, Serve
from tests.cli.fake import scene


class NameServer:
    """Answers by UDP and TCP on one port, with the addresses it is given; ``cut`` asks for TCP."""

    def __init__(self, addresses: tuple[str, ...], *, cut: bool = False) -> None:
        self.addresses = addresses
        self.cut = cut
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self._tcp.getsockname()[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port))
        self._stopping = False
        for each in (self._udp, self._tcp):
            each.settimeout(0.05)
        works = (self._serve_udp, self._serve_tcp)
        self._threads = [threading.Thread(target=work, daemon=True) for work in works]
        for thread in self._threads:
            thread.start()

    def _answer(self, packet: bytes, *, cut: bool) -> bytes:
        query = dns.message.from_wire(packet)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA | (dns.flags.TC if cut else 0)
        question = query.question[0]
        if question.rdtype.name == "SOA":
            soa = "ns1.example.com. hostmaster.example.com. 2026112207 3600 600 604800 60"
            answer.answer.append(dns.rrset.from_text(question.name, 5, "IN", "SOA", soa))
        elif not self.addresses:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif not cut:
            answer.answer.append(dns.rrset.from_text(question.name, 5, "IN", "A", *self.addresses))
        return answer.to_wire()

    def _while_running(self, serve: Callable[[], None]) -> None:
        while not self._stopping:
            try:
                serve()
            except TimeoutError:
                continue
            except OSError:
                return

    def _serve_udp(self) -> None:
        def once() -> None:
            packet, client = self._udp.recvfrom(4096)
            self._udp.sendto(self._answer(packet, cut=self.cut), client)

        self._while_running(once)

    def _serve_tcp(self) -> None:
        def once() -> None:
            stream, _ = self._tcp.accept()
            with stream:
                size = int.from_bytes(stream.recv(2))
                octets = self._answer(stream.recv(size), cut=False)
                stream.sendall(len(octets).to_bytes(2) + octets)

        self._while_running(once)

    def stop(self) -> None:
        self._stopping = True
        for thread in self._threads:
            thread.join(5)
        self._udp.close()
        self._tcp.close()


@pytest.fixture(name="name_servers")
def fixture_name_servers() -> Iterator[Callable[..., NameServer]]:
    started: list[NameServer] = []

    def start(*addresses: str, cut: bool = False) -> NameServer:
        started.append(NameServer(addresses, cut=cut))
        return started[-1]

    yield start
    for each in started:
        each.stop()


def with_dns(*servers: NameServer | None) -> dict[str, Any]:
    """Return a scene whose nodes answer DNS at these servers."""
    status = scene("healthy")["GET /v1/status"]["body"]
    nodes = [
        row | {"dns": [f"127.0.0.1:{server.port}"] if server is not None else [], "error": "connection refused"}
        for row, server in zip(status["nodes"], servers, strict=False)
    ]
    return {"GET /v1/status": {"body": status | {"nodes": nodes}}}


def test_one_node_is_asked_by_default(
    qdns: Qdns, serve: Serve, name_servers: Callable[..., NameServer]
) -> None:
    """It is the one that answered; the answer looks as dig would show it."""
    serve(with_dns(name_servers("192.0.2.10", "192.0.2.11"), None, None))
    ran = qdns("query", "www.example.com")
    head, *records = ran.out.splitlines()
    assert head.startswith(";; NOERROR   qr aa rd   ns1 127.0.0.1:")
    expected = ["www.example.com.  5  A  192.0.2.10", "www.example.com.  5  A  192.0.2.11"]
    assert expected == sorted(records)


def test_a_node_and_a_type_in_any_order(
    qdns: Qdns, serve: Serve, name_servers: Callable[..., NameServer]
) -> None:
    """``@ns2 soa`` and ``soa @ns2`` are the same."""
    serve(with_dns(None, name_servers("192.0.2.10"), None))
    for words in (("@ns2", "soa"), ("SOA", "@ns2")):
        row = json.loads(qdns("query", "example.com", *words, "--json").out)
        assert ("ns2", "SOA") == (row["node"], row["answer"][0]["type"])


def test_a_cut_answer_is_asked_for_again_by_tcp(
    qdns: Qdns, serve: Serve, name_servers: Callable[..., NameServer]
) -> None:
    """RFC 7766 section 5."""
    serve(with_dns(name_servers("192.0.2.10", cut=True)))
    assert "192.0.2.10" in qdns("query", "www.example.com").out
    assert "192.0.2.10" in qdns("query", "www.example.com", "--tcp").out


def test_all_nodes_agree_whatever_the_order(
    qdns: Qdns, serve: Serve, name_servers: Callable[..., NameServer]
) -> None:
    """A node that does not answer is a row with its reason, not a difference."""
    serve(with_dns(name_servers("192.0.2.10", "192.0.2.11"), name_servers("192.0.2.11", "192.0.2.10"), None))
    ran = qdns("query", "www.example.com", "--all", "--no-headers")
    assert 0 == ran.code
    first, second, third, verdict = ran.out.splitlines()
    for name, line in (("ns1", first), ("ns2", second)):
        words = line.split()
        assert [name, "NOERROR", "2026112207"] == words[:3]
        assert {"192.0.2.10", "192.0.2.11"} == set(words[3:5])
    assert ["ns3", "-", "-", "connection", "refused"] == third.split()
    assert "all answering nodes agree" == verdict


def test_nodes_that_differ_end_with_12(
    qdns: Qdns, serve: Serve, name_servers: Callable[..., NameServer]
) -> None:
    """The difference is what --all is for."""
    serve(with_dns(name_servers("192.0.2.10"), name_servers(), None))
    ran = qdns("query", "www.example.com", "--all")
    assert (12, "! the nodes differ") == (ran.code, ran.out.splitlines()[-1])


@pytest.mark.parametrize(
    ("code", "words", "sentence"),
    [
        (4, ("www.example.com",), "error: ns1 did not answer: "),
        (4, ("www.example.com", "--all"), "error: no node answered"),
        (6, ("www.example.com", "@ns9"), 'error: no node "ns9" in this cluster'),
        (2, ("www.example.com", "A", "AAAA"), "error: a query has one name, one type and one @NODE"),
    ],
)
def test_what_cannot_be_asked(
    code: int, words: tuple[str, ...], sentence: str, qdns: Qdns, serve: Serve
) -> None:
    """The message says whether the question, the node or the network was wrong."""
    serve(with_dns(None, None, None))
    ran = qdns("query", *words)
    assert sentence in ran.err
    assert code == ran.code


@pytest.mark.parametrize("words", [(f"{'x' * 64}.example.com",), ("www.example.com", "BOGUS")])
def test_what_is_no_question(
    words: tuple[str, ...], qdns: Qdns, serve: Serve, name_servers: Callable[..., NameServer]
) -> None:
    """A label of more than 63 octets (RFC 1035 section 2.3.4) or an unknown type cannot be asked for."""
    serve(with_dns(name_servers("192.0.2.10")))
    ran = qdns("query", *words)
    assert (2, True) == (ran.code, "error: cannot ask for " in ran.err)
