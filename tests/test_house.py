"""The house keeps its own rules: what ships, who imports what, what the texts may not say."""

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from node.dns.fast import is_supported
from scripts.build_native import compiler

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("node/**/*.py"), *ROOT.glob("raft/**/*.py")])
PURE = ("node/zone", "node/health", "node/state")
SINGLE_IMPORTERS = {
    "pysyncobj": ("raft/",),
    "dnslib": ("node/dns/message.py",),
    "dns": (
        "node/zone/rrset.py",
        "node/zone/master_file.py",
        "node/dns/records.py",
        "node/push/",
        "node/cli/",
    ),
    "pickle": (),
}


def imported(path: Path) -> set[str]:
    """Return the top names of what a file imports."""
    names = set()
    for each in ast.walk(ast.parse(path.read_text())):
        if isinstance(each, ast.Import):
            names |= {alias.name.split(".")[0] for alias in each.names}
        elif isinstance(each, ast.ImportFrom) and each.module and not each.level:
            names.add(each.module.split(".")[0])
    return names


@pytest.mark.parametrize("library", sorted(SINGLE_IMPORTERS))
def test_a_library_is_imported_where_it_belongs(library: str) -> None:
    """Changing a library is a change to a few known files; pickle is used nowhere."""
    allowed = SINGLE_IMPORTERS[library]
    found = [str(path.relative_to(ROOT)) for path in SOURCES if library in imported(path)]
    assert [] == [path for path in found if not path.startswith(allowed or ("nowhere",))]


def test_the_ground_floors_are_pure() -> None:
    """Decisions read no clock, socket, file or random number."""
    forbidden = {"socket", "asyncio", "threading", "time", "random", "os", "pathlib", "requests", "structlog"}
    guilty = {
        str(path.relative_to(ROOT)): sorted(imported(path) & forbidden)
        for path in SOURCES
        if str(path.relative_to(ROOT)).startswith(PURE) and imported(path) & forbidden
    }
    assert {} == guilty


def test_the_wheel_holds_our_packages_alone(tmp_path: Path) -> None:
    """Nothing but node/, raft/ and metadata is installed beside other people's packages."""
    words = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
    ]
    done = subprocess.run([*words, str(ROOT)], check=False, capture_output=True, text=True)
    if done.returncode != 0 and "hatchling" in done.stderr:
        done = subprocess.run(
            [word for word in words if word != "--no-build-isolation"] + [str(ROOT)],
            check=False,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    is_compiled = "node/dns/libnative.so" in names
    assert is_compiled == bool(is_supported() and compiler())
    assert is_compiled != wheel.name.endswith("-py3-none-any.whl")
    assert {"node", "raft"} == {top for top in tops if not re.fullmatch(r"quorumdns-[\d.]+\.dist-info", top)}


def test_no_machine_paths_in_texts() -> None:
    """The project speaks of itself alone."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=False, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    pattern = re.compile(r"(?<![\w.}])/(?:work|farm|home/\w+|root)/")
    names = [name for name in listed.stdout.split("\n") if name.endswith((".py", ".md", ".toml", ".yaml"))]
    guilty = [name for name in names if (ROOT / name).exists() and pattern.search((ROOT / name).read_text())]
    assert [name for name in guilty if name != "tests/test_house.py"] == []


def stories_untold(source: str) -> list[str]:
    """Return what functions define and never name: in a test that is a story that nobody plays."""
    found = []
    for outer in ast.walk(ast.parse(source)):
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef):
            named = {each.id for each in ast.walk(outer) if isinstance(each, ast.Name)}
            inner = [each for each in outer.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
            found += [
                f"{outer.name}: {each.name}"
                for each in inner
                if each.name not in named and not each.decorator_list
            ]
    return found


def test_every_story_is_played() -> None:
    """A test that only defines what it would do cannot fail."""
    guilty = {
        str(path.relative_to(ROOT)): stories_untold(path.read_text()) for path in ROOT.glob("tests/**/*.py")
    }
    assert {} == {name: stories for name, stories in guilty.items() if stories}
    assert ["test: act"] == stories_untold("def test():\n    def act():\n        assert False\n")


def test_the_library_leaves_the_process_alone() -> None:
    """What PySyncObj replaces in the socket module at import is put back."""
    import socket

    import raft

    assert raft.__doc__
    assert socket.inet_ntop(socket.AF_INET6, bytes(15) + b"\x01") == "::1"
    assert socket.inet_pton(socket.AF_INET, "127.0.0.1") == b"\x7f\x00\x00\x01"


@pytest.mark.parametrize("package", ["node", "raft"])
def test_a_shared_environment_is_refused(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another distribution owns one of our import names, a node says so and does not start."""
    from node import wiring
    from node.plan import StartError

    owners = {"node": ["quorumdns"], "raft": ["quorumdns"]}
    monkeypatch.setattr(wiring.importlib.metadata, "packages_distributions", lambda: owners)
    wiring.refuse_shared_environment()
    owners[package] = ["quorumdns", "stranger"]
    with pytest.raises(StartError, match=rf"stranger .* owns the import name '{package}'") as caught:
        wiring.refuse_shared_environment()
    assert caught.value.exit_code == 3
