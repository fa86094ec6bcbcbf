"""``qdns service edit``: a service's definition in the user's editor, written if nobody else changed it."""

import sys
from dataclasses import dataclass

import click

from node.cli.addresses import segment
from node.cli.changes import Json, report
from node.cli.completing import complete_services
from node.cli.editing import BadText, Draft, commented, editor_of, is_same, read_text, write_text
from node.cli.faults import ExitCode, Failure, usage
from node.cli.group import Command
from node.cli.options import client_options, reason_option
from node.cli.session import Session

KEYS = (
    *("zone", "check", "endpoints", "ttl", "interval_ms", "timeout_ms", "recheck_ms", "rise", "fall"),
    *("fail_open_percent", "mode", "rule", "when_down", "fallback", "min_up", "max_answers"),
    *("flap_limit", "failback", "failback_after_ms", "ttl_min", "separate_families", "selection"),
)
"""What ``PUT /v1/services/NAME`` takes, of all that a service shows."""
ENDPOINT_KEYS = ("address", "name", "priority", "weight", "probe_from", "probe_address", "site", "tags")


@click.command("edit", cls=Command, example="EDITOR=nano qdns service edit www.example.org")
@click.argument("fqdn", shell_complete=complete_services)
@reason_option
@client_options
@click.pass_obj
def edit(session: Session, fqdn: str, reason: str) -> None:
    """Edit a service's definition as text, in VISUAL or EDITOR.

    It is written when you save it, unless somebody else changed the service meanwhile. Nothing is sent when
    nothing was changed. What cannot be written is shown again with what is wrong with it, on a terminal;
    the text is kept otherwise.
    """
    is_terminal = sys.stdin.isatty()
    editor = editor_of(session.environ, is_terminal=is_terminal)
    path = f"/v1/services/{segment(fqdn)}"
    row = session.client.get(path)
    edited = _Edited(session, path, row, reason)
    draft = Draft(write_text(edited.before, edited.comments()))
    try:
        reply = _edit(draft, editor, edited, is_terminal=is_terminal)
    except Failure as failure:
        raise _kept(failure, draft) from None
    draft.remove()
    if reply is None:
        reply = {"index": row["index"], "serial": None, "changed": False}
    report(session.out, "set", f"service {row['fqdn']}", reply)


@dataclass
class _Edited:
    """The service that is edited: what it was, and where it is written to."""

    session: Session
    path: str
    row: Json
    reason: str

    @property
    def before(self) -> Json:
        return definition(self.row)

    def comments(self, errors: tuple[str, ...] = ()) -> list[str]:
        """Return the lines above the text."""
        about = [
            f"Service {self.row['fqdn']} as of index {self.row['index']}. Lines that begin with # are left out;",
            "saved as it is, or without any other line, nothing is changed.",
        ]
        return [*(f"ERROR {each}" for each in errors), *([""] if errors else []), *about]

    def write(self, value: Json) -> Json:
        return self.session.client.write(
            "PUT", self.path, value, reason=self.reason, unchanged_since=self.row["index"]
        )


def definition(row: Json) -> Json:
    """Return what of a service's row is its definition, as the API takes it."""
    value = {key: row[key] for key in KEYS if key in row}
    value["endpoints"] = [
        {key: each[key] for key in ENDPOINT_KEYS if key in each} for each in value["endpoints"]
    ]
    return value


def _edit(draft: Draft, editor: list[str], edited: _Edited, *, is_terminal: bool) -> Json | None:
    """Return what the write came to, None when there was nothing to write. Raises ``Failure``."""
    shown, failure = "", None
    while True:
        text = draft.edit(editor)
        if failure is not None and text == shown:
            raise failure
        try:
            value = read_text(text)
            if value is None or is_same(value, edited.before):
                return None
            return edited.write(value)
        except BadText as error:
            failure = usage(f"{error}; nothing was changed")
        except Failure as refused:
            if refused.code is not ExitCode.USAGE:
                raise
            failure = refused
        if not is_terminal:
            raise failure
        shown = commented(text, edited.comments(failure.facts or (failure.message,)))
        draft.write(shown)


def _kept(failure: Failure, draft: Draft) -> Failure:
    """Return the failure with where the text is, if anything was done to it, and what to do after a conflict."""
    if draft.is_untouched():
        draft.remove()
        return failure
    hint = failure.hint
    if failure.code is ExitCode.CONFLICT:
        hint = "run it again: it begins with what the service is now"
    return Failure(
        failure.message, failure.code, facts=(*failure.facts, f"the text is kept in {draft.path}"), hint=hint
    )
