"""Print the manual page qdns(1), made of the commands themselves.

python scripts/make_man.py | man -l -
"""

import inspect
import re

import click

from node.cli.faults import ExitCode
from node.cli.main import cli
from node.version import version

FILES = (
    ("./cluster.toml, /etc/quorumdns/cluster.toml", "The configuration; the first that is there."),
    ("/var/lib/quorumdns", "The log and its snapshots, in the packages."),
)
ENVIRONMENT = (
    ("CONF", "The configuration's path; .json is read as rrdnsd's."),
    ("LOCAL_NODE", "Which node of the configuration runs here."),
    ("QDNS_API", "Nodes to ask: URLs, or unix:PATH."),
    ("QDNS_CA", "The authorities that the certificates of these nodes are checked by."),
    ("QDNS_TOKEN, QDNS_TOKEN_FILE", "The API token, or the file that holds it."),
    ("QDNS_OUTPUT", "The usual output format."),
    ("NO_COLOR", "Write without colour."),
)


def main() -> None:
    """Print the page."""
    print("\n".join(page()))


def page() -> list[str]:
    """Return the page's lines."""
    context = click.Context(cli, info_name="qdns")
    lines = [
        f'.TH QDNS 1 "" "quorumdns {escaped(version())}" "User Commands"',
        ".SH NAME",
        "qdns \\- run and operate replicated authoritative DNS nodes",
        ".SH SYNOPSIS",
        ".B qdns",
        ".I COMMAND ...",
        ".SH DESCRIPTION",
        escaped((cli.help or "").strip()),
        ".SH COMMANDS",
    ]
    for name, command in commands(cli, context):
        lines += described(name, command)
    lines += [".SH EXIT STATUS", *terms((str(int(each)), sentence_of(each)) for each in ExitCode)]
    lines += [".SH ENVIRONMENT", *terms(ENVIRONMENT)]
    lines += [".SH FILES", *terms(FILES)]
    return lines


def commands(
    group: click.Group, context: click.Context, before: str = "qdns"
) -> list[tuple[str, click.Command]]:
    """Return every command that does something by itself, under its whole name."""
    found: list[tuple[str, click.Command]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden or (before == "qdns" and name.endswith("s") and name != "status"):
            continue  # the plural is a short name of another one
        whole = f"{before} {name}"
        if isinstance(command, click.Group):
            found += commands(command, context, whole)
        else:
            found.append((whole, command))
    return found


def described(name: str, command: click.Command) -> list[str]:
    """Return a command's part of the page."""
    context = click.Context(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f".SS {escaped(name)} {escaped(usage)}"]
    lines += [escaped(each) for each in inspect.cleandoc(command.help or "").split("\n")]
    for param in command.get_params(context):
        record = param.get_help_record(context) if isinstance(param, click.Option) else None
        if record is not None and type(param) is click.Option and "--help" not in record[0]:
            lines += terms([record])
    return lines


def terms(pairs: object) -> list[str]:
    """Return words with what they mean."""
    lines = []
    for word, meaning in pairs:  # type: ignore[attr-defined]
        lines += [".TP", f".B {escaped(word)}", escaped(meaning)]
    return lines


def sentence_of(code: ExitCode) -> str:
    """Return an exit code's name as words."""
    return code.name.replace("_", " ").lower()


def escaped(text: str) -> str:
    """Write text so that roff takes nothing of it for a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text)


if __name__ == "__main__":
    main()
