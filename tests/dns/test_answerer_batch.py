"""Batches of datagrams: both ways give the same answers, from the address that was asked, in any mix."""

import contextlib
import mmap
import random
import socket
import struct
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
from node.dns.answerer_clients import Clients
from node.dns.answerer_desk import Desk
from node.dns.fast import is_supported
from node.dns.limiter import LimiterSettings
from node.dns.listen import ListenAddress, open_datagram
from node.dns.native import load
from node.dns.native_batch import NativeBatch, open_batch
from node.dns.policy import Policy
from node.dns.shared_limiter import OCTETS as ACCOUNTS_OCTETS
from node.dns.shared_limiter import SharedLimiter
from node.state.state import Changed
from node.zone.name import Name, from_text
from node.zone.rrset import make
from node.zone.zone import Replacement, Zone, with_changes
from tests.dns.tables import Twin, packet
from tests.dns.test_table import questions, some_zones
from tests.dns.zones import zones

WAYS = [
    pytest.param(SystemBatch, marks=pytest.mark.skipif(not is_supported(), reason="wants Linux on x86-64")),
    pytest.param(NativeBatch, marks=pytest.mark.skipif(load() is None, reason="there was no C compiler")),
    PlainBatch,
]
APEX, WWW_NAME = from_text("example."), from_text("www.example.")
WWW = packet(WWW_NAME, 1)
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


def ask_all(batch: Batch, client: socket.socket, queries: list[bytes]) -> dict[int, bytes]:
    """Send queries by batches, numbered by their place; return the answers by that."""
    answers: dict[int, bytes] = {}
    client.setblocking(False)
    for start in range(0, len(queries), BATCH):
        part = queries[start : start + BATCH]
        for number, query in enumerate(part, start):
            client.send(number.to_bytes(2, "big") + query[2:])
        serve_all(batch, len(part))
        with contextlib.suppress(BlockingIOError):
            while True:
                answer = client.recv(PACKET_OCTETS_MAX)
                answers[int.from_bytes(answer[:2], "big")] = answer
    return answers


@pytest.mark.parametrize("limits", [None, LimiterSettings(responses_per_s=1_000_000, exempt=())])
@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(where=some_zones(), seed=st.integers(0, 10**6))
def test_a_batch_says_what_respond_says(
    way: "type[SystemBatch | PlainBatch]", limits: LimiterSettings | None, where: dict[Name, Zone], seed: int
) -> None:
    """Again and again, in any spelling and order, whether answers are accounted for or not; and all are counted."""
    twin, chance = Twin(where), random.Random(seed)
    policy = Policy(limits)
    accounts = mmap.mmap(-1, ACCOUNTS_OCTETS)
    limiter = None if limits is None else SharedLimiter(accounts, 2, 0, limits, bytes(range(16)))
    handed_up: list[bytes] = []
    with open_datagram(ListenAddress("127.0.0.1", 0)) as bound, client_of(bound) as client:
        batch = way(
            0,
            bound,
            Desk(twin.cache, Clients(policy, limiter), policy),
            lambda _, query, __: handed_up.append(query),
        )
        queries = list(questions(seed, 40)) * 4
        queries = [spelled(query, chance) if chance.random() < 0.5 else query for query in queries]
        chance.shuffle(queries)
        answers = ask_all(batch, client, queries)
    assert len(answers) + len(handed_up) == len(queries)
    assert len(answers) == sum(count for _, _, count in stats.answers(twin.words.tolist()))
    for number, answer in answers.items():
        assert twin.allows(number.to_bytes(2, "big") + queries[number][2:], answer)


def spelled(query: bytes, chance: random.Random) -> bytes:
    """Spell a query's name at random."""
    end = 12
    while query[end]:
        end += 1 + query[end]
    name = bytes(chance.choice(bytes((octet,)).lower() + bytes((octet,)).upper()) for octet in query[12:end])
    return query[:12] + name + query[end:]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_known_of_one_packet_is_not_said_to_another(
    way: "type[SystemBatch | PlainBatch]", twin: Twin
) -> None:
    """Types 65 and 97, and sizes of 0x4141 and 0x6161 octets, are the same in lower case; one comes after the other."""
    after = with_changes(twin.zones[APEX], [Replacement(WWW_NAME, 97, make(WWW_NAME, 97, 60, [b"data"]))], 2)
    twin.change({APEX: after}, Changed(names=((APEX, WWW_NAME), (APEX, APEX)), zones=(APEX,)))
    kinds = [
        packet(name, type_, edns=edns)
        for name in (WWW_NAME, b"\x03WwW\x07exAMple\x00", b"\x02No\x07example\x00")
        for type_ in (97, 65)
        for edns in (None, 0x4141, 0x6161)
    ]
    chance = random.Random(3)
    queries = [chance.choice(kinds) for _ in range(600)]
    with open_datagram(ListenAddress("127.0.0.1", 0)) as bound, client_of(bound) as client:
        answers = ask_all(way(0, bound, Desk(twin.cache), lambda *_: None), client, queries)
    assert len(answers) == len(queries)
    for number, answer in answers.items():
        assert twin.expected(queries[number], 1) == [queries[number][:2] + answer[2:]]


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
