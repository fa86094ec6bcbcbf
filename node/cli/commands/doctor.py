"""``qdns doctor``: looks from this machine at all that a cluster needs, and says what to do."""

from collections.abc import Iterator

import click

from node.cli.examinations import EXAMINATIONS, Finding, Json, Patient, examine_configuration
from node.cli.faults import ExitCode, Failure
from node.cli.group import Command
from node.cli.options import client_options
from node.cli.output import Column
from node.cli.session import Session

_SIGNS = {"ok": "● ok", "warning": "! look", "critical": "✕ bad", "skipped": "- skipped"}
COLUMNS = (
    Column("SUBJECT", lambda row: row["subject"]),
    Column("RESULT", lambda row: _SIGNS[row["verdict"]], raw=lambda row: row["verdict"]),
    Column("WHAT", lambda row: row["text"], flexible=True),
    Column("NEXT", lambda row: row["hint"] or "-"),
)


@click.command(cls=Command, example="qdns doctor -c /etc/quorumdns/cluster.toml")
@client_options
@click.pass_obj
def doctor(session: Session) -> int:
    """Look at the configuration, this machine, every node, DNS, zones, delegations and push targets.

    Exit 10 when something needs a person, 11 when something does not work.
    """
    rows = [
        {"subject": each.subject, "verdict": each.verdict, "text": each.text, "hint": each.hint}
        for each in examined(session)
    ]
    session.out.rows(rows, COLUMNS, lambda row: str(row["subject"]))
    verdicts = {row["verdict"] for row in rows}
    if session.out.is_for_people:
        session.out.line()
        session.out.line(_summary(rows))
    if "critical" in verdicts:
        return ExitCode.CRITICAL
    return ExitCode.DEGRADED if "warning" in verdicts else ExitCode.DONE


def examined(session: Session) -> Iterator[Finding]:
    """Yield all findings; a cluster that does not answer is one of them."""
    config, found = examine_configuration(session)
    yield from found
    status: Json | None = None
    try:
        status = session.client.get("/v1/status")
    except Failure as failure:
        facts = f" ({'; '.join(failure.facts)})" if failure.facts else ""
        yield Finding("cluster", "critical", f"{failure.message}{facts}", failure.hint)
    patient = Patient(session, config, status)
    for examine in EXAMINATIONS:
        yield from examine(patient)


def _summary(rows: list[dict[str, str]]) -> str:
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in _SIGNS}
    parts = [f"{counts['ok']} ok"]
    parts += [
        f"{counts[key]} {word}"
        for key, word in (("warning", "to look at"), ("critical", "bad"), ("skipped", "skipped"))
        if counts[key]
    ]
    return ", ".join(parts)
