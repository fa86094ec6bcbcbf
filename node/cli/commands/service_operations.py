"""``qdns service maintenance``, ``failover`` and ``refresh``: what operators do to a whole service."""

import click

from node.cli import times
from node.cli.addresses import segment
from node.cli.changes import Json
from node.cli.completing import complete_services
from node.cli.faults import usage
from node.cli.group import Command
from node.cli.operation_view import failover_line, maintenance_line
from node.cli.options import allow_empty_option, client_options, for_option, reason_option
from node.cli.session import Session


@click.command(
    "maintenance",
    cls=Command,
    example="qdns service maintenance www.example.org on --for 1h --reason 'db migration'",
)
@click.argument("fqdn", shell_complete=complete_services)
@click.argument("switch", type=click.Choice(("on", "off")))
@for_option
@click.option("--from", "begins", metavar="TIME", help="Begins then: 2h from now, or 2026-11-22T22:00:00Z.")
@reason_option
@client_options
@click.pass_obj
def maintenance(
    session: Session, /, fqdn: str, switch: str, for_s: float | None, begins: str | None, reason: str
) -> None:
    """Let a service stand still in DNS: nothing is withdrawn, added or alarmed of. Probes go on."""
    path = f"/v1/services/{segment(fqdn)}/maintenance"
    if switch == "off":
        if for_s is not None or begins is not None:
            raise usage("--for and --from belong to: on", f"qdns service maintenance {fqdn} off")
        reply = session.client.write("DELETE", path, reason=reason)
    else:
        reply = session.client.write("PUT", path, _lasting(for_s) | _beginning(begins), reason=reason)
    _tell(session, reply, maintenance_line(reply))


@click.command("failover", cls=Command, example="qdns service failover api.example.org --to 198.51.100.20")
@click.argument("fqdn", shell_complete=complete_services)
@click.option(
    "--to",
    "target",
    metavar="ADDRESS|NAME",
    help="The endpoints that alone are used: a pattern, tag:TAG, site:SITE.",
)
@click.option("--auto", is_flag=True, help="Let the votes decide again.")
@for_option
@allow_empty_option
@reason_option
@client_options
@click.pass_obj
def failover(
    session: Session,
    /,
    fqdn: str,
    target: str | None,
    auto: bool,
    for_s: float | None,
    allow_empty: bool,
    reason: str,
) -> None:
    """Use some endpoints of a service alone: all others are forced down, in one step."""
    if auto == (target is not None):
        raise usage("say where to: --to ADDRESS, or --auto", f"qdns service failover {fqdn} --auto")
    path = f"/v1/services/{segment(fqdn)}/failover"
    if target is None:
        reply = session.client.write("DELETE", path, reason=reason)
    else:
        body: Json = {"to": target} | _lasting(for_s) | ({"allow_empty": True} if allow_empty else {})
        reply = session.client.write("PUT", path, body, reason=reason)
    _tell(session, reply, failover_line(reply, fqdn, is_auto=target is None))


@click.command("refresh", cls=Command, example="qdns service refresh www.example.org")
@click.argument("fqdn", shell_complete=complete_services)
@client_options
@click.pass_obj
def refresh(session: Session, fqdn: str) -> None:
    """Read every push target of a service anew and repair what differs, never empty in between."""
    reply = session.client.write("POST", f"/v1/services/{segment(fqdn)}/refresh")
    names = ", ".join(reply["targets"])
    line = f"{fqdn}: {names} read anew, what differs is repaired; then: qdns push list"
    _tell(session, reply, line if names else f"{fqdn}: no push target has anything of it")


def _lasting(for_s: float | None) -> Json:
    return {} if for_s is None else {"for_s": for_s}


def _beginning(text: str | None) -> Json:
    if text is None:
        return {}
    try:
        return {"from_at": times.begin(text)}
    except ValueError as error:
        raise usage(str(error), "--from 2h, or --from 2026-11-22T22:00:00Z") from None


def _tell(session: Session, reply: Json, line: str) -> None:
    if session.out.is_for_people:
        session.out.line(line)
    else:
        session.out.document(reply)
