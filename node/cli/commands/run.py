"""``qdns run`` and ``qdns dev``: this process becomes a node."""

import os
from collections.abc import Iterable
from pathlib import Path

import click

from node.cli.faults import ExitCode, Failure, usage
from node.cli.group import Command
from node.cli.loading import load_config
from node.cli.options import daemon_options
from node.cli.session import Session
from node.environment import stranger


@click.command(cls=Command, example="qdns run -c /etc/quorumdns/cluster.toml --node ns1")
@click.option("--node", metavar="NAME", help="Which node of the file this is; else LOCAL_NODE, or by address.")
@click.option(
    "--restore",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Begin an empty cluster with a backup. Start this node first, or all with the same FILE.",
)
@click.option(
    "--restore-of", metavar="CLUSTER", help="The backup is of a cluster with this name, which is not ours."
)
@click.option(
    "--takeover",
    is_flag=True,
    help="Take the place of the process that runs this node now; no question is lost.",
)
@daemon_options
@click.pass_obj
def run(
    session: Session, node: str | None, restore: Path | None, restore_of: str | None, *, takeover: bool
) -> int:
    """Run this node as the configuration says, until SIGTERM or Ctrl-C; SIGHUP reads it again.

    With --takeover a newer version, or another configuration, takes the place of what runs: that hands leadership
    over, closes its log and ends; the processes that answer go on. Without one that runs, this is a usual start.

    With --restore the data directories of all nodes must be empty; leave it out at the next start.
    """
    if restore_of is not None and restore is None:
        raise usage("--restore-of tells of which cluster a backup is, and there is none", "add --restore FILE")
    refuse_strangers()
    config = load_config(session.settings.config, os.environ, node)
    from node import wiring

    wish = None if restore is None else wiring.RestoreWish(restore, restore_of)
    return wiring.run(config, restore=wish, takeover=takeover)


@click.command(cls=Command, example="qdns dev --with-demo\ndig www.demo.test @127.0.0.1 -p 9000")
@click.option(
    "--with-demo", is_flag=True, help="With a service and three little web servers to break and mend."
)
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Keep the data here."
)
@click.option("--dns-port", type=click.IntRange(0, 65_535), default=9000, help="Port of DNS (9000).")
@click.option("--api-port", type=click.IntRange(0, 65_535), default=7380, help="Port of the HTTP API (7380).")
@daemon_options
@click.pass_obj
def dev(session: Session, with_demo: bool, data: Path | None, dns_port: int, api_port: int) -> int:
    """Run one node without a configuration: a quorum of one, on loopback, every feature on."""
    del session
    refuse_strangers()
    from node import wiring

    settings = wiring.DevSettings(data_dir=data, dns_port=dns_port, api_port=api_port, with_demo=with_demo)
    return wiring.run_dev(settings, ready=lambda info: _announce(info.lines))


def _announce(lines: Iterable[str]) -> None:
    for line in lines:
        print(f"  {line}", flush=True)


def refuse_strangers() -> None:
    """Raise ``Failure`` where another program's package would be imported in the place of ours."""
    place = stranger()
    if place:
        raise Failure(
            f"{place} would be imported in the place of a package of ours",
            ExitCode.CONFIG,
            hint="install quorumdns into an environment of its own (a venv, pipx, uv tool install), "
            "and leave that place out of PYTHONPATH",
        )
