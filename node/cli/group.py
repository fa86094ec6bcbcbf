"""Commands as click sees them: loaded when they are used, misspelt ones explained, one help layout."""

import difflib
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from node.cli.faults import Failure, usage
from node.cli.options import CommonOption

Places = Mapping[str, tuple[str, str]]
"""Command name -> (``module:attribute``, one line of help)."""


class Command(click.Command):
    """A command whose help lists its own options first, then the common ones, then an example."""

    def __init__(self, *args: Any, example: str = "", **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.example = example

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in two lists."""
        write_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example."""
        super().format_epilog(ctx, formatter)
        write_example(self.example, formatter)


def write_options(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Write a command's own options and then the common ones."""
    own: list[tuple[str, str]] = []
    common: list[tuple[str, str]] = []
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
        if record is not None:
            (common if isinstance(param, CommonOption) else own).append(record)
    for title, records in (("Options", own), ("Common options", common)):
        if records:
            with formatter.section(title):
                formatter.write_dl(records)


def write_example(example: str, formatter: click.HelpFormatter) -> None:
    """Write an example as it would be typed."""
    if example:
        formatter.write_paragraph()
        formatter.write("Example:\n" + "".join(f"  {line}\n" for line in example.split("\n")))


class Group(click.Group):
    """Commands by name; the modules of those that are not used stay unread."""

    command_class = Command

    def __init__(
        self,
        *args: Any,
        places: Places | None = None,
        aliases: Mapping[str, str] | None = None,
        example: str = "",
        **attributes: Any,
    ) -> None:
        super().__init__(*args, **attributes)
        self.places = places or {}
        self.aliases = aliases or {}
        self.example = example

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names in the order in which they were written down."""
        return [*self.places, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing its module now."""
        if cmd_name not in self.places:
            return super().get_command(ctx, self.aliases.get(cmd_name, cmd_name))
        module, _, attribute = self.places[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names of commands without importing their modules."""
        places, self.places = self.places, {}
        try:
            found = super().shell_complete(ctx, incomplete)
        finally:
            self.places = places
        items = [
            CompletionItem(name, help=help_)
            for name, (_, help_) in places.items()
            if help_ and name.startswith(incomplete)
        ]
        return items + found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first word names. Raises ``Failure`` with what may have been meant."""
        known = [*self.list_commands(ctx), *self.aliases]
        if args[0] not in known and not ctx.resilient_parsing and not args[0].startswith("-"):
            raise _no_command(ctx, args[0], known)
        return super().resolve_command(ctx, args)

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with one line each."""
        rows = [(name, help_) for name, (_, help_) in self.places.items() if help_]
        width = formatter.width - 6 - max((len(name) for name in (*self.places, *self.commands)), default=0)
        rows += [
            (name, command.get_short_help_str(width))
            for name, command in self.commands.items()
            if not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the options in two lists."""
        self.format_commands(ctx, formatter)
        write_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example."""
        super().format_epilog(ctx, formatter)
        write_example(self.example, formatter)


def _no_command(ctx: click.Context, word: str, known: Sequence[str]) -> Failure:
    of = ctx.command_path.partition(" ")[2]
    close = difflib.get_close_matches(word, known, n=1)
    message = f'no command "{word}"{f" of {of}" if of else ""}'
    if close:
        return usage(f'{message}. Did you mean "{close[0]}"?')
    return usage(message, f"{ctx.command_path} --help")
