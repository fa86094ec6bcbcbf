"""The compiled reader: the same octets as the Python reader, or it hands up; and it is silently done without."""

import ipaddress
import mmap
import random
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.dns import answerer_stats as stats
from node.dns import native
from node.dns import table_layout as layout
from node.dns.answerer_clients import Clients
from node.dns.answerer_desk import Desk
from node.dns.limiter import LimiterSettings
from node.dns.native import NativeReader, load
from node.dns.networks import Network
from node.dns.policy import Policy
from node.dns.shared_limiter import OCTETS, SharedLimiter
from node.zone.name import Name, from_text
from node.zone.zone import Zone
from scripts.fuzz import mutated
from tests.dns.tables import LOOPBACK, Twin, is_left_to_python, packet
from tests.dns.test_table import questions as plain_questions
from tests.dns.test_table import some_zones
from tests.dns.zones import zones

pytestmark = pytest.mark.skipif(
    load() is None, reason="the compiled reader was not built: there is no C compiler"
)

SEEDS = [path.read_bytes() for path in sorted((Path(__file__).parents[1] / "corpus" / "dns").glob("*.bin"))]
ADDRESSES = (
    "192.0.2.7",
    "192.0.12.9",
    "198.51.100.1",
    "2001:db8::1",
    "2001:db8:0:4000::1",
    "::ffff:192.0.2.200",
)


class Pair:
    """Both readers over one table, by the same rules, each with counts of its own."""

    def __init__(self, where: dict[Name, Zone], policy: Policy | None = None) -> None:
        self.twin = Twin(where)
        self.policy = policy or Policy()
        self.words = [memoryview(bytearray(stats.LINE_WORDS * 8)).cast("Q") for _ in range(2)]
        self.desks = [self._desk(words) for words in self.words]
        self.native = NativeReader()
        self.native.use(self.desks[0])

    def _desk(self, words: memoryview) -> Desk:
        limits = self.policy.limiter
        limiter = None
        if limits is not None:
            limiter = SharedLimiter(mmap.mmap(-1, OCTETS), 2, 1, limits, b"0123456789abcdef")
        cache = type(self.twin.cache)(self.twin.cache.reader, words)
        return Desk(cache, Clients(self.policy, limiter), self.policy)

    def python(self, query: bytes, address: bytes = LOOPBACK) -> bytes | None:
        """Answer as an answerer without the compiled reader, though it may not remember the packet."""
        desk = self.desks[1]
        answer = desk.cache.answer(query)
        if not answer:
            return answer
        clients = desk.clients.of_batch((address,))
        if clients is not None:
            answer = desk.judged(clients[0], desk.cache.source, answer, query)
        return query[:2] + answer if answer else answer

    def compare(self, query: bytes, address: bytes = LOOPBACK) -> bytes | None:
        """Ask both; addresses may stand in another order. Return what the compiled reader says."""
        said = self.native.answer(query, address)
        expected = self.python(query, address)
        if said is None and is_left_to_python(query):
            return said
        assert (expected is None, expected == b"") == (said is None, said == b""), (query, expected, said)
        if said and said != expected:
            assert self.policy.limiter is None, (query, expected, said)
            assert said in [self.python(query, address) for _ in range(12)], (query, expected, said)
        return said


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(some_zones(), st.integers(0, 10**6))
def test_both_readers_say_the_same(where: dict[Name, Zone], seed: int) -> None:
    """The same octets, the same handed up, the same dropped: plain questions and hostile ones."""
    pair = Pair(where)
    chance = random.Random(seed)
    plain = list(plain_questions(seed, 40))
    for query in plain:
        pair.compare(query)
    for _ in range(80):
        query = mutated([*plain, *SEEDS], chance)
        if len(query) < 4096:
            pair.compare(query)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=300), st.integers(0, 65_535), st.booleans(), st.binary(max_size=30))
def test_any_octets_for_a_name(name: bytes, type_: int, has_opt: bool, tail: bytes) -> None:
    """A question is read to its last octet and no further."""
    pair = Pair(zones({"example.": "www A 192.0.2.1\n*.w A 192.0.2.2\n", ".": "ns1 A 192.0.2.3\n"}))
    for each in (name, name + b"\x00", name + from_text("example.")):
        query = packet(Name(each), type_, edns=1232 if has_opt else None)
        pair.compare(query)
        pair.compare(query + tail)
        pair.compare(query[: len(query) - len(tail)])


def test_both_readers_count_the_same() -> None:
    """Types, rcodes and drops, whatever is asked."""
    pair = Pair(zones({"example.": "www A 192.0.2.1\nal CNAME www\nsub NS ns.sub\nns.sub A 192.0.2.9\n"}))
    asked = 0
    for query in plain_questions(3, 500):
        if not is_left_to_python(query):
            asked += bool(pair.compare(query))
    for query in (b"short", bytes(2) + b"\x80" + bytes(20)):
        assert b"" == pair.compare(query)
    sums = [words.tolist() for words in pair.words]
    assert list(stats.answers(sums[0])) == list(stats.answers(sums[1]))
    names = ("short", "answer", "limited", "cut")
    assert [stats.events(sums[0])[name] for name in names] == [stats.events(sums[1])[name] for name in names]
    assert asked == stats.events(sums[0])["native"]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10**6), st.integers(0, 3), st.booleans())
def test_both_readers_limit_the_same(seed: int, slip: int, has_exempt: bool) -> None:
    """The same answers are sent, cut and dropped, by name, rcode and network."""
    exempt = (ipaddress.ip_network("198.51.100.0/25"), ipaddress.ip_network("2001:db8:0:4000::/51"))
    limits = LimiterSettings(3, 1, slip, 20, 50, exempt=exempt if has_exempt else ())
    for _ in range(3):
        pair = Pair(zones({"example.": "www A 192.0.2.1\n*.w A 192.0.2.2\nsub NS ns.out.\n"}), Policy(limits))
        chance = random.Random(seed)
        before = this_second()
        for query in limited_questions(chance, 120):
            said = pair.native.answer(query, address := octets(chance.choice(ADDRESSES)))
            expected = pair.python(query, address)
            if this_second() != before:
                break  # a second may end between the two
            assert expected == said, (query, address)
        else:
            return
    pytest.fail("no three tries fell into one second each")


def test_both_readers_find_the_same_place() -> None:
    """Accounts are the same words of the shared memory, so that all processes count together."""
    limits = LimiterSettings(responses_per_s=1000)
    pair = Pair(zones({"example.": "www A 192.0.2.1\n"}), Policy(limits))
    chance = random.Random(5)
    for query in limited_questions(chance, 50):
        address = octets(chance.choice(ADDRESSES))
        assert pair.python(query, address) == pair.native.answer(query, address)
    used = []
    for desk in pair.desks:
        limiter = desk.clients.limiter
        assert limiter is not None
        used.append([place for place, word in enumerate(limiter.words[: 65_536 * 2].tolist()) if word])
    assert used[0] == used[1]
    assert len(used[0]) > 10


def test_recursion_is_offered_by_both() -> None:
    """RA is set for those who are forwarded for, and what is outside our zones is handed up."""
    networks: tuple[Network, ...] = (
        ipaddress.ip_network("192.0.2.0/25"),
        ipaddress.ip_network("2001:db8::/32"),
    )
    pair = Pair(zones({"example.": "www A 192.0.2.1\n"}), Policy(forward_for=networks))
    for text in ADDRESSES:
        said = pair.compare(packet(from_text("www.example."), 1), octets(text))
        assert said
        assert (said[3] & 0x80 != 0) == (text in ("192.0.2.7", "2001:db8::1", "2001:db8:0:4000::1"))
        assert pair.compare(packet(from_text("elsewhere."), 1), octets(text)) is None


def test_a_withdrawn_table_is_not_answered_from() -> None:
    """What the notices of the table say holds for the compiled reader as well."""
    twin = Twin(zones({"example.": "www A 192.0.2.1\n"}))
    reader = NativeReader()
    reader.use(Desk(twin.cache))
    query = packet(from_text("www.example."), 1)
    assert reader.answer(query, LOOPBACK)
    twin.writer.withdraw()
    twin.cache.catch_up()
    assert reader.answer(query, LOOPBACK) is None
    twin.writer.restore()
    twin.change(zones({"example.": "www A 192.0.2.1\n", "other.": "www A 192.0.2.2\n"}), None)
    assert reader.answer(query, LOOPBACK)
    assert reader.answer(packet(from_text("www.other."), 1), LOOPBACK)


def test_many_zones_are_told_apart() -> None:
    """The longest zone answers, among thousands."""
    texts = {f"z{number}.example.": f"www A 10.0.{number >> 8}.{number & 255}\n" for number in range(2000)}
    pair = Pair(zones({"example.": "www A 192.0.2.1\n", **texts}))
    for number in range(0, 2000, 37):
        said = pair.compare(packet(from_text(f"www.z{number}.example."), 1))
        assert said
        assert said.endswith(bytes((10, 0, number >> 8, number & 255)))
        pair.compare(packet(from_text(f"z{number}.example."), 43))
        pair.compare(packet(from_text(f"x{number}.example."), 1))


def test_a_library_of_another_interface_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was left behind by another version is as good as none, and so is a broken file."""
    assert load(tmp_path / "none.so") is None
    (tmp_path / "broken.so").write_bytes(b"no library")
    assert load(tmp_path / "broken.so") is None
    copy = tmp_path / "other.so"
    shutil.copy(native.LIBRARY, copy)
    monkeypatch.setattr(layout, "FORMAT", layout.FORMAT + 1)
    assert load(copy) is None
    assert "" == native.why_refused(tmp_path / "none.so")
    assert "was built from another source" in native.why_refused(tmp_path / "broken.so")
    (tmp_path / "cut.so").write_bytes(native.checksum().encode())
    assert "is no compiled reader" in native.why_refused(tmp_path / "cut.so")


def test_a_library_that_is_cut_off_is_not_opened(tmp_path: Path) -> None:
    """The linker would end the process, as what it maps is not there; a half-written file looks so, too."""
    whole = native.LIBRARY.read_bytes()
    checksum_end = whole.index(native.checksum().encode()) + 64
    for octets in (40, 64, checksum_end + 1, checksum_end + 4_000, len(whole) - 1):
        path = tmp_path / f"{octets}.so"
        path.write_bytes(whole[:octets])
        assert "is cut off" in native.why_refused(path)


def test_a_library_of_another_source_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may do anything with the table; why it is left alone is told."""
    assert "" == native.why_refused()
    monkeypatch.setattr(native, "checksum", lambda: "0" * 64)
    native.opened.cache_clear()
    with pytest.raises(native.Unusable, match="built from another source than"):
        native.opened(native.LIBRARY)
    assert "built from another source" in native.why_refused()


def limited_questions(chance: random.Random, count: int) -> list[bytes]:
    """Write questions that share few accounts."""
    names = (
        "www.example.",
        "no.example.",
        "nor.example.",
        "a.w.example.",
        "b.w.example.",
        "x.sub.example.",
        "else.",
    )
    return [
        packet(
            from_text(chance.choice(names)),
            chance.choice((1, 28)),
            edns=chance.choice((None, 512, 1232)),
            dnssec=chance.random() < 0.3,
            flags=chance.choice((0, 0x0100, 0x0110)),
        )
        for _ in range(count)
    ]


def octets(address: str) -> bytes:
    """Return the octets of an address as a socket tells them."""
    return ipaddress.ip_address(address).packed


def this_second() -> int:
    """Return the second that answers are counted in."""
    return int(time.monotonic())
