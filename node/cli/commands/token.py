"""``qdns token``: who may use the API. The secret is made here, shown once, and only its hash is sent."""

import hashlib
import secrets

import click

from node.cli.addresses import segment
from node.cli.changes import Json, already, confirm, report
from node.cli.completing import complete_tokens
from node.cli.faults import ExitCode, Failure
from node.cli.group import Group
from node.cli.listing import age_column, show_list
from node.cli.options import client_options, for_option, reason_option, yes_option
from node.cli.output import Column
from node.cli.session import Session
from node.cli.times import until

SECRET_OCTETS = 32


def _end(row: Json) -> str:
    if row["expires_at"] is None:
        return "never"
    return "✕ expired" if row["expired"] else until(row["expires_at"])


COLUMNS = (
    Column("NAME", lambda row: row["name"]),
    Column("SCOPES", lambda row: "; ".join(row["scopes"]), flexible=True),
    Column("FROM", lambda row: row["source"]),
    age_column("CREATED", "created_at"),
    Column("BY", lambda row: row["created_by"] or "-"),
    Column("USED", lambda row: row.get("last_used_on") or "-", raw=lambda row: row.get("last_used_on")),
    Column("EXPIRES", _end, raw=lambda row: row["expires_at"]),
)


@click.group(cls=Group, example="qdns token list")
def token() -> None:
    """Tokens of the API: list, create, revoke."""


@token.command("list", example="qdns token list")
@client_options
@click.pass_obj
def list_tokens(session: Session) -> None:
    """List the tokens of the cluster and those of the answering node's file, without their secrets."""
    show_list(session, "/v1/tokens", COLUMNS, "name")


@token.command(
    "create",
    example="(umask 077; qdns token create ci --scope 'records:write zone=example.org' --for 90d > token-ci)",
)
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    metavar="SCOPE",
    help="read, records:write [zone= name= type=], acme [zone=], heartbeat [zone= name=], endpoints:operate, services:write, write, admin; "
    "repeatable.",
)
@for_option
@reason_option
@client_options
@click.pass_obj
def create_token(
    session: Session, name: str, scopes: tuple[str, ...], for_s: float | None, reason: str
) -> None:
    """Create a token and print it, once: nobody can show it again."""
    secret = f"qdns_{name}_{secrets.token_hex(SECRET_OCTETS)}"
    body: Json = {"sha256": hashlib.sha256(secret.encode()).hexdigest(), "scopes": list(scopes)}
    if for_s is not None:
        body["expires_in_s"] = max(1, round(for_s))
    path = f"/v1/tokens/{segment(name)}"
    try:
        reply = session.client.write("PUT", path, body, reason=reason, is_new=True)
    except Failure as failure:
        if failure.code is not ExitCode.CONFLICT or session.client.find(path) is None:
            raise
        message = f"the token {name} exists already; nothing was changed"
        raise already(failure, message, f"qdns token revoke {name}   or take another name") from None
    if not session.out.is_for_people:
        session.out.document({"name": name, "token": secret, **reply})
        return
    session.out.line(secret)
    click.echo(f"created  token {name}   index {reply['index']}", err=True)
    click.echo("it is shown this once; use it as QDNS_TOKEN_FILE=FILE, or Authorization: Bearer", err=True)


@token.command("revoke", example="qdns token revoke ci --yes")
@click.argument("name", shell_complete=complete_tokens)
@yes_option
@reason_option
@client_options
@click.pass_obj
def revoke_token(session: Session, name: str, yes: bool, reason: str) -> None:
    """Take a token back: no node lets it in any more once it has applied that."""
    confirm("token", name, yes=yes)
    reply = session.client.write("DELETE", f"/v1/tokens/{segment(name)}", reason=reason)
    report(session.out, "revoked", f"token {name}", reply)
