"""``qdns service whatif``: which withdrawals would have come or gone under other settings."""

import click

from node.cli.addresses import segment
from node.cli.changes import Json
from node.cli.completing import complete_services
from node.cli.group import Command
from node.cli.options import Duration, client_options
from node.cli.output import Column, Printer
from node.cli.session import Session
from node.cli.steadiness import steadiness
from node.cli.times import age_s, clock, parse, short_span
from node.counted import counted

_WORDS = {"same": "the same", "gone": "would not have come", "new": "would have come"}


@click.command(
    "whatif", cls=Command, example="qdns service whatif www.example.org --fall 2 --rule any --since 1h"
)
@click.argument("fqdn", shell_complete=complete_services)
@click.option("--since", type=Duration(), default="1h", metavar="TIME", help="How far to look back (1h).")
@click.option("--rise", type=int, metavar="N", help="Good probes in a row before a node votes up.")
@click.option("--fall", type=int, metavar="N", help="Bad probes in a row before a node votes down.")
@click.option("--recheck", type=Duration(), metavar="TIME", help="Between probes after a first surprise.")
@click.option("--rule", metavar="RULE", help="majority, any, all, regions, a number of nodes, or 40%.")
@click.option("--fail-open", type=click.IntRange(0, 100), metavar="PERCENT", help="More down keeps all.")
@click.option(
    "--mode", type=click.Choice(("active-active", "active-standby")), help="All, or the best priority."
)
@click.option("--min-up", type=int, metavar="N", help="With fewer up than this all are kept.")
@click.option("--max-answers", type=int, metavar="N", help="At most so many in DNS at a time.")
@click.option("--flap-limit", metavar="N/TIME/TIME", help="6/10m/5m: so many changes, then out until steady.")
@click.option("--failback", metavar="WHEN", help="auto, manual, or after 10m.")
@click.option("--separate-families", is_flag=True, default=None, help="Judge A and AAAA separately.")
@client_options
@click.pass_obj
def whatif(session: Session, /, fqdn: str, since: float, **options: object) -> None:
    """Play the votes of the past under other settings, and compare what was out of DNS. Nothing is changed."""
    body: Json = {"since_s": since} | steadiness(options.pop("flap_limit"), options.pop("failback"))
    for option, value in options.items():
        if value is None:
            continue
        if option == "recheck":
            body["recheck_ms"] = round(float(str(value)) * 1000)
        else:
            body["fail_open_percent" if option == "fail_open" else option] = value
    reply = session.client.write("POST", f"/v1/services/{segment(fqdn)}/whatif", body)
    if not session.out.is_for_people:
        session.out.document(reply)
        return
    show(reply, session.out)


def show(reply: Json, out: Printer) -> None:
    """Write the comparison for people."""
    age = age_s(reply["begins_at"])
    back = f" ({short_span(age)})" if age is not None else ""
    out.heading(
        f"{reply['service']}   since {clock(reply['begins_at'])}{back}   {counted(reply['votes'], 'vote')}   "
        f"{counted(reply['withdrawals'], 'withdrawal')}, would be {reply['would_be']}"
    )
    if reply["rows"]:
        out.table(reply["rows"], columns())
    for note in reply["notes"]:
        out.line(f"note: {note}")


def columns() -> tuple[Column, ...]:
    """Return the columns: one row for each absence of an endpoint."""
    return (
        Column("ENDPOINT", lambda row: row["endpoint"]),
        Column("IT", lambda row: _WORDS[row["change"]]),
        Column("OUT", lambda row: _span(row["present"])),
        Column("WOULD BE OUT", lambda row: _span(row["other"])),
        Column("WHY", lambda row: (row["present"] or row["other"])["reason"]),
    )


def _span(absence: Json | None) -> str:
    if absence is None:
        return "-"
    begun = clock(absence["out_at"])
    if not absence["back_at"]:
        return f"{begun} still"
    seconds = (parse(absence["back_at"]) - parse(absence["out_at"])).total_seconds()
    return f"{begun} for {short_span(seconds)}"
