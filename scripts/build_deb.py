"""Build the Debian package: our wheel and its libraries in an environment below /usr/lib/quorumdns.

    python scripts/build_deb.py --output dist

Needs dpkg-deb and the Debian Python that the package is to run with (/usr/bin/python3 and its venv module).
Libraries come from the package index; with SOURCE_DATE_EPOCH two builds with the same libraries are equal.
"""

import argparse
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = "usr/lib/quorumdns"
SHELLS = {
    "bash": "usr/share/bash-completion/completions/qdns",
    "zsh": "usr/share/zsh/vendor-completions/_qdns",
    "fish": "usr/share/fish/vendor_completions.d/qdns.fish",
}
COPIES = {
    "deploy/quorumdns.service": "lib/systemd/system/quorumdns.service",
    "deploy/quorumdns-backup.service": "lib/systemd/system/quorumdns-backup.service",
    "deploy/quorumdns-backup.timer": "lib/systemd/system/quorumdns-backup.timer",
    "deploy/debian/cluster.toml": "etc/quorumdns/cluster.toml",
    "deploy/debian/copyright": "usr/share/doc/quorumdns/copyright",
    "deploy/alerts.yml": "usr/share/doc/quorumdns/examples/alerts.yml",
    "deploy/credentials.conf": "usr/share/doc/quorumdns/examples/credentials.conf",
    "deploy/quorumdns.socket": "usr/share/doc/quorumdns/examples/quorumdns.socket",
}


def main() -> None:
    """Build the package and print where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("dist"), help="folder of the package (dist)")
    parser.add_argument("--python", default="/usr/bin/python3", help="the Python it is to run with")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        print(build(Path(folder), options.output, options.python))


def build(work: Path, output: Path, python: str) -> Path:
    """Stage the files, and pack them."""
    stage = work / "stage"
    install(stage / HOME, work, python)
    copy(stage)
    documents(stage)
    control(stage, python)
    version = project()["version"]
    package = output / f"quorumdns_{version}_{architecture()}.deb"
    settle(stage)
    run("dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(stage), str(package))
    return package


def install(home: Path, work: Path, python: str) -> None:
    """Make the environment, and let its program find it where it will be."""
    run(python, "-m", "venv", "--without-pip", "--symlinks", str(home))
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(work), str(ROOT))
    (wheel,) = work.glob("quorumdns-*.whl")
    pip = (sys.executable, "-m", "pip", "--python", str(home / "bin" / "python3"))
    run(*pip, "install", "-q", "--no-compile", str(wheel))
    for each in (home / "bin").iterdir():
        if each.name not in ("qdns", "python", "python3") and not each.name.startswith("python3."):
            each.unlink()
    program = home / "bin" / "qdns"
    program.write_text(re.sub(r"^#!.*", f"#!/{HOME}/bin/python3", program.read_text(), count=1))
    settings = home / "pyvenv.cfg"
    kept = [line for line in settings.read_text().splitlines() if not line.startswith("command")]
    settings.write_text("\n".join(kept) + "\n")
    for recorded in home.glob("lib/*/site-packages/*.dist-info/direct_url.json"):
        recorded.unlink()  # says in which folder it was built


def copy(stage: Path) -> None:
    """Put the files of deploy/ where Debian has them."""
    for source, target in COPIES.items():
        (stage / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / source, stage / target)
    (stage / "usr/bin").mkdir(parents=True)
    (stage / "usr/bin/qdns").symlink_to(f"/{HOME}/bin/qdns")
    for page in (ROOT / "docs").glob("*.md"):
        shutil.copy(page, stage / "usr/share/doc/quorumdns")


def documents(stage: Path) -> None:
    """Write what is made of the program itself: completions, the manual page, the list of changes."""
    for shell, target in SHELLS.items():
        (stage / target).parent.mkdir(parents=True, exist_ok=True)
        (stage / target).write_text(own("-m", "node", "completion", shell))
    pages = {"usr/share/man/man1/qdns.1.gz": own("scripts/make_man.py")}
    pages["usr/share/doc/quorumdns/changelog.gz"] = (ROOT / "CHANGELOG.md").read_text()
    for target, text in pages.items():
        (stage / target).parent.mkdir(parents=True, exist_ok=True)
        (stage / target).write_bytes(gzip.compress(text.encode(), mtime=0))


def control(stage: Path, python: str) -> None:
    """Write what dpkg is to know."""
    folder = stage / "DEBIAN"
    folder.mkdir()
    major, minor = own_version(python)
    octets = sum(each.stat().st_size for each in stage.rglob("*") if each.is_file() and not each.is_symlink())
    values = {
        "VERSION": project()["version"],
        "ARCHITECTURE": architecture(),
        "SIZE": str(octets // 1024),
        "PYTHON": f"python3 (>= {major}.{minor}), python3 (<< {major}.{minor + 1})",
    }
    text = (ROOT / "deploy/debian/control.in").read_text()
    (folder / "control").write_text(re.sub(r"@(\w+)@", lambda found: values[found[1]], text))
    (folder / "conffiles").write_text("/etc/quorumdns/cluster.toml\n")
    for script in ("postinst", "prerm", "postrm"):
        shutil.copy(ROOT / "deploy/debian" / script, folder / script)
        (folder / script).chmod(0o755)
    files = sorted(each for each in stage.rglob("*") if each.is_file() and not each.is_symlink())
    lines = [
        f"{hashlib.md5(each.read_bytes(), usedforsecurity=False).hexdigest()}  {each.relative_to(stage)}"
        for each in files
        if folder not in each.parents
    ]
    (folder / "md5sums").write_text("\n".join(lines) + "\n")


def settle(stage: Path) -> None:
    """Give every file the modes of a package, and the time of the release where one is given."""
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    for each in [stage, *stage.rglob("*")]:
        if not each.is_symlink():
            each.chmod(0o755 if each.is_dir() or each.stat().st_mode & 0o100 else 0o644)
        if epoch:
            os.utime(each, (epoch, epoch), follow_symlinks=False)


def project() -> dict[str, str]:
    """Return what pyproject.toml says of the project."""
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])


def architecture() -> str:
    """Return Debian's name of this machine."""
    return run("dpkg", "--print-architecture").strip()


def own_version(python: str) -> tuple[int, int]:
    """Return the Python's version."""
    major, minor = run(python, "-c", "import sys; print(*sys.version_info[:2])").split()
    return int(major), int(minor)


def own(*words: str) -> str:
    """Run a program of this checkout."""
    return run(sys.executable, *words, cwd=ROOT)


def run(*words: str, cwd: Path | None = None) -> str:
    """Run a program; end with what it said when it fails."""
    environ = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=cwd, env=environ)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
