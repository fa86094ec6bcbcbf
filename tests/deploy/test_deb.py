"""The Debian package is built by its script, installs into a clean Debian, runs there, and goes again."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import dns.message
import dns.query
import pytest

from tests.ports import free_port

ROOT = Path(__file__).parent.parent.parent
MIRROR = "http://deb.debian.org/debian"
pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]


def build(folder: Path) -> Path:
    """Build the package; skip where the package index cannot be asked for the libraries."""
    words = [sys.executable, "scripts/build_deb.py", "--output", str(folder)]
    done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=ROOT)
    if "No matching distribution" in done.stderr or "Could not find a version" in done.stderr:
        pytest.skip("the package index is out of reach")
    assert 0 == done.returncode, done.stderr
    return Path(done.stdout.strip())


def clean_root(folder: Path) -> Path:
    """Make a small Debian of its own; skip where its mirror is out of reach."""
    root = folder / "root"
    words = ["debootstrap", "--variant=minbase", "--include=python3,adduser", "bookworm", str(root), MIRROR]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        pytest.skip(f"debootstrap: {(done.stdout + done.stderr).strip().splitlines()[-1]}")
    return root


def inside(root: Path, *words: str, code: int = 0) -> str:
    """Run a program in the clean root."""
    environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["chroot", str(root), *words], check=False, capture_output=True, text=True, env=environ, timeout=120
    )
    assert code == done.returncode, (words, done.stdout, done.stderr)
    return done.stdout


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is missing: this is no Debian")
@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="/usr/bin/python3 is missing")
def test_what_the_package_holds(tmp_path: Path) -> None:
    """Everything is below its own folders, nothing names where it was built, and its program starts there."""
    package = build(tmp_path)
    listed = subprocess.run(["dpkg-deb", "-c", str(package)], check=True, capture_output=True, text=True).stdout
    paths = [line.split()[5] for line in listed.splitlines()]
    for each in ("./usr/bin/qdns", "./lib/systemd/system/quorumdns.service", "./usr/share/man/man1/qdns.1.gz"):
        assert each in paths
    outside = [path for path in paths if not path.startswith(("./etc/", "./usr/", "./lib/"))]
    assert ["./"] == outside
    assert all("root/root" in line for line in listed.splitlines())
    stage = tmp_path / "stage"
    subprocess.run(["dpkg-deb", "-R", str(package), str(stage)], check=True)
    traces = subprocess.run(
        ["grep", "-rlF", str(ROOT), str(stage)], check=False, capture_output=True, text=True
    ).stdout.splitlines()
    assert [] == traces


@pytest.mark.skipif(shutil.which("debootstrap") is None, reason="debootstrap is missing")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a root of its own")
def test_in_a_clean_debian(tmp_path: Path) -> None:
    """dpkg installs it, the configuration is accepted, a node answers DNS there, and removal leaves the data."""
    package, root = build(tmp_path), clean_root(tmp_path)
    shutil.copy(package, root / "quorumdns.deb")
    assert "ok   1 node" in inside(root, "dpkg", "-i", "/quorumdns.deb")
    assert "quorumdns" in inside(root, "getent", "passwd", "quorumdns")
    assert "quorumdns" in inside(root, "qdns", "version")
    assert "700 quorumdns" == inside(root, "stat", "-c", "%a %U", "/var/lib/quorumdns").strip()
    answers(root)
    (root / "var/lib/quorumdns/journal").write_text("data")
    inside(root, "dpkg", "--purge", "quorumdns")
    assert (root / "var/lib/quorumdns/journal").exists()
    assert not (root / "usr/lib/quorumdns").exists()
    assert not (root / "usr/bin/qdns").is_symlink()


def answers(root: Path) -> None:
    """Run a node in the clean root, ask it, and end it."""
    port, api = free_port(), free_port()
    mounts = f"mount -t proc proc {root}/proc && mount -t tmpfs tmpfs {root}/dev/shm"
    program = f"chroot {root} qdns dev --dns-port {port} --api-port {api}"
    words = ["unshare", "--mount", "sh", "-c", f"{mounts} && exec {program}"]
    environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    with (root / "log").open("wb") as log:
        node = subprocess.Popen(words, env=environ, stdout=log, stderr=log)
    try:
        ends = time.monotonic() + 60
        question = dns.message.make_query("nowhere.test", "SOA")
        while True:
            try:
                dns.query.udp(question, "127.0.0.1", port=port, timeout=1)
                break
            except (OSError, dns.exception.Timeout):
                assert time.monotonic() < ends, (root / "log").read_text()
    finally:
        node.send_signal(signal.SIGTERM)
        assert 0 == node.wait(30)
