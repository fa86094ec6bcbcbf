"""``qdns config``: the configuration of this machine."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli.addresses import config_path
from node.cli.certificate_check import certificate_faults
from node.cli.faults import ConfigFailure, ExitCode, Failure
from node.cli.group import Group
from node.cli.loading import load_config
from node.cli.options import CONFIG, output_options
from node.cli.output import Column
from node.cli.session import Session

if TYPE_CHECKING:
    from node.config import Config, Fault

NODE = click.option("--node", metavar="NAME", help="As this node; else LOCAL_NODE, or by address.")


@click.group(cls=Group, example="qdns config check")
def config() -> None:
    """The configuration: check, show, path, schema, import."""


def _load(session: Session, node: str | None) -> "Config":
    return load_config(session.settings.config, os.environ, node, needs_node=False)


@config.command(example="qdns config check -c /etc/quorumdns/cluster.toml")
@NODE
@CONFIG
@output_options
@click.pass_obj
def check(session: Session, node: str | None) -> int:
    """Check the configuration and show every fault at its place. Exit 3 when it cannot be used."""
    from node.config import ConfigError, load, render, to_json

    wants_json = session.out.format in ("json", "jsonl")
    try:
        loaded = load(session.settings.config, os.environ, node, needs_node=False)
        faults = _with_certificates(loaded)
    except ConfigError as error:
        if not wants_json:
            raise ConfigFailure(error.render()) from None
        session.out.write(to_json(error.faults))
        return ExitCode.CONFIG
    if wants_json:
        session.out.write(to_json(faults))
        return ExitCode.DONE
    session.out.line(_summary(loaded))
    if faults:
        click.echo(f"\n{render(faults, loaded.sources)}", err=True)
    return ExitCode.DONE


def _with_certificates(loaded: "Config") -> tuple["Fault", ...]:
    """Return the warnings, those on certificates first. Raises ``ConfigError`` if no node could start with these."""
    from node.config import ConfigError

    faults = (*certificate_faults(loaded, os.environ), *loaded.warnings)
    if any(each.level == "error" for each in faults):
        raise ConfigError(faults, loaded.sources)
    return faults


def _summary(loaded: "Config") -> str:
    endpoints = sum(len(each.endpoints) for each in loaded.services)
    services = _count(len(loaded.services), "service")
    counts = (
        _count(len(loaded.nodes), "node"),
        _count(len(loaded.zones), "zone"),
        f"{services} ({_count(endpoints, 'endpoint')})" if endpoints else services,
        _count(len(loaded.targets), "push target"),
    )
    who = "not known" if loaded.node_source == "unknown" else loaded.node.name
    return f"{loaded.path}  ok   {', '.join(counts)}   this node: {who}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@config.command(example="qdns config show --origin")
@click.option("--origin", is_flag=True, help="Also where each value comes from.")
@NODE
@CONFIG
@output_options
@click.pass_obj
def show(session: Session, origin: bool, node: str | None) -> None:
    """Show every value that is in force. Secrets are shown as the references that they are."""
    loaded = _load(session, node)
    from node.config.origin import dump_with_origin

    rows = [
        {"path": each.path, "value": each.value, "source": each.source, "where": each.where}
        for each in dump_with_origin(loaded, os.environ)
    ]
    columns = (
        Column("KEY", lambda row: row["path"]),
        Column("VALUE", lambda row: " ".join(row["value"].split("\n")), flexible=True),
        Column("FROM", lambda row: f"{row['source']} {row['where']}".strip(), wide=not origin),
    )
    session.out.rows(rows, columns, lambda row: str(row["path"]))


@config.command(example="qdns config path")
@CONFIG
@output_options
@click.pass_obj
def path(session: Session) -> None:
    """Print which file is read."""
    found = config_path(session.settings.config, os.environ)
    if found is None:
        raise Failure(
            "there is no configuration: no --config, no CONF, no cluster.toml here or in /etc/quorumdns",
            ExitCode.NOT_FOUND,
            hint="start without one: qdns dev",
        )
    session.out.line(str(found.absolute()))


@config.command(example="qdns config schema > cluster.schema.json")
@output_options
@click.pass_obj
def schema(session: Session) -> None:
    """Print the JSON Schema of the configuration, with which editors complete and check it."""
    from node.config.json_schema import config_schema

    session.out.document(config_schema())


@config.command("import", example="qdns config import /etc/rrdnsd.json > cluster.toml")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--credentials",
    type=click.Path(path_type=Path),
    default=Path("update-credentials"),
    metavar="FILE",
    help="Where update_credentials go, mode 0600 (update-credentials).",
)
@output_options
@click.pass_obj
def import_(session: Session, file: Path, credentials: Path) -> None:
    """Convert rrdnsd's JSON into a cluster.toml on standard output."""
    from node.config import ConfigError
    from node.config.rrdnsd_convert import convert
    from node.config.source import read

    try:
        converted = convert(read(file), str(credentials))
    except ConfigError as error:
        raise ConfigFailure(error.render()) from None
    if converted.credentials is not None:
        _keep_secret(credentials, converted.credentials)
        click.echo(f"the credentials are in {credentials}; keep it beside the cluster.toml", err=True)
    session.out.write(converted.text.rstrip("\n"))
    if converted.local_node:
        click.echo(f"on this machine set LOCAL_NODE={converted.local_node}", err=True)
    for name in converted.to_provide:
        click.echo(f"to be set by you: the environment variable {name}", err=True)


def _keep_secret(path: Path, secret: bytes) -> None:
    """Write a secret into a new file that nobody else can read. Raises ``Failure``."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - it is open already
            file.write(secret)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        message = f"cannot write the credentials to {path}: {reason}; nothing was converted"
        raise Failure(message, ExitCode.USAGE, hint="another place: --credentials FILE") from None
