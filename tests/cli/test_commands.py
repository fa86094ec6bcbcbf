"""The tree of commands: help with an example everywhere, cheap to load, the same options on both sides."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from node.cli.main import PLACES, cli
from tests.cli.conftest import Qdns, Serve

ROOT = Path(__file__).parents[2]


def iter_commands(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from iter_commands(inner, (*words, name))


@pytest.mark.parametrize("words", [*iter_commands(cli)], ids=" ".join)
def test_every_help_has_an_example_that_is_a_command(words: tuple[str, ...], qdns: Qdns) -> None:
    """A help text says what the command does and shows one line that can be typed."""
    ran = qdns(*words, "--help")
    assert (0, "") == (ran.code, ran.err)
    example = ran.out.partition("Example:\n")[2]
    assert "qdns " in example
    assert len(ran.out.partition("\n\n")[2].strip()) > 20


def test_the_list_of_commands_says_what_their_own_help_says() -> None:
    """The short texts stand apart so that listing them loads nothing; they must not drift."""
    context = click.Context(cli)
    for name, (_, help_) in PLACES.items():
        command = cli.get_command(context, name)
        assert command is not None
        assert not help_ or command.get_short_help_str(200).startswith(help_.rstrip("."))


@pytest.mark.parametrize(
    ("words", "forbidden"),
    [
        (["--help"], {"requests", "node.config", "dns", "subprocess"}),
        (["record", "set", "--help"], {"requests", "node.config", "dns"}),
        (["cluster", "up", "--help"], {"requests", "node.config", "dns"}),
        (["status", "--api", "http://127.0.0.1:1"], {"node.config", "dns"}),
        (["record", "list", "--api", "http://127.0.0.1:1"], {"node.config", "dns"}),
    ],
)
def test_a_command_loads_only_what_it_needs(words: list[str], forbidden: set[str]) -> None:
    """Client commands start fast: the node's own libraries stay out of the process."""
    never = {"structlog", "starlette", "uvicorn", "pysyncobj", "raft", "pydantic", "msgspec", "rich", "jinja2"}
    script = (
        "import contextlib, io, json, sys; from node.cli.main import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):\n"
        f"    main({words!r})\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert set() == set(json.loads(done.stdout)) & (never | forbidden)


def test_common_options_may_stand_on_both_sides_of_the_command(qdns: Qdns, serve: Serve) -> None:
    """The one nearer to the end wins."""
    node = serve("healthy")
    assert "ns1\nns2\nns3\n" == qdns("--api", node.url, "-o", "name", "status").out
    assert "ns1\nns2\nns3\n" == qdns("-o", "json", "status", "-o", "name").out


def test_the_environment_gives_defaults(qdns: Qdns, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """QDNS_OUTPUT and QDNS_TIMEOUT hold where nothing else is said; nonsense in them is told."""
    serve("healthy")
    monkeypatch.setenv("QDNS_OUTPUT", "name")
    assert "ns1\nns2\nns3\n" == qdns("status").out
    monkeypatch.setenv("QDNS_OUTPUT", "xml")
    assert (2, True) == (qdns("status").code, 'QDNS_OUTPUT is "xml"' in qdns("status").err)
    monkeypatch.delenv("QDNS_OUTPUT")
    monkeypatch.setenv("QDNS_TIMEOUT", "soon")
    assert (2, True) == (qdns("status").code, "QDNS_TIMEOUT: " in qdns("status").err)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, qdns: Qdns) -> None:
    """Each shell gets a script that asks qdns itself."""
    ran = qdns("completion", shell)
    assert (0, True) == (ran.code, f"_QDNS_COMPLETE={shell}_complete" in ran.out)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("qdns st", {"status"}),
        ("qdns end", {"endpoint"}),
        ("qdns record ", {"list", "get", "set", "add", "rm"}),
        ("qdns service show ", {"api.example.com", "www.example.com", "db.example.net"}),
        ("qdns record list example.n", {"example.net"}),
        ("qdns push show ", {"knot-eu", "desec"}),
        ("qdns status --nag", {"--nagios"}),
    ],
)
def test_completion(
    line: str, expected: set[str], qdns: Qdns, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands, options and the names of what there is are completed."""
    serve("degraded")
    words = line.split(" ")
    monkeypatch.setenv("_QDNS_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    ran = qdns()
    assert (0, expected) == (ran.code, {each.partition(",")[2] for each in ran.out.split()})


def test_completion_is_silent_without_a_node(
    qdns: Qdns, free_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prompt is not disturbed by an error."""
    monkeypatch.setenv("QDNS_API", free_url)
    monkeypatch.setenv("_QDNS_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "qdns service show ")
    monkeypatch.setenv("COMP_CWORD", "3")
    ran = qdns()
    assert (0, "", "") == (ran.code, ran.out.strip(), ran.err)


def test_version(qdns: Qdns) -> None:
    """Both forms say which version this is."""
    assert qdns("version").out.startswith("quorumdns ")
    assert {"version", "python"} == set(json.loads(qdns("version", "--json").out))


def test_a_closed_pipe_is_no_error(serve: Serve) -> None:
    """``qdns records | head -1`` ends quietly."""
    node = serve("degraded")
    script = f"import sys; from node.cli.main import main; sys.exit(main(['records', '--api', {node.url!r}]))"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"" == process.stderr.read()
        assert 0 == process.wait(30)
