"""A foreign package under one of our names is refused at start, before anything of it is run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from node.environment import stranger

ROOT = Path(__file__).parent.parent


def test_ours_are_ours() -> None:
    """Here nobody stands in the way."""
    assert "" == stranger()


@pytest.mark.parametrize("command", ["dev", "run"])
def test_a_foreign_package_is_refused(command: str, tmp_path: Path) -> None:
    """It goes first on the path, says so loudly when imported, and is not; the exit code asks for a person."""
    foreign = tmp_path / "raft"
    foreign.mkdir()
    (foreign / "__init__.py").write_text("print('imported')\n")
    environ = os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    program = "import sys; from node.cli.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, command],
        check=False, capture_output=True, text=True, env=environ, cwd=tmp_path, timeout=60,
    )  # fmt: skip
    assert 3 == done.returncode, done.stderr
    assert f"{foreign} would be imported in the place of a package of ours" in done.stderr
    assert "imported" not in done.stdout
