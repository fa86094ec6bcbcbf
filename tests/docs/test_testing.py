"""The commands on the page about testing run as they are printed."""

import re
import subprocess
import sys

import pytest

from tests.docs.test_readme import ROOT

PAGE = (ROOT / "docs" / "testing.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)\n```", PAGE, re.DOTALL)


def test_the_page_has_its_commands() -> None:
    """One for many seeds and one for a single one."""
    assert 2 == len(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_runs(command: str) -> None:
    """With fewer seeds, and with the Python of this test."""
    small = command.replace("SEEDS=200", f"SEEDS=2 PYTHON={sys.executable}").replace(
        "python ", f"{sys.executable} "
    )
    done = subprocess.run(small, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "committed" in done.stdout
