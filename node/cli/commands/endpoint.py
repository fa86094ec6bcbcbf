"""``qdns endpoint``: the addresses behind a service."""

import click

from node.cli import service_view
from node.cli.addresses import segment
from node.cli.changes import Json, report
from node.cli.completing import complete_services
from node.cli.group import Group
from node.cli.options import client_options, reason_option
from node.cli.session import Session

_ADD = "qdns endpoint add www.example.org 192.0.2.12"


@click.group(cls=Group, aliases={"rm": "remove"}, example=_ADD)
def endpoint() -> None:
    """Endpoints of services: list, add, remove."""


@endpoint.command("list", example="qdns endpoint list www.example.org")
@click.argument("fqdn", required=False, shell_complete=complete_services)
@client_options
@click.pass_obj
def list_endpoints(session: Session, fqdn: str | None) -> None:
    """List the endpoints of a service, or of all services."""
    client = session.client
    services = [client.get(f"/v1/services/{segment(fqdn)}")] if fqdn else list(client.items("/v1/services"))
    rows = [{"service": each["fqdn"], **row} for each in services for row in each["endpoints"]]
    session.out.rows(rows, service_view.listed_columns(), lambda row: f"{row['service']}/{row['address']}")


@endpoint.command("add", example=_ADD)
@click.argument("fqdn", shell_complete=complete_services)
@click.argument("address")
@click.option("--name", metavar="TEXT", help="A name for people.")
@click.option("--priority", type=int, metavar="N", help="1 is best; counts in active-standby.")
@click.option("--weight", type=int, metavar="N", help="Share of the answers it comes first in.")
@reason_option
@client_options
@click.pass_obj
def add_endpoint(
    session: Session, /, fqdn: str, address: str, reason: str, **options: str | int | None
) -> None:
    """Add an endpoint, or change one. It is in DNS until a majority says down."""
    body: Json | None = {key: value for key, value in options.items() if value is not None} or None
    reply = session.client.write("PUT", _path(fqdn, address), body, reason=reason)
    report(session.out, "added", f"{fqdn} {address}", reply)


@endpoint.command("remove", example="qdns endpoint remove www.example.org 192.0.2.12")
@click.argument("fqdn", shell_complete=complete_services)
@click.argument("address")
@reason_option
@client_options
@click.pass_obj
def remove_endpoint(session: Session, fqdn: str, address: str, reason: str) -> None:
    """Remove an endpoint from its service and from DNS."""
    reply = session.client.write("DELETE", _path(fqdn, address), reason=reason)
    report(session.out, "removed", f"{fqdn} {address}", reply)


def _path(fqdn: str, address: str) -> str:
    return f"/v1/services/{segment(fqdn)}/endpoints/{segment(address)}"
