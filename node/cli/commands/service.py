"""``qdns service``: what users reach, and how it is probed."""

from typing import TYPE_CHECKING, Any

import click

from node.cli import service_view, status_view
from node.cli.addresses import segment
from node.cli.changes import Json, already, confirm, report
from node.cli.commands.service_edit import edit
from node.cli.commands.service_operations import failover, maintenance, refresh
from node.cli.commands.service_whatif import whatif
from node.cli.completing import complete_services
from node.cli.faults import ExitCode, Failure, usage
from node.cli.group import Group
from node.cli.options import Duration, client_options, reason_option, watch_option, yes_option
from node.cli.session import Session
from node.cli.steadiness import steadiness
from node.cli.watch import watch

if TYPE_CHECKING:
    from node.cli.client import Client

EVENTS_SHOWN = 8
_CREATE = "qdns service create www.example.org 192.0.2.10 192.0.2.11 --check http://{}:80/health"


@click.group(cls=Group, aliases={"rm": "delete"}, example=_CREATE)
def service() -> None:
    """Services: list, show, create, edit, delete, maintenance, failover, refresh, whatif.

    A service is a name that points only at what works.
    """


@service.command("list", example="qdns services -w")
@watch_option
@client_options
@click.pass_obj
def list_services(session: Session, watch_s: float | None) -> None:
    """List the services: how many endpoints are in DNS, and what the nodes say of them."""

    def fetch() -> Json:
        value: Json = session.client.get("/v1/status")
        return value

    if watch_s is not None:
        watch(session.out, watch_s, fetch, service_view.show_list, service_view.parts, session.wake())
    status = fetch()
    columns = status_view.service_columns(status["pushes"])
    session.out.rows(status["services"], columns, lambda row: str(row["fqdn"]))


@service.command("show", example="qdns service show www.example.org")
@click.argument("fqdn", shell_complete=complete_services)
@client_options
@click.pass_obj
def show_service(session: Session, fqdn: str) -> None:
    """Show a service: every endpoint, every node's vote on it, and what happened last."""
    row = session.client.get(f"/v1/services/{segment(fqdn)}")
    if not session.out.is_for_people:
        session.out.document(row)
        return
    nodes = session.client.get("/v1/status")["nodes"]
    service_view.show(row, nodes, _events(session.client, row["fqdn"]), session.out)


def _events(client: "Client", fqdn: str) -> list[Json]:
    """Return the newest events of a service, oldest first."""
    found = client.get("/v1/events", limit=1000)["items"]
    return [each for each in found if service_view.is_about(each, fqdn)][-EVENTS_SHOWN:]


@service.command("create", example=_CREATE)
@click.argument("fqdn")
@click.argument("addresses", nargs=-1, metavar="ADDRESS...")
@click.option(
    "--check",
    required=True,
    metavar="URL",
    help="http://{}:80/path, https, tcp://{}:5432, tls, udp, dns://{}:53/NAME?type=A, icmp://{}, grpc, exec://NAME, push://60s.",
)
@click.option("--zone", help="The zone of its records; else the longest that holds the name.")
@click.option("--ttl", type=Duration(), metavar="TIME", help="Time to live of its records (5s).")
@click.option(
    "--ttl-min", type=Duration(), metavar="TIME", help="While an endpoint is undecided, down or changing (0)."
)
@click.option("--interval", type=Duration(), metavar="TIME", help="Between two probes of an endpoint (2s).")
@click.option("--probe-timeout", type=Duration(), metavar="TIME", help="How long a probe may take (1s).")
@click.option("--rise", type=int, metavar="N", help="Good probes in a row before a node votes up (2).")
@click.option("--fall", type=int, metavar="N", help="Bad probes in a row before a node votes down (3).")
@click.option(
    "--fail-open",
    type=click.IntRange(0, 100),
    metavar="PERCENT",
    help="When more than this share is down, keep all; 100 for never (50).",
)
@click.option(
    "--mode", type=click.Choice(("active-active", "active-standby")), help="Publish all, or the best priority."
)
@click.option(
    "--recheck", type=Duration(), metavar="TIME", help="Between probes after a first surprise (500ms)."
)
@click.option(
    "--rule", metavar="RULE", help="majority, any, all, regions, a number of nodes, or 40% (majority)."
)
@click.option(
    "--min-voters",
    type=click.IntRange(0, 99),
    metavar="N",
    help="With fewer votes nothing is decided; 0: a majority of the nodes (0).",
)
@click.option(
    "--when-down",
    type=click.Choice(("nodata", "all", "last_good", "fallback")),
    help="What is in DNS when all is down and fail-open keeps nothing (nodata).",
)
@click.option("--fallback", multiple=True, metavar="ADDRESS", help="In DNS when all is down; repeatable.")
@click.option("--min-up", type=int, metavar="N", help="With fewer up than this all are kept.")
@click.option("--max-answers", type=int, metavar="N", help="At most so many in DNS at a time.")
@click.option(
    "--selection",
    type=click.Choice(("all", "weighted", "weighted-one", "sticky", "site")),
    help="Which published addresses one answer holds: all, in an order by weight, one by weight, one by client, "
    "those at the node's site (all).",
)
@click.option("--separate-families", is_flag=True, default=None, help="Judge A and AAAA separately.")
@click.option(
    "--flap-limit",
    metavar="N/TIME/TIME",
    help="6/10m/5m: so many changes within a time, then out of DNS until steady so long (none).",
)
@click.option(
    "--failback",
    metavar="WHEN",
    help="What was withdrawn and is up comes back: auto, manual, or after 10m (auto).",
)
@click.option("--replace", is_flag=True, help="Change a service that exists.")
@reason_option
@client_options
@click.pass_obj
def create_service(
    session: Session,
    /,
    fqdn: str,
    addresses: tuple[str, ...],
    check: str,
    replace: bool,
    reason: str,
    **options: float | int | str | tuple[str, ...] | None,
) -> None:
    """Create a service with its endpoints. They are in DNS until a majority says down."""
    rule = _rule(options.pop("rule"), options.pop("min_voters"))
    steady = steadiness(options.pop("flap_limit"), options.pop("failback"))
    body = {"check": check, "endpoints": list(addresses)} | _definition(options) | rule | steady
    try:
        reply = session.client.write(
            "PUT", f"/v1/services/{segment(fqdn)}", body, reason=reason, is_new=not replace
        )
    except Failure as failure:
        if replace or failure.code is not ExitCode.CONFLICT or session.client.find(_path(fqdn)) is None:
            raise
        message = f"the service {fqdn} exists already; nothing was changed"
        raise already(failure, message, f"qdns service show {fqdn}   or add --replace") from None
    report(session.out, "created" if not replace else "set", f"service {fqdn}", reply)


service.add_command(edit)
service.add_command(whatif)


def _path(fqdn: str) -> str:
    return f"/v1/services/{segment(fqdn)}"


def _rule(text: Any, min_voters: Any) -> Json:
    """Return the rule as it was said, in the long form where that alone can hold the voters. Raises ``Failure``."""
    if min_voters is None:
        return {} if text is None else {"rule": text}
    from node.health.rule import read_rule

    try:
        rule = read_rule(text or "majority", min_voters)
    except ValueError as error:
        raise usage(str(error), "--rule 40% --min-voters 2") from None
    return {"rule": {"kind": rule.kind, "number": rule.number, "min_voters": rule.min_voters}}


def _definition(options: dict[str, float | int | str | tuple[str, ...] | None]) -> Json:
    """Return what was said of a service, in the units of the API."""
    times = {"interval": "interval_ms", "probe_timeout": "timeout_ms", "recheck": "recheck_ms"}
    names = {"ttl": "ttl", "fail_open": "fail_open_percent", **times}
    body: Json = {}
    for option, value in options.items():
        if value is None or value == ():
            continue
        key = names.get(option, option)
        if isinstance(value, tuple):
            body[key] = list(value)
        else:
            body[key] = round(float(value) * 1000) if option in times else value
    return body | {key: int(body[key]) for key in ("ttl", "ttl_min") if key in body}


@service.command("delete", example="qdns service delete www.example.org --yes")
@click.argument("fqdn", shell_complete=complete_services)
@yes_option
@reason_option
@client_options
@click.pass_obj
def delete_service(session: Session, fqdn: str, yes: bool, reason: str) -> None:
    """Delete a service and the records it published."""
    confirm("service", fqdn, yes=yes)
    reply = session.client.write("DELETE", _path(fqdn), reason=reason)
    report(session.out, "deleted", f"service {fqdn} and its records", reply)


service.add_command(maintenance)
service.add_command(failover)
service.add_command(refresh)
