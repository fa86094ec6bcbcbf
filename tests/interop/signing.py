"""Signed zones for the tests, made by BIND's tools with fresh keys."""

import subprocess
from pathlib import Path


def signed(source: Path, origin: str, folder: Path, *options: str) -> Path:
    """Sign a master file as the zone ``origin`` and return the result."""
    folder.mkdir(parents=True, exist_ok=True)
    _run(["dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-K", str(folder), origin])
    result = folder / f"{origin}.signed"
    words = ["dnssec-signzone", "-S", "-P", "-O", "full", "-K", str(folder), "-d", str(folder), "-o", origin]
    _run([*words, "-f", str(result), *options, str(source)])
    return result


def _run(words: list[str]) -> None:
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
