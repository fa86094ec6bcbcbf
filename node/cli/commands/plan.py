"""``qdns plan`` and ``qdns apply``: what a file says against what the cluster holds, and that made so."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli.changes import Json
from node.cli.faults import ExitCode, Failure, usage
from node.cli.group import Command
from node.cli.loading import load_config
from node.cli.options import client_options, reason_option, yes_option
from node.cli.session import Session
from node.cli.times import grouped

if TYPE_CHECKING:
    from node.config import Config

_SIGNS = {"added": "+", "removed": "-", "changed": "~", "left": "!"}
_FILE = click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The file; else the configuration found.",
)
_PRUNE = click.option(
    "--prune", is_flag=True, help="Zones, services and push targets that the file does not name go."
)


@click.command(cls=Command, example="qdns plan -f cluster.toml")
@_FILE
@_PRUNE
@client_options
@click.pass_obj
def plan(session: Session, file: Path | None, prune: bool) -> int:
    """Show what qdns apply would change. Exit 12 when there is anything.

    A zone that has records in the file has these alone, but for what services publish, what is leased and answers to
    ACME challenges. What the file does not name at all is left alone.
    """
    config = _load(session, file)
    found = _planned(session, config, prune=prune)
    _show(session, config, found)
    if not _has_changes(found):
        return ExitCode.DONE
    if session.out.is_for_people:
        session.out.line(f"{_summary(found)}.  Apply with: qdns apply{' --prune' if prune else ''}")
    return ExitCode.DIFFERENT


@click.command(cls=Command, example="qdns apply -f cluster.toml --reason 'two more web servers'")
@_FILE
@_PRUNE
@yes_option
@reason_option
@client_options
@click.pass_obj
def apply(session: Session, file: Path | None, prune: bool, yes: bool, reason: str) -> None:
    """Make the cluster hold what the file says: zones, services, push targets, all in one entry of the log.

    What differs is shown first. If anything goes, a person is asked, or --yes is needed.
    """
    config = _load(session, file)
    found = _planned(session, config, prune=prune)
    if session.out.is_for_people:
        _show(session, config, found)
    if not _has_changes(found):
        if not session.out.is_for_people:
            session.out.document(found | {"changed": False})
        return
    _require_consent(found, yes=yes)
    reply = session.client.write(
        "POST", "/v1/apply", _body(config, prune=prune, agreed=found["plan"]), reason=reason
    )
    if session.out.is_for_people:
        session.out.line(f"{_summary(found)}: applied in one entry, index {reply['index']}")
    else:
        session.out.document(found | reply)


def _load(session: Session, file: Path | None) -> "Config":
    return load_config(file or session.settings.config, session.environ, None, needs_node=False)


def _planned(session: Session, config: "Config", *, prune: bool) -> Json:
    """Ask a node for the plan. Raises ``Failure``; a lost answer is no doubt, as nothing is changed."""
    try:
        value = session.client.request("POST", "/v1/plan", body=_body(config, prune=prune)).value
    except Failure as failure:
        if failure.code is not ExitCode.UNKNOWN:
            raise
        raise Failure("no node answered with a plan", ExitCode.UNREACHABLE, hint="run it again") from None
    return dict(value)


def _body(config: "Config", *, prune: bool, agreed: str = "") -> Json:
    from node.state.desired import Desired, encode

    desired = Desired(config.zones, config.services, config.targets)
    body: Json = json.loads(encode(desired, prune=prune, plan=agreed))
    return body


def _has_changes(found: Json) -> bool:
    return any(found["counts"][change] for change in ("added", "changed", "removed"))


def _show(session: Session, config: "Config", found: Json) -> None:
    out = session.out
    if not out.is_for_people:
        out.document(found)
        return
    out.line(f"{config.path} vs. the cluster at index {found['index']}")
    for each in found["changes"]:
        out.line(_line(each))
    if not _has_changes(found):
        out.line("the cluster holds what the file says; nothing to do")


def _line(each: Json) -> str:
    what = f"{each['kind']} {each['what']}"
    if each["change"] != "left":
        return f"  {_SIGNS[each['change']]} {what}   {each['text']}".rstrip()
    origin = f" ({each['text']})" if each["text"] else ""
    return f"  ! {what} is in the cluster, not in the file{origin}. Left alone; --prune deletes it"


def _summary(found: Json) -> str:
    counts = found["counts"]
    words = (("changed", "change"), ("added", "add"), ("removed", "delete"))
    return ", ".join(f"{grouped(counts[key])} to {word}" for key, word in words if counts[key])


def _require_consent(found: Json, *, yes: bool) -> None:
    """Ask before anything goes. Raises ``Failure``."""
    removed = found["counts"]["removed"]
    if yes or not removed:
        return
    if not sys.stdin.isatty():
        raise usage(f"nothing was changed: {removed} would be deleted, and there is nobody to ask", "add --yes")
    if not click.confirm(f"{_summary(found)}. Apply?", err=True):
        raise usage("nothing was changed")
