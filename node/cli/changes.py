"""What all commands that change something have in common: how they ask, and how they report."""

import sys
from typing import Any

import click

from node.cli.faults import Failure, usage
from node.cli.output import Printer

Json = dict[str, Any]


def tail(reply: Json) -> str:
    """Write where a change stands: ``serial 2026112208   index 48240``."""
    parts = []
    if reply.get("serial") is not None:
        parts.append(f"serial {reply['serial']}")
    if reply.get("index") is not None:
        parts.append(f"index {reply['index']}")
    return "   ".join(parts)


def report(out: Printer, verb: str, what: str, reply: Json, *, note: str = "") -> None:
    """Say what a write came to, or print the reply itself where a program asked."""
    if not out.is_for_people:
        out.document(reply)
        return
    word = verb if reply.get("changed", True) else "unchanged"
    out.line("   ".join(part for part in (f"{word}  {what}", note, tail(reply)) if part))


def confirm(kind: str, name: str, *, yes: bool) -> None:
    """Ask for the name of what is about to go; without a terminal ``--yes`` is needed. Raises ``Failure``."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise usage(f"{kind} {name} was not deleted: nobody to ask", "add --yes")
    typed = click.prompt(f"Type {name} to delete this {kind}", err=True, default="", show_default=False)
    if typed.strip().rstrip(".").lower() != name.rstrip(".").lower():
        raise usage(f"{kind} {name} was not deleted: that was not its name")


def confirm_word(what: str, name: str, *, yes: bool) -> None:
    """Ask for a name before something that cannot be undone; without a terminal ``--yes`` is needed. Raises ``Failure``."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise usage("nothing was changed: nobody to ask", "add --yes")
    typed = click.prompt(f"Type {name} to {what} {name}", err=True, default="", show_default=False)
    if typed.strip() != name:
        raise usage("nothing was changed: that was not its name")


def already(failure: Failure, message: str, hint: str) -> Failure:
    """Return the failure of a creation that found the thing there already."""
    return Failure(message, failure.code, hint=hint)
