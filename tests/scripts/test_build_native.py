"""The compiled reader is built where there is a compiler, and nothing fails where there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from node.dns.fast import is_supported
from node.dns.native import load
from scripts import build_native
from scripts.build_native import SANITIZED, build, compiler

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(name="library")
def _library(tmp_path: Path) -> Path:
    """Return where a library may be built; skip where none can be."""
    if not is_supported() or not compiler():
        pytest.skip("there is no C compiler, or no use for it")
    return tmp_path / "libnative.so"


def test_it_is_built_without_a_warning(library: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Warnings are errors here; a library that is already there is left alone."""
    assert build(library, ("-D_FORTIFY_SOURCE=3", "-Wconversion", "-Wshadow", "-Werror"))
    assert ("", "") == capfd.readouterr()
    before = library.stat().st_mtime_ns
    assert build(library, only_if_changed=True)
    assert before == library.stat().st_mtime_ns
    assert load(library) is not None


@pytest.mark.parametrize("broken", ["/bin/false", "/nonexistent/cc"])
def test_a_compiler_that_fails_is_no_failure(
    library: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the program does without it, it does with a broken one."""
    monkeypatch.setenv("CC", broken)
    assert not build(library)
    assert not library.exists()


def test_a_machine_without_a_compiler_builds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does one of another kind."""
    monkeypatch.setattr(build_native, "compiler", list)
    assert not build(tmp_path / "libnative.so")
    assert [] == list(tmp_path.iterdir())


def test_hostile_packets_do_not_leave_the_bounds(library: Path) -> None:
    """With the checks of address and undefined behaviour on, a short fuzz run says what the Python reader says."""
    if not build(library, SANITIZED):
        pytest.skip("the compiler has no sanitizers")
    done = subprocess.run(
        [sys.executable, "scripts/fuzz.py", "--reader", str(library), "--count", "4000", "--seed", "11"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "4000 packets" in done.stdout
    assert "0 broken" in done.stdout
