"""The reference of the configuration is what the schema says, with words for every key."""

import subprocess
import sys

from tests.docs.commands import ROOT


def test_the_page_is_up_to_date() -> None:
    """Whoever adds a key writes what it means, and makes the page anew: python scripts/make_reference.py."""
    words = [sys.executable, "scripts/make_reference.py", "--check"]
    environ = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=ROOT, env=environ)
    assert (0, "") == (done.returncode, done.stderr)
