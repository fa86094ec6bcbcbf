"""The wheel is the same whenever it is built, and the manual page is made of the commands that there are."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from node.cli.main import PLACES

ROOT = Path(__file__).parent.parent.parent
NEEDED = ("node/", "raft/", "scripts/", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE")


def wheel_of(source: Path, folder: Path) -> str:
    """Build a wheel without the network, and return the digest of its octets."""
    words = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    environ = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    done = subprocess.run([*words, str(source)], check=False, capture_output=True, text=True, env=environ)
    if "hatchling" in done.stderr:
        pytest.skip("hatchling is missing: pip would fetch it")
    assert 0 == done.returncode, done.stderr
    (wheel,) = folder.glob("*.whl")
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def copied_by_the_image() -> tuple[str, ...]:
    """Return what the Containerfile builds from."""
    text = (ROOT / "deploy" / "Containerfile").read_text()
    sources = " ".join(re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)).split()
    return tuple(f"{each}/" if (ROOT / each).is_dir() else each for each in sources)


def test_two_builds_are_equal(tmp_path: Path) -> None:
    """From the checkout, and from what the image copies: octet for octet the same, so anybody can check a release."""
    digests = []
    for number, needed in (("one", NEEDED), ("two", copied_by_the_image())):
        source = tmp_path / number / "source"
        source.mkdir(parents=True)
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=False, capture_output=True, text=True)
        if listed.returncode != 0:
            pytest.skip("not a git checkout")
        names = [
            name for name in listed.stdout.split("\n") if name.startswith(needed) and (ROOT / name).exists()
        ]
        for name in names:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
        digests.append(wheel_of(source, tmp_path / number))
    assert digests[0] == digests[1]


def test_the_manual_page() -> None:
    """Every command has its part, and man finds nothing to complain of."""
    done = subprocess.run(
        [sys.executable, "scripts/make_man.py"], check=True, capture_output=True, text=True, cwd=ROOT
    )
    for name, (_, help_) in PLACES.items():
        if help_:
            assert f".SS qdns {name}" in done.stdout, name
    for part in ("EXIT STATUS", "ENVIRONMENT", "FILES"):
        assert f".SH {part}" in done.stdout
    if shutil.which("man") is None:
        pytest.skip("man is missing: the page was made, and not formatted")
    words = ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-"]
    shown = subprocess.run(words, input=done.stdout, check=True, capture_output=True, text=True)
    assert ("", True) == (shown.stderr, len(shown.stdout) > 10_000)
