"""``qdns run`` and ``qdns dev`` hand over to the node what the command line says."""

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.cli.conftest import Qdns
from tests.cli.fake import DATA


@dataclass
class DevSettings:
    """The settings of development mode, as ``node.wiring`` has them."""

    data_dir: Path | None
    dns_port: int = 9000
    api_port: int = 7380
    with_demo: bool = False


@dataclass
class RestoreWish:
    """What to restore, as ``node.wiring`` has it."""

    path: Path
    of: str | None = None


@dataclass
class Info:
    """What a started node tells of itself."""

    lines: tuple[str, ...] = ("one node", "Ctrl-C stops everything.")


@pytest.fixture(name="given")
def fixture_given(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stand in for the node: note what it was given, say that it is ready, end with 70."""
    given: list[Any] = []

    def run(what: Any, *, ready: Any = None, restore: Any = None, takeover: bool = False) -> int:
        given.extend([what] if restore is None else [what, restore])
        given.extend(["takeover"] if takeover else [])
        if ready is not None:
            ready(Info())
        return 70

    wiring = ModuleType("node.wiring")
    vars(wiring).update(run=run, run_dev=run, DevSettings=DevSettings, RestoreWish=RestoreWish)
    monkeypatch.setitem(sys.modules, "node.wiring", wiring)
    monkeypatch.setattr("node.wiring", wiring, raising=False)
    return given


def test_run_gives_the_checked_configuration(qdns: Qdns, given: list[Any]) -> None:
    """The node's own exit code is the command's."""
    ran = qdns("run", "-c", str(DATA / "cluster.toml"), "--node", "ns2")
    assert (70, "", "") == (ran.code, ran.out, ran.err)
    assert "ns2" == given[0].node.name


def test_run_is_told_what_to_restore(qdns: Qdns, given: list[Any]) -> None:
    """The file and the name of its cluster reach the node; a name without a file is no command line."""
    words = ("run", "-c", str(DATA / "cluster.toml"), "--node", "ns2")
    qdns(*words, "--restore", "prod.qdns", "--restore-of", "prod")
    assert RestoreWish(Path("prod.qdns"), "prod") == given[1]
    assert 2 == qdns(*words, "--restore-of", "prod").code


def test_run_is_told_to_take_over(qdns: Qdns, given: list[Any]) -> None:
    """The node learns that another process of it runs."""
    qdns("run", "-c", str(DATA / "cluster.toml"), "--node", "ns2", "--takeover")
    assert "takeover" == given[1]


def test_dev_needs_nothing(qdns: Qdns, given: list[Any]) -> None:
    """Without options it runs in memory on the usual ports, and says where it is."""
    ran = qdns("dev")
    assert (70, "  one node\n  Ctrl-C stops everything.\n") == (ran.code, ran.out)
    assert [DevSettings(None)] == given


def test_dev_takes_ports_a_folder_and_a_demo(qdns: Qdns, given: list[Any]) -> None:
    """Every option reaches the node."""
    qdns("dev", "--with-demo", "--data", "data", "--dns-port", "0", "--api-port", "1234")
    assert [DevSettings(Path("data"), 0, 1234, with_demo=True)] == given
