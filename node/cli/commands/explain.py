"""``qdns explain``: why a name is answered as it is."""

import click

from node.cli.changes import Json
from node.cli.completing import complete_services
from node.cli.faults import usage
from node.cli.group import Command
from node.cli.options import LogIndex, client_options
from node.cli.output import Printer
from node.cli.session import Session


@click.command(
    cls=Command,
    example="qdns explain www.example.org AAAA\nqdns explain www.example.org/192.0.2.11 --at 48190",
)
@click.argument("name", metavar="NAME[/ENDPOINT]", shell_complete=complete_services)
@click.argument("type_", metavar="[TYPE]", required=False)
@click.option("--at", type=LogIndex(), metavar="INDEX", help="As it was after this log index.")
@client_options
@click.pass_obj
def explain(session: Session, name: str, type_: str | None, at: int | None) -> None:
    """Say why a name is answered as it is, or not: votes, rules, overrides, aliases, leases, pushes.

    With --at it is as it was then, as far back as the nodes hold events: qdns event list shows their indexes.
    """
    fqdn, _, address = name.partition("/")
    wanted = type_ or ("AAAA" if ":" in address else "A")
    then = {} if at is None else {"at": str(at)}
    found = session.client.get("/v1/explain", name=fqdn, type=wanted.upper(), **then)
    if address:
        kept = [each for each in found["endpoints"] if each["address"] == address.lower()]
        if not kept:
            known = ", ".join(each["address"] for each in found["endpoints"]) or "none"
            raise usage(f"{fqdn} has no endpoint {address} of type {wanted}; it has {known}")
        found["endpoints"] = kept
    if session.out.is_for_people:
        show(found, session.out)
    else:
        session.out.document(found)


def show(found: Json, out: Printer) -> None:
    """Write an explanation for people."""
    head, *rest = found["lines"]
    out.heading(f"{head['text']}   ({found['node']}, index {found['index']})")
    for record in found["records"]:
        out.line(f"  {record}")
    before = [each for each in rest if each["depth"]]
    _write(before, out)
    for endpoint in found["endpoints"]:
        out.line()
        _write(endpoint["lines"], out)
    after = [each for each in rest if not each["depth"]]
    if after:
        out.line()
        _write(after, out)


def _write(lines: list[Json], out: Printer) -> None:
    for each in lines:
        out.line("  " * each["depth"] + each["text"])
