"""What holds for all tests: answerers outlive the nodes that tests kill, and end with the tests."""

import contextlib
import os
import signal
from pathlib import Path

import pytest

from scripts.build_native import build


def pytest_configure(config: pytest.Config) -> None:
    """Build the compiled reader where there is a compiler, before the workers start."""
    if not hasattr(config, "workerinput"):
        build(only_if_changed=True)


@pytest.fixture(scope="session", autouse=True)
def _end_orphans(tmp_path_factory: pytest.TempPathFactory):
    """End every answerer whose directory belongs to these tests."""
    yield
    ours = str(tmp_path_factory.getbasetemp()).encode()
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if any(b"node.dns.answerer" in word for word in words) and any(
                word.startswith(ours) for word in words
            ):
                os.kill(int(process.name), signal.SIGTERM)
