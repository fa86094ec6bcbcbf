"""Batches of datagrams: both ways give the same answers, from the address that was asked, in any mix."""

import socket
import struct
import time
from collections.abc import Iterator

import pytest

from node.dns import answerer_batch
from node.dns import answerer_stats as stats
from node.dns.answerer_batch import (
    BATCH,
    PACKET_OCTETS_MAX,
    Batch,
    PlainBatch,
    Sender,
    SystemBatch,
    send_one,
)
from node.dns.answerer_desk import Desk
from node.dns.fast import is_supported
from node.dns.listen import ListenAddress, open_datagram
from node.dns.native import load
from node.dns.native_batch import NativeBatch, open_batch
from node.zone.name import from_text
from tests.dns.tables import Twin, packet
from tests.dns.test_table import questions
from tests.dns.zones import zones

WAYS = [
    pytest.param(SystemBatch, marks=pytest.mark.skipif(not is_supported(), reason="wants Linux on x86-64")),
    pytest.param(NativeBatch, marks=pytest.mark.skipif(load() is None, reason="there was no C compiler")),
    PlainBatch,
]
WWW = packet(from_text("www.example."), 1)
CHAOS = struct.pack("!6H", 3, 0, 1, 0, 0, 0) + from_text("id.server.") + struct.pack("!HH", 16, 3)


@pytest.fixture
def twin() -> Twin:
    """Build a table."""
    return Twin(zones({"example.": "www A 192.0.2.1\nwww A 192.0.2.2\nal CNAME www\n"}))


@pytest.fixture(params=["127.0.0.1", "::1", "0.0.0.0", "::"])
def bound(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """Open a socket on each kind of address."""
    opened = open_datagram(ListenAddress(request.param, 0), is_shared=True)
    yield opened
    opened.close()


def client_of(bound: socket.socket, host: str = "") -> socket.socket:
    """Open a client that takes answers only from the address that it asked."""
    client = socket.socket(bound.family, socket.SOCK_DGRAM)
    client.settimeout(2)
    home = host or ("::1" if bound.family == socket.AF_INET6 else "127.0.0.1")
    client.connect((home, bound.getsockname()[1]))
    return client


def serve_all(batch: Batch, count: int) -> None:
    """Serve until so many datagrams were read."""
    deadline = time.monotonic() + 2
    while count > 0:
        count -= batch.serve()
        assert time.monotonic() < deadline


@pytest.mark.parametrize("way", WAYS)
def test_a_mixed_batch_is_answered_message_by_message(
    way: "type[SystemBatch | PlainBatch]", twin: Twin, bound: socket.socket
) -> None:
    """What is handed up or dropped in the middle moves no other answer to a wrong asker."""
    handed_up: list[tuple[int, bytes, Sender]] = []
    batch = way(4, bound, Desk(twin.cache), lambda *each: handed_up.append(each))
    clients = [client_of(bound) for _ in range(40)]
    for number, client in enumerate(clients):
        query = [
            WWW,
            CHAOS,
            packet(from_text(f"n{number}.example."), 1),
            b"short",
            WWW[:2] + b"\x80" + WWW[3:],
        ][number % 5]
        client.send(number.to_bytes(2, "big") + query[2:])
    serve_all(batch, 40)
    for number, client in enumerate(clients):
        if number % 5 in (0, 2):
            answer = client.recv(4096)
            assert number == int.from_bytes(answer[:2], "big")
            assert (0 if number % 5 == 0 else 3) == answer[3] & 15
    assert 8 == len(handed_up)
    if way is not PlainBatch:
        assert 40 == sum(twin.words[stats.TIMES : stats.TIMES + stats.TIME_BUCKETS])
    assert 8 == twin.words[stats.SHORT]
    assert 8 == twin.words[stats.ANSWER]
    for number, query, sender in handed_up:
        assert 4 == number
        assert send_one(bound, query[:2] + b"\x80" + query[3:], sender)
    for number, client in enumerate(clients):
        if number % 5 == 1:
            assert number == int.from_bytes(client.recv(4096)[:2], "big")
        client.close()


@pytest.mark.parametrize("way", WAYS)
def test_questions_of_all_kinds_get_their_own_answers(
    way: "type[SystemBatch | PlainBatch]", twin: Twin, bound: socket.socket
) -> None:
    """The octets that ``respond`` would send, new and known, in any spelling."""
    handed_up: list[bytes] = []
    batch = way(0, bound, Desk(twin.cache), lambda _, query, __: handed_up.append(query))
    client = client_of(bound)
    for turn in range(3):
        queries = [
            number.to_bytes(2, "big") + query[2:] for number, query in enumerate(questions(7 + turn // 2, 200))
        ]
        for start in range(0, len(queries), BATCH):
            for query in queries[start : start + BATCH]:
                client.send(query)
            serve_all(batch, len(queries[start : start + BATCH]))
        for _ in range(len(queries) - len(handed_up)):
            answer = client.recv(4096)
            assert twin.allows(queries[int.from_bytes(answer[:2], "big")], answer)
        handed_up.clear()
    client.close()


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_comes_from_the_address_that_was_asked(
    way: "type[SystemBatch | PlainBatch]", twin: Twin
) -> None:
    """On a socket for all addresses the kernel would choose another one."""
    bound = open_datagram(ListenAddress("0.0.0.0", 0), is_shared=True)
    batch = way(0, bound, Desk(twin.cache), lambda *_: None)
    client = client_of(bound, "127.0.0.77")
    client.send(WWW)
    serve_all(batch, 1)
    assert WWW[:2] == client.recv(4096)[:2]
    client.close()
    bound.close()


@pytest.mark.parametrize("way", WAYS)
def test_more_than_a_turn_waits_for_the_next(way: "type[SystemBatch | PlainBatch]", twin: Twin) -> None:
    """A full socket does not keep others waiting, and an oversized datagram is counted and dropped."""
    bound = open_datagram(ListenAddress("127.0.0.1", 0))
    batch = way(0, bound, Desk(twin.cache), lambda *_: None)
    client = client_of(bound)
    for _ in range(batch.turn + 6):
        client.send(WWW)
    client.send(bytes(PACKET_OCTETS_MAX + 1))
    assert batch.turn == batch.serve()
    assert 7 == batch.serve()
    assert 0 == batch.serve()
    assert 1 == twin.words[stats.OVERSIZED]
    assert batch.turn + 6 == sum(count for _, _, count in stats.answers(twin.words.tolist()))
    client.close()
    bound.close()


@pytest.mark.skipif(load() is None, reason="there was no C compiler")
@pytest.mark.parametrize("has_odd", [False, True])
def test_a_turn_ends_where_python_has_something_to_do(twin: Twin, *, has_odd: bool) -> None:
    """A packet in the second batch that is handed up, or a notice that was not looked at before the first."""
    bound = open_datagram(ListenAddress("127.0.0.1", 0))
    handed_up: list[bytes] = []
    batch = NativeBatch(0, bound, Desk(twin.cache), lambda _, query, __: handed_up.append(query))
    client = client_of(bound)
    queries = [WWW] * (3 * BATCH)
    if has_odd:
        queries[BATCH + 3] = CHAOS
    for query in queries:
        client.send(query)
    if not has_odd:
        twin.writer.withdraw()
    assert (2 * BATCH if has_odd else BATCH) == batch.serve()
    twin.cache.catch_up()
    assert BATCH == batch.serve()
    assert ([CHAOS] if has_odd else [WWW] * BATCH) == handed_up
    client.close()
    bound.close()


def test_the_best_way_is_chosen_and_a_worse_one_is_taken(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the C library has no calls for batches, datagrams are taken one at a time."""
    bound = open_datagram(ListenAddress("127.0.0.1", 0))
    desk = Desk(twin.cache)
    if is_supported():
        assert type(open_batch(0, bound, desk, lambda *_: None)) is SystemBatch
    monkeypatch.setattr(answerer_batch.ctypes, "PyDLL", lambda *_, **__: object())
    batch = open_batch(0, bound, desk, lambda *_: None)
    assert type(batch) is PlainBatch
    client = client_of(bound)
    client.send(WWW)
    serve_all(batch, 1)
    assert WWW[:2] == client.recv(4096)[:2]
    client.close()
    bound.close()
