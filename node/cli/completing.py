"""Completing names on the command line from the running API; silent when there is none."""

from collections.abc import Callable

import click

from node.cli import addresses
from node.cli.session import Session

COMPLETION_TIMEOUT_S = 0.15

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def _completer(path: str, key: str) -> Completer:
    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        names = _names(ctx.find_object(Session) or Session(), path, key)
        return [name for name in names if name.startswith(incomplete)]

    return complete


def _names(session: Session, path: str, key: str) -> list[str]:
    """Ask the first node that answers in time; nothing on any error, as the prompt must not be disturbed."""
    try:
        client = session.new_client(timeout_s=COMPLETION_TIMEOUT_S)
        return [str(each[key]) for each in client.at(client.urls[0]).items(path)]
    except Exception:
        return []


complete_zones = _completer("/v1/zones", "zone")
complete_services = _completer("/v1/services", "fqdn")
complete_tokens = _completer("/v1/tokens", "name")
complete_targets = _completer("/v1/push", "target")
complete_receivers = _completer("/v1/notify", "receiver")


def complete_nodes(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Complete the names of nodes from the configuration that is found."""
    try:
        session = ctx.find_object(Session) or Session()
        path = addresses.config_path(session.settings.config, session.environ)
        names = addresses.node_names(path) if path is not None else []
    except Exception:
        return []
    return [name for name in names if name.startswith(incomplete)]
