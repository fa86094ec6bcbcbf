"""``qdns restore``: what a backup would change; a running cluster is never replaced."""

import json
from pathlib import Path

import pytest

from node.state.command import ChangeZone, DeleteRRset, PutRRset
from node.state.pushes import PutTarget, Target
from node.zone.name import from_text
from tests.cli.conftest import Qdns, Serve, require_golden
from tests.cli.test_backup import backup
from tests.state.conftest import ZONE, rrset
from tests.state.test_backup import octets_of, small
from tests.state.test_snapshot import seeded


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    """A backup with a few records."""
    cluster = seeded()
    for name in ("a", "b", "c"):
        cluster.do(ChangeZone(ZONE, (PutRRset(rrset(name, "A", "192.0.2.1")),)))
    path = tmp_path / "prod.qdns"
    path.write_bytes(octets_of(cluster.state))
    return path


def changed() -> bytes:
    """Return what a cluster sends that went on from the backup."""
    cluster = seeded()
    cluster.do(ChangeZone(ZONE, (PutRRset(rrset("a", "A", "192.0.2.2", ttl=5)),)))
    cluster.do(ChangeZone(ZONE, (PutRRset(rrset("b", "A", "192.0.2.1")),)))
    cluster.do(ChangeZone(ZONE, (DeleteRRset(from_text("c", ZONE), 1),)))
    cluster.do(ChangeZone(ZONE, (PutRRset(rrset("d", "TXT", "x" * 255, "y" * 255)),)))
    cluster.do(PutTarget(Target("knot", "rfc2136", "192.0.2.53:53")))
    return octets_of(cluster.state)


def test_a_running_cluster_is_not_replaced(qdns: Qdns, serve: Serve, path: Path) -> None:
    """Without --dry-run it says why not, and what can be done; nobody is asked anything."""
    node = serve(backup(changed()))
    done = qdns("restore", path.name)
    assert (2, "") == (done.code, done.out)
    require_golden("restore_refused", done.err)
    assert [] == node.seen


def test_the_difference_is_shown(qdns: Qdns, serve: Serve, path: Path) -> None:
    """What the backup would bring, take away and change; exit 12."""
    node = serve(backup(changed()))
    done = qdns("restore", path.name, "--dry-run")
    assert (12, "") == (done.code, done.err)
    require_golden("restore_dry_run", done.out)
    assert "/v1/backup?consistency=leader" == node.seen[-1].target


def test_few_lines(qdns: Qdns, serve: Serve, path: Path) -> None:
    """Only so many are shown; all are counted."""
    serve(backup(changed()))
    done = qdns("restore", path.name, "--dry-run", "--stale", "--lines", "1")
    assert 12 == done.code
    require_golden("restore_dry_run_few", done.out)


def test_for_programs(qdns: Qdns, serve: Serve, path: Path) -> None:
    """The same as JSON."""
    serve(backup(changed()))
    done = qdns("restore", path.name, "--dry-run", "-o", "json", "--lines", "2")
    assert 12 == done.code
    value = json.loads(done.out)
    assert {"added": 1, "removed": 1, "changed": 1} == value["counts"]["rrset"]
    assert {"added": 0, "removed": 1, "changed": 0} == value["counts"]["target"]
    assert (2, 2) == (len(value["differences"]), value["more"])
    assert {"change": "changed", "kind": "rrset", "name": "a.example.org. A"}.items() <= value["differences"][
        0
    ].items()
    assert "prod.qdns" == value["backup"]["file"]


def test_no_difference(qdns: Qdns, serve: Serve, path: Path) -> None:
    """A cluster that holds what the backup does is told so, exit 0."""
    serve(backup(path.read_bytes()))
    done = qdns("restore", path.name, "--dry-run")
    assert 0 == done.code
    assert "no difference" in done.out


def test_bad_files_and_clusters(qdns: Qdns, serve: Serve, path: Path, free_url: str) -> None:
    """A damaged file, no file, no cluster, a cluster that sends half: each its sentence and exit code."""
    (path.parent / "cut.qdns").write_bytes(small()[:-1])
    assert 2 == qdns("restore", "cut.qdns").code
    assert 2 == qdns("restore", "cut.qdns", "--dry-run").code
    assert 6 == qdns("restore", "nothing", "--dry-run").code
    assert 4 == qdns("restore", path.name, "--dry-run", "--api", free_url).code
    serve(backup(small()[:-1]))
    done = qdns("restore", path.name, "--dry-run")
    assert 4 == done.code
    assert "no whole backup" in done.err
