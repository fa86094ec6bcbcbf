"""Build the compiled reader of answers, where there is a C compiler: ``python scripts/build_native.py``.

The library goes beside its source. It is optional: without a compiler, or on a machine that it is not for, nothing
is built and nothing fails. ``hatch_build.py`` calls this for every wheel, ``make native`` and the tests for the checkout.
"""

import argparse
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "node" / "dns" / "native.c"
LIBRARY = SOURCE.with_name("libnative.so")
_WORDS = (
    "-std=c11",
    "-O2",
    "-fPIC",
    "-shared",
    "-Wall",
    "-Wextra",
    "-U_FORTIFY_SOURCE",
    "-fstack-protector-strong",
    "-fcf-protection",
    "-Wl,-z,relro,-z,now,-z,noexecstack",
)
_HARDENED = ("-D_FORTIFY_SOURCE=3",)
"""Not beside the sanitizers, which check more."""
SANITIZED = (
    "-O1",
    "-g",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
)
_PATIENCE_S = 120


def compiler() -> list[str]:
    """Return the words that call the C compiler, nothing where there is none; ``CC`` names another one."""
    named = shlex.split(os.environ.get("CC", ""))
    if named:
        return named
    found = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    return [found] if found else []


def checksum() -> str:
    """Return what the library says of the source that it was built from; native.py makes the same."""
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()


def build(library: Path = LIBRARY, more: tuple[str, ...] = _HARDENED, *, only_if_changed: bool = False) -> bool:
    """Build the library and say whether it is there. One that is there already and the same stays as it is."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64") or not compiler():
        return False
    if only_if_changed and library.exists() and checksum().encode() in library.read_bytes():
        return True
    try:
        with tempfile.TemporaryDirectory(dir=library.parent, prefix=".native-") as folder:
            fresh = Path(folder) / library.name
            told = f'-DSOURCE="{checksum()}"'
            words = [*compiler(), *_WORDS, *more, told, "-o", str(fresh), SOURCE.name]
            subprocess.run(
                words, cwd=SOURCE.parent, check=True, capture_output=True, text=True, timeout=_PATIENCE_S
            )
            if library.exists() and library.read_bytes() == fresh.read_bytes():
                library.touch()
            else:
                fresh.replace(library)
    except subprocess.CalledProcessError as error:
        print(error.stderr, file=sys.stderr)
        return False
    except (OSError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return False
    return True


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument(
        "--sanitize", metavar="FILE", type=Path, help="build one that checks itself into this file"
    )
    chosen = options.parse_args()
    is_there = build(chosen.sanitize.resolve(), SANITIZED) if chosen.sanitize else build()
    print("built" if is_there else "not built: answers are read by Python")
    return 0


if __name__ == "__main__":
    sys.exit(main())
