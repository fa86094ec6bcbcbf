"""The journal keeps what it confirmed, cuts what was never finished, and refuses what was damaged."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pysyncobj.journal import MemoryJournal

from raft.disk import AppendFile, RealDisk
from raft.errors import RaftError
from raft.journal import JournalIdentity, WalJournal
from raft.records import MARK_BYTES, encode_mark

IDENTITY = JournalIdentity("c1", "ns1")
ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "journal-v1.bin"


def opened(folder: Path, identity: JournalIdentity = IDENTITY) -> WalJournal:
    return WalJournal(folder / "journal", identity)


def contents(journal: WalJournal) -> tuple[Any, ...]:
    return journal[:], journal.getCurrentTerm(), journal.getVotedForNodeId()


def reopened(folder: Path) -> tuple[Any, ...]:
    journal = opened(folder)
    try:
        return contents(journal)
    finally:
        journal._destroy()


def written(folder: Path, batches: int = 4) -> list[tuple[int, list[Any]]]:
    """Write some batches; return, after each, where the file ends and which entries it then holds."""
    journal = opened(folder)
    journal.setCurrentTerm(3, "ns2")
    steps = [(journal.bytes_on_disk, journal[:])]
    for number in range(1, batches + 1):
        if number == 3:
            journal.deleteEntriesFrom(len(journal) - 1)
        for _ in range(2):
            journal.add(b"command %d" % number, journal[-1][1] + 1 if len(journal) else 1, number)
        journal.setRaftCommitIndex(number)
        journal.sync()
        steps.append((journal.bytes_on_disk, journal[:]))
    journal._destroy()
    return steps


def test_what_was_synced_is_there_again(tmp_path: Path) -> None:
    """Entries, term, vote and commit index survive; what was only gathered is not on the medium."""
    journal = opened(tmp_path)
    journal.add(b"", 1, 0)
    journal.setCurrentTerm(7, "ns3")
    journal.add(b"\0one", 2, 7)
    journal.setRaftCommitIndex(2)
    journal.sync()
    journal.add(b"only gathered", 3, 7)
    shutil.copy(tmp_path / "journal", tmp_path / "copy")
    journal._destroy()
    (tmp_path / "copy").replace(tmp_path / "journal")
    again = opened(tmp_path)
    assert ([(b"", 1, 0), (b"\0one", 2, 7)], 7, "ns3") == contents(again)
    assert 2 == again.getRaftCommitIndex()
    again._destroy()


def test_term_and_vote_are_on_the_medium_when_the_call_returns(tmp_path: Path) -> None:
    """A vote is durable before anyone can hear of it (Raft, figure 2: persistent state)."""
    journal = opened(tmp_path)
    for term, vote in ((1, None), (2, "ns1"), (3, None)):
        journal.setCurrentTerm(term, vote)
        (tmp_path / "seen").mkdir(exist_ok=True)
        shutil.copy(tmp_path / "journal", tmp_path / "seen" / "journal")
        assert ([], term, vote) == reopened(tmp_path / "seen")
    journal._destroy()


def test_the_commit_index_never_points_beyond_the_log(tmp_path: Path) -> None:
    """A commit index above the last entry is a hint gone stale, not a promise."""
    journal = opened(tmp_path)
    journal.add(b"one", 1, 1)
    journal.setRaftCommitIndex(9)
    journal._destroy()
    again = opened(tmp_path)
    assert 1 == again.getRaftCommitIndex()
    again._destroy()


def test_a_quiet_node_writes_its_commit_index_once_a_second(tmp_path: Path) -> None:
    """The timer writes a commit index no entry carried along, and nothing when it is known and sealed already."""
    journal = opened(tmp_path)
    journal.add(b"one", 1, 1)
    journal.sync()
    journal.setRaftCommitIndex(1)
    journal.onOneSecondTimer()
    size = journal.bytes_on_disk
    journal.onOneSecondTimer()
    journal.sync()
    assert size == journal.bytes_on_disk == (tmp_path / "journal").stat().st_size
    journal._destroy()


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.binary(max_size=40)),
        st.tuples(st.just("from"), st.integers(0, 12)),
        st.tuples(st.just("to"), st.integers(0, 12)),
        st.tuples(st.just("prepare"), st.integers(0, 12)),
        st.tuples(st.just("to prepared"), st.none()),
        st.tuples(st.just("clear"), st.none()),
        st.tuples(st.just("commit"), st.integers(1, 3)),
        st.tuples(st.just("term"), st.sampled_from([None, "ns1", "ns2"])),
        st.tuples(st.just("sync"), st.none()),
        st.tuples(st.just("reopen"), st.none()),
        st.tuples(st.just("reset"), st.none()),
    ),
    max_size=40,
)


@settings(max_examples=120, deadline=None)
@given(OPERATIONS)
def test_it_holds_what_the_librarys_journal_in_memory_holds(operations: list[tuple[str, Any]]) -> None:
    """Any sequence of additions, truncations, compactions and restarts leads to what a list would hold."""
    with tempfile.TemporaryDirectory() as folder:
        journal, twin = opened(Path(folder)), MemoryJournal()
        index = term = prepared = commit = 0
        for what, value in operations:
            if what == "add":
                index += 1
                for each in (journal, twin):
                    each.add(value, index, term)
            elif what == "from" and value <= len(twin):
                for each in (journal, twin):
                    each.deleteEntriesFrom(value)
                index = twin[-1][1] if len(twin) else index
            elif what == "to" and value <= len(twin):
                for each in (journal, twin):
                    each.deleteEntriesTo(value)
            elif what == "prepare" and value <= len(twin):
                prepared = value
                journal.prepare_cut(prepared)()
            elif what == "to prepared" and prepared <= len(twin):
                for each in (journal, twin):
                    each.deleteEntriesTo(prepared)
            elif what == "commit":
                commit = min(commit + value, index)
                journal.setRaftCommitIndex(commit)
            elif what == "clear":
                journal.clear()
                twin.clear()
            elif what == "reset":
                index += 10
                entries = [(b"", index - 1, term), (b"", index, term)]
                journal.reset(entries)
                twin.clear()
                for entry in entries:
                    twin.add(*entry)
            elif what == "term":
                term += 1
                journal.setCurrentTerm(term, value)
                twin.setCurrentTerm(term, value)
            elif what == "sync":
                journal.sync()
            elif what == "reopen":
                journal._destroy()
                journal = opened(Path(folder))
            commit = journal.getRaftCommitIndex()
            expected = (twin[:], twin.getCurrentTerm(), twin.getVotedForNodeId())
            assert expected == contents(journal)
            assert journal.bytes_on_disk >= (Path(folder) / "journal").stat().st_size
        journal._destroy()
        assert expected == reopened(Path(folder)) if operations else True


def test_a_journal_cut_anywhere_keeps_every_whole_batch(tmp_path: Path) -> None:
    """Cut at every single octet after the header, it opens, holds all that was promised, and goes on from there."""
    steps = written(tmp_path)
    data = (tmp_path / "journal").read_bytes()
    for size in range(steps[0][0], len(data) + 1):
        (tmp_path / "journal").write_bytes(data[:size])
        whole = [entries for end, entries in steps if end <= size][-1]
        journal = opened(tmp_path)
        assert (whole, 3, "ns2") == contents(journal)
        after = (b"after", whole[-1][1] + 1 if whole else 1, 9)
        journal.add(*after)
        journal._destroy()
        assert [*whole, after] == reopened(tmp_path)[0]


def test_a_journal_cut_inside_its_header_is_refused(tmp_path: Path) -> None:
    """A header is never half-written: its file gets its name when it is whole."""
    written(tmp_path)
    data = (tmp_path / "journal").read_bytes()
    for size in range(30):
        (tmp_path / "journal").write_bytes(data[:size])
        with pytest.raises(RaftError, match="cannot be used") as caught:
            opened(tmp_path)
        assert caught.value.exit_code == 70


def test_any_flipped_bit_is_refused(tmp_path: Path) -> None:
    """Every single bit of a closed journal, flipped: refused with a sentence, or in the seal, which promised nothing."""
    written(tmp_path, batches=3)
    path = tmp_path / "journal"
    data = path.read_bytes()
    whole = reopened(tmp_path)
    seal_begins = len(data) - MARK_BYTES
    for position in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        if position // 8 >= seal_begins:
            assert whole == reopened(tmp_path)
            continue
        with pytest.raises(RaftError, match=str(path)) as caught:
            opened(tmp_path)
        assert caught.value.exit_code in (3, 70)


@pytest.mark.parametrize("how", ["a quiet second", "a compaction", "a clean end", "a start after a cut"])
def test_what_was_promised_is_soon_told_from_an_unfinished_write(tmp_path: Path, how: str) -> None:
    """Damage to the last batch is refused once it is sealed, and a crash then leaves the seal alone unfinished."""
    journal = opened(tmp_path)
    journal.add(b"first", 1, 1)
    journal.sync()
    journal.add(b"promised", 2, 1)
    journal.sync()
    if how == "a quiet second":
        journal.onOneSecondTimer()
    elif how == "a compaction":
        journal.deleteEntriesTo(1)
    data = (tmp_path / "journal").read_bytes()
    journal._destroy()
    if how == "a clean end":
        data = (tmp_path / "journal").read_bytes()
    elif how == "a start after a cut":
        (tmp_path / "journal").write_bytes(data[:-3])
        assert [(b"first", 1, 1)] == reopened(tmp_path)[0]
        data = (tmp_path / "journal").read_bytes()
    path = tmp_path / "journal"
    promised = b"first" if how == "a start after a cut" else b"promised"
    path.write_bytes(data.replace(promised, b"x" * len(promised)))
    with pytest.raises(RaftError, match="is damaged"):
        opened(tmp_path)
    path.write_bytes(data[:-1])
    assert promised == reopened(tmp_path)[0][-1][0]


def test_damage_that_reaches_the_end_of_the_file_is_no_torn_write(tmp_path: Path) -> None:
    """A batch says how long it is: when the file goes on behind it, it was whole once, whatever is left of the rest."""
    journal = opened(tmp_path)
    for index in (1, 2, 3):
        journal.add(b"promised", index, 1)
        journal.sync()
    data = (tmp_path / "journal").read_bytes()
    journal._destroy()
    begin = data.index(b"promised")
    (tmp_path / "journal").write_bytes(data[:begin] + bytes(len(data) - begin))
    with pytest.raises(RaftError, match="is damaged"):
        opened(tmp_path)


def test_a_write_torn_in_any_way_is_cut(tmp_path: Path) -> None:
    """Whatever part of the last batch reached the medium, down to half a sector, the node starts with what it promised."""
    journal = opened(tmp_path)
    journal.add(b"promised", 1, 1)
    journal.sync()
    promised = (tmp_path / "journal").read_bytes()
    journal.add(b"y" * 700, 2, 1)
    journal.setCurrentTerm(2, "ns2")
    data = (tmp_path / "journal").read_bytes()
    journal._destroy()
    rng = random.Random(3)
    for _ in range(300):
        torn = bytearray(data)
        begin = rng.randrange(len(promised), len(data))
        end = rng.randrange(begin, len(data)) + 1
        torn[begin:end] = rng.choice([bytes(end - begin), rng.randbytes(end - begin)])
        (tmp_path / "journal").write_bytes(torn)
        entries, term, vote = reopened(tmp_path)
        assert (b"promised", 1, 1) == entries[0]
        assert entries[1:] in ([], [(b"y" * 700, 2, 1)])
        assert (term, vote) in ((0, None), (2, "ns2"))


def test_damage_is_told_with_its_place_and_what_to_do(tmp_path: Path) -> None:
    """The refusal names the file and the offset, and a way out."""
    steps = written(tmp_path)
    path = tmp_path / "journal"
    data = bytearray(path.read_bytes())
    data[steps[1][0] - 12] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(RaftError, match=r"damaged at offset \d+: .*another name") as caught:
        opened(tmp_path)
    assert caught.value.exit_code == 70


def test_garbage_overwriting_a_stretch_is_refused_or_cut(tmp_path: Path) -> None:
    """Random octets over any stretch: refused, or cut back to whole records; nothing that was never written."""
    steps = written(tmp_path, batches=12)
    path = tmp_path / "journal"
    data = path.read_bytes()
    rng = random.Random(5)
    refused = 0
    for _ in range(300):
        damaged = bytearray(data)
        begin = rng.randrange(len(data))
        damaged[begin : begin + rng.randrange(1, 700)] = rng.randbytes(rng.randrange(1, 700))
        path.write_bytes(damaged)
        try:
            entries = reopened(tmp_path)[0]
        except RaftError:
            refused += 1
        else:
            assert entries in [held for _, held in steps]
    assert refused > 250


def test_sectors_that_were_never_written_are_cut_from_the_last_batch_only(tmp_path: Path) -> None:
    """Zeros where the last write should be are its tearing; zeros before a later batch are damage."""
    journal = opened(tmp_path)
    journal.add(b"x" * 2000, 1, 1)
    journal.sync()
    first_end = journal.bytes_on_disk
    journal.add(b"y" * 2000, 2, 1)
    journal.sync()
    journal._destroy()
    path = tmp_path / "journal"
    data = bytearray(path.read_bytes())
    torn = bytearray(data)
    torn[3072:3584] = bytes(512)
    path.write_bytes(torn[:-MARK_BYTES])  # the seal was never written
    assert [(b"x" * 2000, 1, 1)] == reopened(tmp_path)[0]
    assert first_end <= path.stat().st_size < 3072
    data[1024:1536] = bytes(512)
    path.write_bytes(data)
    with pytest.raises(RaftError, match="is damaged"):
        opened(tmp_path)


def test_a_command_cannot_forge_the_mark_of_a_batch(tmp_path: Path) -> None:
    """Marks hold a random salt: a command made like one does not turn a torn write into damage."""
    journal = opened(tmp_path)
    journal.add(b"first", 1, 1)
    journal.sync()
    end = journal.bytes_on_disk
    journal.add(encode_mark(bytes(8)) * 20, 2, 1)
    journal.sync()
    journal._destroy()
    path = tmp_path / "journal"
    path.write_bytes(path.read_bytes()[: end + 200])
    assert [(b"first", 1, 1)] == reopened(tmp_path)[0]


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        (JournalIdentity("c2", "ns1"), "belongs to the node ns1 of the cluster c1, not to ns1 of c2"),
        (JournalIdentity("c1", "ns2"), "belongs to the node ns1 of the cluster c1, not to ns2 of c1"),
    ],
)
def test_anothers_journal_is_refused(tmp_path: Path, identity: JournalIdentity, words: str) -> None:
    """A data directory of another node or cluster is never used, and left as it was."""
    written(tmp_path)
    before = (tmp_path / "journal").read_bytes()
    with pytest.raises(RaftError, match=words) as caught:
        opened(tmp_path, identity)
    assert 3 == caught.value.exit_code
    assert before == (tmp_path / "journal").read_bytes()


def test_a_newer_format_is_refused_by_its_number(tmp_path: Path) -> None:
    """A journal of a later version is told as such, not as damage."""
    written(tmp_path)
    data = bytearray((tmp_path / "journal").read_bytes())
    data[8] = 2
    (tmp_path / "journal").write_bytes(data)
    with pytest.raises(RaftError, match="format is version 2, and this program reads version 1") as caught:
        opened(tmp_path)
    assert 3 == caught.value.exit_code


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """Two nodes never share a data directory; after the first has ended it is free."""
    journal = opened(tmp_path)
    with pytest.raises(RaftError, match="Another process uses") as caught:
        opened(tmp_path)
    assert 3 == caught.value.exit_code
    journal._destroy()
    journal._destroy()
    reopened(tmp_path)


class FailingDisk(RealDisk):
    """Does everything until told to fail, and counts what is asked of it afterwards."""

    def __init__(self) -> None:
        self.fails: str | None = None
        self.number = errno.EIO
        self.asked_after = 0

    def check(self, what: str) -> None:
        if self.fails is None:
            return
        self.asked_after += 1
        if self.fails == what:
            raise OSError(self.number, os.strerror(self.number))

    def create(self, path: Path) -> AppendFile:
        self.check("create")
        return FailingFile(self, super().create(path))

    def open_append(self, path: Path) -> AppendFile:
        return FailingFile(self, super().open_append(path))

    def replace(self, source: Path, target: Path) -> None:
        self.check("replace")
        super().replace(source, target)

    def sync_directory(self, path: Path) -> None:
        self.check("sync_directory")
        super().sync_directory(path)


class FailingFile:
    def __init__(self, disk: FailingDisk, file: AppendFile) -> None:
        self.disk, self.file = disk, file

    def write(self, data: bytes) -> None:
        if self.disk.fails == "write":
            self.file.write(data[: len(data) // 2])
        self.disk.check("write")
        self.file.write(data)

    def fdatasync(self) -> None:
        self.disk.check("fdatasync")
        self.file.fdatasync()

    def close(self) -> None:
        self.file.close()


@pytest.mark.parametrize("what", ["write", "fdatasync"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_an_error_of_the_disk_ends_the_journal(tmp_path: Path, what: str, number: int) -> None:
    """After one failed write or fdatasync nothing is tried again, every call says so, and all synced is kept."""
    disk = FailingDisk()
    journal = WalJournal(tmp_path / "journal", IDENTITY, disk)
    journal.add(b"kept", 1, 1)
    journal.sync()
    journal.add(b"lost", 2, 1)
    disk.fails, disk.number = what, number
    with pytest.raises(RaftError, match=os.strerror(number)) as caught:
        journal.sync()
    assert 70 == caught.value.exit_code
    asked = disk.asked_after
    for again in (
        journal.sync,
        lambda: journal.add(b"x", 3, 1),
        lambda: journal.setCurrentTerm(2, "ns1"),
        lambda: journal.deleteEntriesTo(1),
        lambda: journal.deleteEntriesFrom(1),
        journal.clear,
        lambda: journal.reset([(b"", 5, 1)]),
    ):
        with pytest.raises(RaftError, match=os.strerror(number)):
            again()
    assert asked == disk.asked_after
    journal._destroy()
    assert (b"kept", 1, 1) == reopened(tmp_path)[0][0]


def test_a_cut_that_was_prepared_copies_what_came_since(tmp_path: Path) -> None:
    """What is added, dropped, voted and committed while the copy is made is in the new file, and the copy is used."""
    disk = CountingDisk()
    journal = WalJournal(tmp_path / "journal", IDENTITY, disk)
    for index in range(1, 9):
        journal.add(b"old", index, 1)
    journal.sync()
    copy = journal.prepare_cut(4)
    journal.add(b"dropped", 9, 1)
    journal.sync()
    copy()
    journal.setCurrentTerm(2, "ns2")
    journal.deleteEntriesFrom(8)
    journal.add(b"new", 9, 2)
    journal.setRaftCommitIndex(9)
    disk.created = 0
    journal.deleteEntriesTo(4)
    assert 0 == disk.created
    assert not journal.needs_sync
    expected = [*((b"old", index, 1) for index in range(5, 9)), (b"new", 9, 2)]
    journal._destroy()
    again = opened(tmp_path)
    assert (expected, 2, "ns2", 9) == (*contents(again), again.getRaftCommitIndex())
    again._destroy()


class CountingDisk(RealDisk):
    """Counts the files it makes."""

    created = 0

    def create(self, path: Path) -> AppendFile:
        self.created += 1
        return super().create(path)


@pytest.mark.parametrize("what", ["create", "write", "fdatasync", "replace", "sync_directory"])
def test_a_compaction_that_fails_loses_nothing(tmp_path: Path, what: str) -> None:
    """Whichever step fails: the journal ends, and a restart finds all that was synced, or the compacted log."""
    disk = FailingDisk()
    journal = WalJournal(tmp_path / "journal", IDENTITY, disk)
    journal.setCurrentTerm(4, "ns2")
    entries = [(b"%d" % index, index, 4) for index in range(1, 9)]
    for entry in entries:
        journal.add(*entry)
    journal.sync()
    disk.fails = what
    with pytest.raises(RaftError) as caught:
        journal.deleteEntriesTo(5)
    assert 70 == caught.value.exit_code
    journal._destroy()
    found, term, vote = reopened(tmp_path)
    assert (4, "ns2") == (term, vote)
    assert found in (entries, entries[5:])


def test_compaction_keeps_what_was_only_gathered(tmp_path: Path) -> None:
    """Entries and truncations waiting for a sync are in the new file, and durable with it."""
    journal = opened(tmp_path)
    for index in range(1, 10):
        journal.add(b"old", index, 1)
    journal.sync()
    journal.deleteEntriesFrom(7)
    journal.add(b"new", 8, 2)
    journal.deleteEntriesTo(4)
    assert not journal.needs_sync
    assert journal.bytes_on_disk == (tmp_path / "journal").stat().st_size
    expected = [(b"old", 5, 1), (b"old", 6, 1), (b"old", 7, 1), (b"new", 8, 2)]
    assert expected == journal[:]
    journal.add(b"newer", 9, 2)
    journal.deleteEntriesTo(1)
    journal._destroy()
    assert [*expected[1:], (b"newer", 9, 2)] == reopened(tmp_path)[0]


def test_an_entry_that_does_not_follow_is_an_error(tmp_path: Path) -> None:
    """A gap in the log is a fault of the caller, told before anything is written."""
    journal = opened(tmp_path)
    journal.add(b"", 1, 1)
    with pytest.raises(ValueError, match="entry 3 does not follow entry 1"):
        journal.add(b"", 3, 1)
    journal._destroy()


def test_the_golden_file_is_still_read(tmp_path: Path) -> None:
    """A journal of format version 1, written once and never again, is opened by every later version."""
    shutil.copy(GOLDEN, tmp_path / "journal")
    journal = opened(tmp_path)
    assert [(b"", 40, 2), (b"kept", 41, 2), (b"\x00\xff" * 300, 42, 5), (b"last", 43, 5)] == journal[:]
    assert (5, "ns3", 42) == (
        journal.getCurrentTerm(),
        journal.getVotedForNodeId(),
        journal.getRaftCommitIndex(),
    )
    journal._destroy()


WRITER = """
import sys
from pathlib import Path
from raft.journal import JournalIdentity, WalJournal
journal = WalJournal(Path(sys.argv[1]) / "journal", JournalIdentity("c1", "ns1"))
index = journal[-1][1] if len(journal) else 0
while True:
    for _ in range(20):
        index += 1
        journal.add(b"%d" % index, index, 1)
    journal.sync()
    print(index, flush=True)
    if len(journal) > 400:
        journal.deleteEntriesTo(300)
"""


def test_a_killed_writer_loses_nothing_it_confirmed(tmp_path: Path) -> None:
    """kill -9 while it writes and compacts, again and again: every confirmed entry is there."""
    rng = random.Random(1)
    for _ in range(5):
        command = [sys.executable, "-c", WRITER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            assert process.stdout is not None
            confirmed = [process.stdout.readline() for _ in range(rng.randrange(20, 120))]
            process.send_signal(signal.SIGKILL)
            confirmed += process.stdout.readlines()
        last = int([line for line in confirmed if line.endswith("\n")][-1])
        entries = reopened(tmp_path)[0]
        assert last <= entries[-1][1]
        assert all(entry == (b"%d" % entry[1], entry[1], 1) for entry in entries)


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here; the injected disk covers the rule")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.real
def test_a_full_disk_ends_the_journal_and_keeps_what_was_confirmed(small_disk: Path) -> None:
    """A file system that fills up: a clear error with exit code 70, and all confirmed entries after a restart."""
    journal = opened(small_disk)
    confirmed = 0

    def fill() -> None:
        nonlocal confirmed
        for index in range(1, 10_000):
            journal.add(b"x" * 1000, index, 1)
            journal.sync()
            confirmed = index

    with pytest.raises(RaftError, match="No space left on device") as caught:
        fill()
    assert 70 == caught.value.exit_code
    assert confirmed > 100
    journal._destroy()
    assert confirmed <= len(reopened(small_disk)[0])
