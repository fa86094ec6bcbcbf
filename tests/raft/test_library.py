"""Only the audited library is accepted: a change of what we correct must not go unseen."""

import importlib.metadata
from pathlib import Path

import pysyncobj.syncobj
import pytest

from raft import library
from raft.errors import EXIT_WRONG_SETUP, RaftError


def test_the_audited_version_is_accepted() -> None:
    """What is installed is what was published as 0.3.17."""
    library.check_version()


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer library may have moved what our corrections replace."""
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "0.3.18")
    with pytest.raises(RaftError, match=r"0\.3\.18 is installed") as refusal:
        library.check_version()
    assert EXIT_WRONG_SETUP == refusal.value.exit_code


def test_a_changed_file_of_the_library_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A patched copy under the same version is another library."""
    folder = Path(pysyncobj.syncobj.__file__).parent
    for name in library.DIGESTS:
        (tmp_path / f"{name}.py").write_bytes((folder / f"{name}.py").read_bytes())
    monkeypatch.setattr(pysyncobj.syncobj, "__file__", str(tmp_path / "syncobj.py"))
    library.check_version()
    (tmp_path / "syncobj.py").write_bytes((folder / "syncobj.py").read_bytes() + b"\n")
    (tmp_path / "node.py").unlink()
    with pytest.raises(RaftError, match=r"node, syncobj in .* differ"):
        library.check_version()
