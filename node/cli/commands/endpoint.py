"""``qdns endpoint``: the addresses behind a service."""

import shlex

import click

from node.cli import operation_view, service_view
from node.cli.addresses import segment
from node.cli.changes import Json, report
from node.cli.completing import complete_services
from node.cli.faults import usage
from node.cli.group import Group
from node.cli.options import allow_empty_option, client_options, for_option, reason_option
from node.cli.session import Session

_ADD = "qdns endpoint add www.example.org 192.0.2.12"


@click.group(cls=Group, aliases={"rm": "remove"}, example=_ADD)
def endpoint() -> None:
    """Endpoints of services: list, add, remove, drain, undrain, force, failback, heartbeat."""


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
@click.option("--site", metavar="SITE", help="Where it is; nodes there prefer it with --selection site.")
@click.option(
    "--tag", "tags", multiple=True, metavar="TAG", help="By which it is drained with others; repeatable."
)
@reason_option
@client_options
@click.pass_obj
def add_endpoint(
    session: Session,
    /,
    fqdn: str,
    address: str,
    reason: str,
    **options: str | int | tuple[str, ...] | None,
) -> None:
    """Add an endpoint, or change one. It is in DNS until a majority says down."""
    body: Json | None = {key: value for key, value in options.items() if value not in (None, ())} or None
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


_DRAIN = "qdns endpoint drain 'www.example.org/192.0.2.1*' --for 30m --reason 'kernel update'"


@endpoint.command("drain", example=_DRAIN)
@click.argument("places", nargs=-1, required=True, metavar="SERVICE/ENDPOINT...")
@for_option
@allow_empty_option
@reason_option
@client_options
@click.pass_obj
def drain(
    session: Session, /, places: tuple[str, ...], for_s: float | None, allow_empty: bool, reason: str
) -> None:
    """Take endpoints out of DNS, by address, name, network, tag:TAG, site:SITE or patterns: all of them or none."""
    reply = _override(session, places, "drain", for_s, reason, allow_empty=allow_empty)
    operation_view.show_places(session.out, "drained", reply, f"qdns endpoint undrain {_quoted(places)}")


@endpoint.command("undrain", example="qdns endpoint undrain 'www.example.org/*'")
@click.argument("places", nargs=-1, required=True, metavar="SERVICE/ENDPOINT...")
@reason_option
@client_options
@click.pass_obj
def undrain(session: Session, places: tuple[str, ...], reason: str) -> None:
    """Let the votes decide again about endpoints that were drained or forced."""
    reply = _override(session, places, "release", None, reason)
    operation_view.show_places(session.out, "undrained", reply, "")


@endpoint.command(
    "force", example="qdns endpoint force www.example.org/192.0.2.11 down --for 15m --reason 'bad disk'"
)
@click.argument("places", nargs=-1, required=True, metavar="SERVICE/ENDPOINT...")
@click.argument("verdict", type=click.Choice(("up", "down", "auto")))
@for_option
@allow_empty_option
@reason_option
@client_options
@click.pass_obj
def force(
    session: Session,
    /,
    places: tuple[str, ...],
    verdict: str,
    for_s: float | None,
    allow_empty: bool,
    reason: str,
) -> None:
    """Take endpoints for up or down whatever the votes say; auto lets these decide again."""
    action = "release" if verdict == "auto" else f"force-{verdict}"
    word = "released" if verdict == "auto" else f"forced {verdict}"
    reply = _override(session, places, action, for_s, reason, allow_empty=allow_empty)
    undo = "" if verdict == "auto" else f"qdns endpoint force {_quoted(places)} auto"
    operation_view.show_places(session.out, word, reply, undo)


@endpoint.command("heartbeat", example="qdns endpoint heartbeat www.example.org/192.0.2.12")
@click.argument("place", metavar="SERVICE/ADDRESS")
@client_options
@click.pass_obj
def heartbeat(session: Session, place: str) -> None:
    """Say that an endpoint is well, where its check is push://60s or alike: it counts for that time."""
    fqdn, slash, address = place.partition("/")
    if not slash or not address:
        raise usage(
            f'"{place}" does not say which endpoint', "qdns endpoint heartbeat www.example.org/192.0.2.12"
        )
    reply = session.client.write("POST", f"{_path(fqdn, address)}/heartbeat")
    if not session.out.is_for_people:
        session.out.document(reply)
        return
    standing = "in DNS" if reply["published"] else "out of DNS"
    heard = f"heard by {reply['node']} for {reply['lease_s']} s"
    session.out.line(f"{reply['service']} {reply['address']}: {heard}; {reply['verdict']}, {standing}")


@endpoint.command("failback", example="qdns endpoint failback 'api.example.org/*'")
@click.argument("places", nargs=-1, required=True, metavar="SERVICE/ENDPOINT...")
@reason_option
@client_options
@click.pass_obj
def failback(session: Session, places: tuple[str, ...], reason: str) -> None:
    """Let endpoints come back into DNS that are up and wait, or are held for flapping."""
    reply = _override(session, places, "failback", None, reason)
    operation_view.show_places(session.out, "back", reply, "")


def _override(
    session: Session,
    places: tuple[str, ...],
    action: str,
    for_s: float | None,
    reason: str,
    *,
    allow_empty: bool = False,
) -> Json:
    body: Json = {"places": list(places), "action": action}
    if for_s is not None:
        body["for_s"] = for_s
    if allow_empty:
        body["allow_empty"] = True
    return session.client.write("POST", "/v1/overrides", body, reason=reason)


def _quoted(places: tuple[str, ...]) -> str:
    return " ".join(shlex.quote(each) for each in places)


def _path(fqdn: str, address: str) -> str:
    return f"/v1/services/{segment(fqdn)}/endpoints/{segment(address)}"
