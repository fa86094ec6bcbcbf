"""Every command of the documents is one that there is, with the options that it has; every configuration is TOML of ours."""

from pathlib import Path

import click
import pytest
import tomli

from node.cli.faults import Failure
from node.cli.main import cli
from node.cli.session import Session
from node.config.schema import Root
from tests.docs.commands import PAGES, blocks, qdns_lines, words_of


def understood(words: list[str]) -> str:
    """Return what is wrong with a command line, empty when it can be read; nothing is run."""
    group, context = cli, click.Context(cli, info_name="qdns", obj=Session())
    while words and isinstance(group, click.Group):
        if words[0].startswith("-") or words[0].isupper() or words[0] in ("...", "…"):
            return ""  # the group itself is meant
        try:
            _, command, words = group.resolve_command(context, words)
        except (Failure, click.UsageError) as error:
            return str(error)
        assert command is not None
        group, context = command, click.Context(command, parent=context, info_name=command.name)
    known = {option for param in group.params for option in (*param.opts, *param.secondary_opts)}
    common = {option for param in cli.params for option in param.opts} | {"-h", "--help"}
    asked = {word.partition("=")[0] for word in words if word.startswith("--") and len(word) > 2}
    unknown = sorted(asked - known - common)
    return f"{context.command_path} has no option {', '.join(unknown)}" if unknown else ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_commands(page: Path) -> None:
    """Whoever types what stands there is understood."""
    found = {line: understood(words_of(line)) for line in qdns_lines(page)}
    assert {} == {line: problem for line, problem in found.items() if problem}


def test_the_check_sees_faults() -> None:
    """A command or an option that there is not would be told."""
    assert "statu" in understood(["statu"])
    assert "no option --fast" in understood(["record", "set", "a", "A", "1", "--fast"])
    assert "" == understood(["record", "set", "a", "A", "1", "--ttl", "60"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_configurations(page: Path) -> None:
    """What is shown as a part of cluster.toml is TOML, and its tables are known."""
    known = {field.alias or name for name, field in Root.model_fields.items()}
    for text in blocks(page, "toml"):
        assert set(tomli.loads(text)) <= known, text
