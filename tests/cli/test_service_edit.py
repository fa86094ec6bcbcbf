"""``qdns service edit``: a definition in the user's editor, here a small program."""

import json
import re
import shlex
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from node.api.message import encode
from node.api.models import ServiceBody
from node.api.names import read_name
from node.api.views import service_definition, service_row
from node.cli.commands.service_edit import definition
from node.cli.editing import TEXT_OCTETS_MAX
from node.state.state import EndpointState, ServiceState
from tests.cli.conftest import Qdns, Ran, Serve
from tests.cli.fake import FakeNode, problem, scene
from tests.config.helpers import accepted
from tests.docs.test_health import TEXT

PATH = "/v1/services/www.example.com"
OK = {"index": 48300, "serial": 2026112208, "changed": True}
WORDS = ("service", "edit", "www.example.com")


class Editor:
    """A program that applies one step to the text each time it is opened, and keeps what it was shown."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "an editor's"
        self.folder.mkdir()
        self.drafts = folder / "drafts"
        self.drafts.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(self.drafts))
        self._monkeypatch = monkeypatch

    def steps(self, *steps: str) -> None:
        """Set what is done to ``text``, Python statements for one opening after another."""
        program = self.folder / "edit.py"
        program.write_text(
            "import pathlib, sys\n"
            "folder, path = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])\n"
            f"steps = {steps!r}\n"
            "text = path.read_bytes().decode('utf-8', 'surrogateescape')\n"
            "opened = len(list(folder.glob('shown.*')))\n"
            "(folder / f'shown.{opened}').write_bytes(path.read_bytes())\n"
            "scope = {'text': text, 'path': path, 'folder': folder}\n"
            "exec(steps[opened], scope)\n"
            "path.write_bytes(scope['text'].encode('utf-8', 'surrogateescape'))\n"
        )
        self._monkeypatch.delenv("VISUAL", raising=False)
        self._monkeypatch.setenv("EDITOR", shlex.join([sys.executable, str(program), str(self.folder)]))

    def shown(self) -> list[str]:
        return [each.read_text("utf-8", "replace") for each in sorted(self.folder.glob("shown.*"))]

    def kept(self) -> list[Path]:
        return sorted(self.drafts.iterdir())


@pytest.fixture(name="editor")
def _editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Editor:
    return Editor(tmp_path, monkeypatch)


def accepting(serve: Serve, **answers: Any) -> FakeNode:
    return serve(scene("degraded") | {f"PUT {PATH}": OK} | answers)


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)


def require_kept(ran: Ran, editor: Editor) -> str:
    """Return the one text that was kept, at the place the error names, for its owner alone."""
    (path,) = editor.kept()
    assert f"the text is kept in {path}" in ran.err
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    return path.read_text("utf-8", "surrogateescape")


def test_what_is_saved_is_written(editor: Editor, qdns: Qdns, serve: Serve) -> None:
    """The whole definition is put, with the version that was read as its condition; no file is left."""
    node = accepting(serve)
    editor.steps("text = text.replace('\"fall\": 3', '\"fall\": 5')")
    ran = qdns(*WORDS, "--reason", "flaps")
    assert (0, "set  service www.example.com   serial 2026112208   index 48300\n") == (ran.code, ran.out)
    (sent,) = node.writes
    assert ("PUT", PATH, '"48001"', "flaps") == (
        sent.method,
        sent.target,
        sent.headers["if-match"],
        sent.headers["qdns-reason"],
    )
    assert definition(scene("degraded")[f"GET {PATH}"]) | {"fall": 5} == sent.body
    assert [] == editor.kept()


def test_the_text_says_what_it_is(editor: Editor, qdns: Qdns, serve: Serve) -> None:
    """Comments on top, then the definition alone: no votes, no verdicts."""
    accepting(serve)
    editor.steps("")
    qdns(*WORDS)
    (text,) = editor.shown()
    assert text.startswith("# Service www.example.com as of index 48001.")
    assert "verdict" not in text
    assert "index" not in json.loads(text[text.index("{") :])


@pytest.mark.parametrize(
    "step",
    [
        "",
        "text = '# mine\\n' + text.replace('  ', '\\t')",
        "text = ''",
        "text = '# only this\\n'",
    ],
    ids=["as it was", "other spaces", "empty", "comments"],
)
def test_what_is_unchanged_is_not_sent(step: str, editor: Editor, qdns: Qdns, serve: Serve) -> None:
    """Nothing goes to the node, and nothing is left."""
    node = accepting(serve)
    editor.steps(step)
    ran = qdns(*WORDS)
    assert (0, "unchanged  service www.example.com   index 48001\n") == (ran.code, ran.out)
    assert [] == node.writes
    assert [] == editor.kept()


def test_true_is_not_one(editor: Editor, qdns: Qdns, serve: Serve) -> None:
    """Another type is another text: the node judges it."""
    node = accepting(serve)
    editor.steps("text = text.replace('\"fall\": 3', '\"fall\": 3.0')")
    qdns(*WORDS)
    assert 1 == len(node.writes)


def test_another_writer_wins(editor: Editor, qdns: Qdns, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A conflict has its exit code, is never retried in the editor, and the text is kept."""
    on_a_terminal(monkeypatch)
    node = accepting(serve, **{f"PUT {PATH}": problem(412, "precondition", "it changed at index 48200")})
    editor.steps("text = text.replace('\"fall\": 3', '\"fall\": 5')")
    ran = qdns(*WORDS)
    assert (7, 1) == (ran.code, len(node.writes))
    assert '"fall": 5' in require_kept(ran, editor)
    assert "hint: run it again" in ran.err


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("text = text.replace('\"rise\": 2,', '\"rise\": 2')", 'near: "rise": 2 "fall": 3,'),
        ("text = '[]'", "a definition is an object"),
        ("text = '{\"ttl\": NaN}'", "NaN is not a JSON number"),
        ("text = '[' * 100_000", "not JSON"),
        ("text = '{\"ttl\": ' + '1' * 5000 + '}'", "not JSON"),
        ("text += '\\udcff'", "not UTF-8"),
        (f"text += ' ' * {TEXT_OCTETS_MAX}", "longer than"),
    ],
    ids=["comma", "array", "NaN", "deep", "long number", "octets", "long"],
)
def test_bad_text_without_a_terminal(step: str, said: str, editor: Editor, qdns: Qdns, serve: Serve) -> None:
    """The error says what is wrong and where the text is; nothing is sent."""
    node = accepting(serve)
    editor.steps(step)
    ran = qdns(*WORDS)
    assert (2, []) == (ran.code, node.writes)
    assert said in ran.err
    assert "Traceback" not in ran.err
    require_kept(ran, editor)


def test_what_the_node_refuses_without_a_terminal(editor: Editor, qdns: Qdns, serve: Serve) -> None:
    """The node's own reasons are told, and the text is kept."""
    accepting(serve, **{f"PUT {PATH}": problem(422, "invalid", "/fall must be at least 1")})
    editor.steps("text = text.replace('\"fall\": 3', '\"fall\": 0')")
    ran = qdns(*WORDS)
    assert 2 == ran.code
    assert "/fall must be at least 1; nothing was changed" in ran.err
    assert '"fall": 0' in require_kept(ran, editor)


def test_bad_text_on_a_terminal(
    editor: Editor, qdns: Qdns, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The editor opens again with the errors on top, those of the text and those of the node alike."""
    on_a_terminal(monkeypatch)
    errors = [
        {"pointer": "/fall", "message": "too\nsmall \x1b[31m"},
        {"pointer": "/zne", "message": "is not a key here"},
    ]
    refusals = {f"PUT {PATH}": problem(422, "invalid", "two faults", errors=errors)}
    node = accepting(serve, **refusals)
    editor.steps(
        "text = text.replace('\"rise\": 2,', '\"rise\": 2')",
        "text = text.replace('\"rise\": 2', '\"rise\": 2,')"
        ".replace('\"fall\": 3', '\"fall\": 0').replace('\"zone\"', '\"zne\"')",
        "",
    )
    ran = qdns(*WORDS)
    first, second, third = editor.shown()
    assert first.startswith("# Service")
    assert second.startswith("# ERROR not JSON: ")
    assert ["# ERROR /fall too", "# small \\x1b[31m", "# ERROR /zne is not a key here", "#"] == third.split(
        "\n"
    )[:4]
    assert "not JSON" not in third
    assert (2, 1) == (ran.code, len(node.writes)), "saved again as it was: that ends it"
    assert '"fall": 0' in require_kept(ran, editor)


def test_mended_text_is_written(
    editor: Editor, qdns: Qdns, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was bad at first and good then is written once."""
    on_a_terminal(monkeypatch)
    node = accepting(serve)
    editor.steps("text += '}'", "text = text.rstrip()[:-1].replace('\"fall\": 3', '\"fall\": 4')")
    assert 0 == qdns(*WORDS).code
    assert [4] == [each.body["fall"] for each in node.writes]
    assert [] == editor.kept()


def test_a_write_of_unknown_outcome_keeps_the_text(editor: Editor, qdns: Qdns, serve: Serve) -> None:
    """Whatever becomes of the write, what somebody typed is not lost."""
    accepting(serve, **{f"PUT {PATH}": {"drop": True}})
    editor.steps("text = text.replace('\"fall\": 3', '\"fall\": 5')")
    ran = qdns(*WORDS)
    assert 9 == ran.code
    assert '"fall": 5' in require_kept(ran, editor)


def test_an_editor_that_fails(editor: Editor, qdns: Qdns, serve: Serve) -> None:
    """Nothing is sent; a text that was changed is kept, one that was not leaves no file."""
    node = accepting(serve)
    editor.steps("raise SystemExit(3)", "path.write_text('mine'); raise SystemExit(3)")
    ran = qdns(*WORDS)
    assert (2, []) == (ran.code, editor.kept())
    ran = qdns(*WORDS)
    assert "ended with 3; nothing was changed" in ran.err
    assert "mine" == require_kept(ran, editor)
    assert [] == node.writes


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "no editor is named"),
        ("   ", "no editor is named"),
        ("vi 'x", "EDITOR cannot be read"),
        ("/nowhere/editor -w", "the editor /nowhere/editor cannot be run: no such file"),
    ],
)
def test_no_editor(
    value: str, said: str, editor: Editor, qdns: Qdns, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong with the variable is said; no file is left."""
    accepting(serve)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", value)
    ran = qdns(*WORDS)
    assert (2, []) == (ran.code, editor.kept())
    assert said in ran.err


def test_visual_goes_first(editor: Editor, qdns: Qdns, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """VISUAL is used where both are set."""
    accepting(serve)
    editor.steps("")
    monkeypatch.setenv("VISUAL", "/nowhere/visual")
    assert "/nowhere/visual" in qdns(*WORDS).err


def test_no_shell_reads_the_editor(
    editor: Editor, qdns: Qdns, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a shell would carry out is a word like any other."""
    accepting(serve)
    editor.steps("")
    found = tmp_path / "found"
    monkeypatch.setenv("EDITOR", f"/nowhere/editor; touch {found} $(touch {found})")
    assert 2 == qdns(*WORDS).code
    assert not found.exists()


def test_a_service_that_is_not_there(editor: Editor, qdns: Qdns, serve: Serve) -> None:
    """No editor is opened."""
    accepting(serve)
    editor.steps("")
    assert 6 == qdns("service", "edit", "nothing.example.com").code
    assert [] == editor.shown()


def test_every_definition_can_be_put_back() -> None:
    """What is shown for editing is what the API reads, and stands for the same service."""
    (example,) = re.findall(r"^```toml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    for service in accepted(example).services:
        endpoints = tuple((each.address, EndpointState()) for each in service.endpoints)
        state = ServiceState(service, endpoints, (), fail_open=False, index=1)
        value = definition(json.loads(encode(service_row(state) | service_definition(state))))
        body = ServiceBody.model_validate(value)
        assert set(ServiceBody.model_fields) == set(value)
        assert service == body.service(service.fqdn, read_name(body.zone or ""))
