"""``qdns version`` and ``qdns completion``."""

import click
from click.shell_completion import get_completion_class

from node.cli.group import Command
from node.cli.options import output_options
from node.cli.session import Session

_SHELLS = ("bash", "zsh", "fish")


@click.command(cls=Command, example="qdns version")
@output_options
@click.pass_obj
def version(session: Session) -> None:
    """Print which version this is."""
    import platform

    from node.version import version as own_version

    if session.out.is_for_people:
        session.out.line(f"quorumdns {own_version()}")
        return
    session.out.document({"version": own_version(), "python": platform.python_version()})


@click.command(cls=Command, example='eval "$(qdns completion bash)"')
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands, options and names.

    Names of zones, services and targets come from the running API, and from nowhere when it is silent.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    print(kind(ctx.find_root().command, {}, "qdns", "_QDNS_COMPLETE").source())
