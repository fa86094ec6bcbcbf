"""``qdns backup``: one verified file, or none."""

import io
import os
import re
from pathlib import Path
from typing import Any

import pytest

from node.state import snapshot
from node.state.backup import BackupReader
from tests.cli.conftest import Qdns, Serve, require_golden
from tests.state.test_backup import octets_of, small
from tests.state.test_snapshot import seeded

OCTETS = {"type": "application/octet-stream"}


def backup(octets: bytes) -> dict[str, Any]:
    """Return the scene of a node that sends these octets."""
    return {"GET /v1/backup": {"body": octets, **OCTETS}}


def steady(text: str) -> str:
    """Take out what changes with the form of the State: its digest and its size."""
    text = re.sub(r"\b[0-9a-f]{32}\b", "0123456789abcdef0123456789abcdef", text)
    return re.sub(r'\d+\.\d kB|(?<="bytes": )\d+', "1000", text)


def test_a_backup_is_written_and_verified(qdns: Qdns, serve: Serve, tmp_path: Path) -> None:
    """The file holds what the node sent, for its owner alone; what it holds is said."""
    node = serve(backup(small()))
    done = qdns("backup", "prod.qdns")
    assert (0, "") == (done.code, done.err)
    require_golden("backup", steady(done.out))
    path = tmp_path / "prod.qdns"
    assert small() == path.read_bytes()
    assert 0o600 == path.stat().st_mode & 0o777
    assert "/v1/backup?consistency=leader" == node.seen[-1].target
    assert [path] == list(tmp_path.iterdir())


def test_stale_asks_nobody_else(qdns: Qdns, serve: Serve) -> None:
    """With --stale the node's own copy is taken."""
    node = serve(backup(small()))
    assert 0 == qdns("backup", "--stale", "prod.qdns").code
    assert "/v1/backup" == node.seen[-1].target


def test_a_file_is_checked_again(qdns: Qdns, tmp_path: Path) -> None:
    """--check reads a file and says what it holds, without any node."""
    (tmp_path / "prod.qdns").write_bytes(small())
    done = qdns("backup", "--check", "prod.qdns", "-o", "json")
    assert 0 == done.code
    require_golden("backup_check_json", steady(done.out))


def test_standard_output(serve: Serve, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """A dash sends the verified octets to standard output and the words to standard error."""
    from node.cli.main import main

    serve(backup(small()))
    assert 0 == main(["backup", "-"])
    captured = capfdbinary.readouterr()
    assert small() == captured.out
    assert b"verified" in captured.err


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (small()[:-1], "cut off after"),
        (small()[:300], "cut off after"),
        (small().replace(b"ns2", b"ns8"), "damaged"),
        (b"", "no backup of quorumdns"),
        (small().replace(b"backup 1", b"backup 3"), "version 3 of the format"),
    ],
)
def test_what_is_not_whole_is_not_kept(
    qdns: Qdns, serve: Serve, tmp_path: Path, sent: bytes, said: str
) -> None:
    """An old backup stays when the new one is cut off, damaged or another thing."""
    path = tmp_path / "prod.qdns"
    path.write_bytes(b"the old one")
    serve(backup(sent))
    done = qdns("backup", "prod.qdns")
    assert 4 == done.code
    assert "what the node sent is no whole backup" in done.err
    assert said in done.err
    assert b"the old one" == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


def test_refusals_of_the_node(qdns: Qdns, serve: Serve, tmp_path: Path) -> None:
    """Without a quorum, without the scope, from an old node: each its exit code, and no file."""
    problem = {"code": "no_quorum", "detail": "cannot read what the leader knows: 1 of 3", "hint": "x"}
    for body, status, code in (
        (problem, 503, 8),
        (problem | {"code": "forbidden"}, 403, 5),
        (problem | {"code": "not_found"}, 404, 6),
    ):
        node = serve({"GET /v1/backup": {"body": body, "status": status}})
        assert code == qdns("backup", "--api", node.url, "prod.qdns").code
    assert [] == list(tmp_path.iterdir())


def test_another_node_is_asked(qdns: Qdns, serve: Serve, free_url: str) -> None:
    """A node that cannot be reached is passed over."""
    node = serve(backup(small()))
    assert 0 == qdns("backup", "--api", f"{free_url},{node.url}", "prod.qdns").code


def test_a_node_by_name(qdns: Qdns, serve: Serve) -> None:
    """--node asks the node of that name at the address the cluster knows."""
    second = serve(backup(small()))
    nodes = [{"name": "ns2", "api": second.url}]
    first = serve({"GET /v1/status": {"body": {"nodes": nodes, "node": "ns1"}}})
    assert 0 == qdns("backup", "--api", first.url, "--node", "ns2", "prod.qdns").code
    assert 6 == qdns("backup", "--api", first.url, "--node", "ns9", "prod.qdns").code


@pytest.mark.skipif(os.getuid() == 0 and not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk(qdns: Qdns, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When there is no room nothing is kept, and the reason is said."""
    serve(backup(small()))
    import tempfile

    def full(**_: object) -> tuple[int, str]:
        return os.open("/dev/full", os.O_RDWR), str(tmp_path / ".part")

    monkeypatch.setattr(tempfile, "mkstemp", full)
    done = qdns("backup", "prod.qdns")
    assert 2 == done.code
    assert "no space left on device; nothing was kept" in done.err
    assert [] == list(tmp_path.iterdir())


def test_places_that_do_not_do(qdns: Qdns, serve: Serve, tmp_path: Path) -> None:
    """A directory, a device, a folder that is not there, a file that is not there: said so."""
    serve(backup(small()))
    assert "is a directory" in qdns("backup", str(tmp_path)).err
    assert "is no regular file" in qdns("backup", "/dev/null").err
    assert "no such file or directory; nothing was kept" in qdns("backup", "nowhere/prod.qdns").err
    assert 6 == qdns("backup", "--check", "nothing").code
    assert 2 == qdns("backup", "--check", str(tmp_path)).code
    assert 2 == qdns("backup", "--check", "--stale", "x").code


@pytest.mark.parametrize("damage", [lambda octets: octets[:-9], lambda octets: octets.replace(b"ns2", b"ns8")])
def test_a_damaged_file_is_refused(qdns: Qdns, tmp_path: Path, damage: Any) -> None:
    """A file that is cut or changed is told as such."""
    (tmp_path / "prod.qdns").write_bytes(damage(small()))
    done = qdns("backup", "--check", "prod.qdns")
    assert 2 == done.code
    assert "prod.qdns cannot be used: it is" in done.err


def test_progress_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a line grows after half a second and goes at the end; a pipe sees nothing."""
    from node.cli.progress import Progress

    times = iter([0.0, 0.1, 0.6, 0.6, 0.65])
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    progress = Progress("fetching", stream, lambda: next(times))
    for _ in range(3):
        progress.add(600_000)
    progress.end()
    assert "\rfetching  1.2 MB\x1b[K\r\x1b[K" == stream.getvalue()
    quiet = io.StringIO()
    progress = Progress("fetching", quiet, lambda: 9.0)
    progress.add(1)
    progress.end()
    assert "" == quiet.getvalue()


def test_the_state_is_the_one_sent(qdns: Qdns, serve: Serve, tmp_path: Path) -> None:
    """What was written loads as the State it was taken from."""
    state = seeded().state
    serve(backup(octets_of(state)))
    assert 0 == qdns("backup", "prod.qdns").code
    with (tmp_path / "prod.qdns").open("rb") as file:
        assert state == snapshot.load(BackupReader(file).pieces())
