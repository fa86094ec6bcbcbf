"""One way to run qdns in a test: in this process, piped, at a fixed time, against a fake node."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node.cli.main import main
from tests.cli.fake import FakeNode, scene

NOW_S = 1795356723.0
"""2026-11-22T14:12:03Z"""
GOLDEN = Path(__file__).parent / "golden"


@dataclass
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


Qdns = Callable[..., Ran]
Serve = Callable[[Any], FakeNode]


@pytest.fixture(name="still", autouse=True)
def fixture_still(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Stand in an empty folder, at a fixed time, with nothing said by the environment."""
    for name in [*os.environ]:
        if name.startswith("QDNS_") or name in (
            "CONF",
            "LOCAL_NODE",
            "FORCE_COLOR",
            "NO_COLOR",
            "TERM",
            "LANG",
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr("node.cli.times.time", lambda: NOW_S)
    monkeypatch.chdir(tmp_path)
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(name="qdns")
def fixture_qdns(capsys: pytest.CaptureFixture[str]) -> Qdns:
    def run(*words: str) -> Ran:
        capsys.readouterr()
        code = main(words)
        captured = capsys.readouterr()
        return Ran(int(code), captured.out, captured.err)

    return run


@pytest.fixture(name="serve")
def fixture_serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start fake nodes; the first is the one that QDNS_API names."""
    nodes: list[FakeNode] = []

    def start(what: Any) -> FakeNode:
        node = FakeNode(scene(what) if isinstance(what, str) else what)
        nodes.append(node)
        if len(nodes) == 1:
            monkeypatch.setenv("QDNS_API", node.url)
        return node

    yield start
    for node in nodes:
        node.stop()


@pytest.fixture(name="free_url")
def fixture_free_url() -> Iterator[str]:
    """A URL where nothing listens, and nothing else will while the test runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def require_golden(name: str, text: str) -> None:
    """Compare with a golden file; QDNS_GOLDEN=rewrite in the environment of pytest writes it anew."""
    path = GOLDEN / f"{name}.txt"
    if REWRITE:
        path.write_text(text, "utf-8")
    assert path.read_text("utf-8") == text


REWRITE = os.environ.get("QDNS_GOLDEN") == "rewrite"
