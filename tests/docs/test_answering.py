"""The examples of docs/answering.md are taken as they are written."""

import re
import tomllib
from pathlib import Path

from node.cli.commands.run import run
from tests.config.helpers import accepted

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "answering.md").read_text()


def test_the_options_are_those_of_the_program() -> None:
    """The key is one of [dns], the flag one of ``qdns run``."""
    (example,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert "auto" == tomllib.loads(example)["dns"]["answerers"]
    assert accepted(example).dns.answerers is None
    (command,) = re.findall(r"^qdns run .*$", TEXT, re.MULTILINE)
    words = set(command.split()) & {word for option in run.params for word in option.opts}
    assert {"-c", "--takeover"} == words


def test_a_restart_under_systemd_leaves_the_answerers() -> None:
    """The signals are those that the node knows."""
    (unit,) = re.findall(r"```ini\n(.*?)```", TEXT, re.DOTALL)
    settings = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line)
    assert ("process", "SIGTERM", "SIGUSR1") == (
        settings["KillMode"],
        settings["KillSignal"],
        settings["RestartKillSignal"],
    )
