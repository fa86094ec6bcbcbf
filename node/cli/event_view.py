"""One entry of the log as text: from the API's row to lines. Pure."""

from node.cli.changes import Json
from node.cli.output import Column, Printer
from node.cli.times import clock


def show(entry: Json, out: Printer) -> None:
    """Write an entry for people: who and why, its events, then each service and zone before and after."""
    out.heading("   ".join(_head(entry)))
    out.table(entry["events"], _columns())
    for service in entry["services"]:
        out.line()
        for line in service["lines"]:
            out.line("  " * line["depth"] + line["text"])
    for zone in entry["records"]:
        out.line()
        out.line(f"{zone['zone']}   serial {zone['serial_from']} -> {zone['serial_to']}")
        for sign, texts in (("-", zone["removed"]), ("+", zone["added"])):
            for text in texts:
                out.line(f"  {sign} {text}")
        if zone["more"]:
            out.line(f"  and {zone['more']} more records")
    for note in entry["notes"]:
        out.line()
        out.line(f"note: {note}")


def _head(entry: Json) -> list[str]:
    parts = [f"index {entry['index']}", clock(entry["at"])]
    parts += [f"by {entry['actor']}"] if entry["actor"] else []
    parts += [f'"{entry["reason"]}"'] if entry["reason"] else []
    return [*parts, f"({entry['node']})"]


def _columns() -> tuple[Column, ...]:
    return (
        Column("KIND", lambda row: row["kind"]),
        Column("SUBJECT", lambda row: row["subject"]),
        Column("TEXT", lambda row: row["text"], flexible=True),
    )
