"""``qdns zone``: the zones of the cluster."""

import click

from node.cli.addresses import segment
from node.cli.changes import Json, already, confirm, report
from node.cli.commands.zone_file import check_zone, diff_zone, export_zone, import_zone
from node.cli.completing import complete_zones
from node.cli.faults import ExitCode, Failure
from node.cli.group import Group
from node.cli.listing import show_list
from node.cli.options import Duration, client_options, reason_option, yes_option
from node.cli.output import Column
from node.cli.session import Session
from node.counted import counted

_CREATE = "qdns zone create example.org --ns ns1.example.org --ns ns2.example.org"

COLUMNS = (
    Column("ZONE", lambda row: row["zone"] or "."),
    Column("SERIAL", lambda row: row["serial"], right=True),
    Column("RRSETS", lambda row: row["rrsets"], right=True),
    Column("NAMESERVERS", lambda row: " ".join(row.get("nameservers") or ()) or "-"),
    Column("CONTACT", lambda row: row.get("contact") or "-", wide=True),
    Column("TTL", lambda row: row.get("default_ttl") or "-", right=True, wide=True),
)


@click.group(cls=Group, aliases={"rm": "delete"}, example=_CREATE)
def zone() -> None:
    """Zones: list, show, create, delete, import, export, check, diff."""


@zone.command("list", example="qdns zones")
@client_options
@click.pass_obj
def list_zones(session: Session) -> None:
    """List the zones with their serials."""
    show_list(session, "/v1/zones", COLUMNS, "zone")


@zone.command("show", example="qdns zone show example.org")
@click.argument("name", metavar="ZONE", shell_complete=complete_zones)
@client_options
@click.pass_obj
def show_zone(session: Session, name: str) -> None:
    """Show a zone's settings; its records lists qdns record list ZONE."""
    row = session.client.get(_path(name))
    if not session.out.is_for_people:
        session.out.document(row)
        return
    session.out.heading(f"{row['zone']}   serial {row['serial']}   {counted(row['rrsets'], 'RRset')}")
    times = (f"{key} {row[f'{key}_s']} s" for key in ("refresh", "retry", "expire") if f"{key}_s" in row)
    session.out.fields(
        (
            ("nameservers", " ".join(row.get("nameservers") or ()) or None),
            ("contact", row.get("contact")),
            ("default ttl", _seconds(row.get("default_ttl"))),
            ("negative ttl", _seconds(row.get("negative_ttl"))),
            ("secondaries", "   ".join(times) or None),
            ("serials", None if row.get("serial_policy", "increment") == "increment" else row["serial_policy"]),
        )
    )


def _seconds(value: int | None) -> str | None:
    return None if value is None else f"{value} s"


@zone.command("create", example=_CREATE)
@click.argument("name", metavar="ZONE")
@click.option(
    "--ns", "nameservers", multiple=True, required=True, metavar="NAME", help="A name server; may be repeated."
)
@click.option("--contact", metavar="MAILBOX", help="Who is responsible (hostmaster@ZONE).")
@click.option("--default-ttl", type=Duration(), metavar="TIME", help="Of records that say nothing else (5s).")
@click.option(
    "--negative-ttl",
    type=Duration(),
    metavar="TIME",
    help="How long resolvers keep that something is not there (60s).",
)
@click.option(
    "--serial-policy",
    type=click.Choice(["increment", "unixtime", "date", "keep"]),
    help="How serials are chosen (increment).",
)
@reason_option
@client_options
@click.pass_obj
def create_zone(
    session: Session,
    name: str,
    nameservers: tuple[str, ...],
    contact: str | None,
    default_ttl: float | None,
    negative_ttl: float | None,
    serial_policy: str | None,
    reason: str,
) -> None:
    """Create a zone: its SOA and NS records follow from what is said here."""
    body: Json = {"nameservers": list(nameservers)}
    body |= {"contact": contact} if contact else {}
    body |= {"serial_policy": serial_policy} if serial_policy else {}
    ttls = (("default_ttl", default_ttl), ("negative_ttl", negative_ttl))
    body |= {key: int(value) for key, value in ttls if value is not None}
    try:
        reply = session.client.write("PUT", _path(name), body, reason=reason, is_new=True)
    except Failure as failure:
        if failure.code is not ExitCode.CONFLICT or session.client.find(_path(name)) is None:
            raise
        message = f"the zone {name} exists already; nothing was changed"
        raise already(failure, message, f"qdns zone show {name}") from None
    report(session.out, "created", f"zone {name}", reply)


@zone.command("delete", example="qdns zone delete example.org --yes")
@click.argument("name", metavar="ZONE", shell_complete=complete_zones)
@yes_option
@reason_option
@client_options
@click.pass_obj
def delete_zone(session: Session, name: str, yes: bool, reason: str) -> None:
    """Delete a zone with all its records."""
    confirm("zone", name, yes=yes)
    reply = session.client.write("DELETE", _path(name), reason=reason)
    report(session.out, "deleted", f"zone {name} and all its records", reply)


for command in (import_zone, export_zone, check_zone, diff_zone):
    zone.add_command(command)


def _path(name: str) -> str:
    return f"/v1/zones/{segment(name)}"
