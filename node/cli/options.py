"""Options that many commands share. They are accepted before and after the command's name."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from node.cli import times
from node.cli.output import FORMATS
from node.cli.session import Session

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Duration(click.ParamType[float]):
    """A length of time in seconds, written ``250ms``, ``5s``, ``2m``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the text."""
        if isinstance(value, (int, float)):
            return float(value)
        try:
            return times.duration_s(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class LogIndex(click.ParamType[int]):
    """An index of the log, as events have it: ``48190``, or ``48190.1`` for one event of it."""

    name = "index"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the text."""
        if isinstance(value, int):
            return value
        if not re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18})?", value, re.ASCII):
            self.fail(f'"{value}" is no index of the log; qdns event list shows them', param, ctx)
        return int(value.partition(".")[0])


class CommonOption(click.Option):
    """An option of every command; listed apart from the command's own."""


def _remember(ctx: click.Context, param: click.Parameter, value: object) -> None:
    if value is not None and value is not False:
        setattr(ctx.ensure_object(Session).settings, str(param.name), value)


def _common(*names: str, **attributes: Any) -> Callable[[Decorated], Decorated]:
    return click.option(*names, cls=CommonOption, expose_value=False, callback=_remember, **attributes)


def _remember_json(ctx: click.Context, _: click.Parameter, value: object) -> None:
    if value:
        ctx.ensure_object(Session).settings.output = "json"


CONFIG = _common(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The configuration; else CONF, ./cluster.toml, /etc/quorumdns/cluster.toml.",
)
VERBOSE = _common("-v", "--verbose", is_flag=True, help="Show the trace of an error in qdns itself.")
NO_COLOR = _common("--no-color", is_flag=True, help="Write without colour.")
_CLIENT = (
    _common(
        "--api",
        metavar="URL[,URL]",
        help="Nodes to ask, tried in order, or unix:PATH; else QDNS_API, the socket in /run, the configuration.",
    ),
    _common(
        "--token-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Holds the API token; else QDNS_TOKEN, QDNS_TOKEN_FILE.",
    ),
    _common(
        "--ca",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Authorities of the nodes' certificates; else QDNS_CA, for its own nodes the configuration's.",
    ),
    _common("--timeout", type=Duration(), metavar="TIME", help="How long to wait for a node (5s)."),
    CONFIG,
)
_OUTPUT = (
    _common(
        "-o",
        "--output",
        type=click.Choice(FORMATS),
        metavar="FORMAT",
        help=f"One of {', '.join(FORMATS)}; else QDNS_OUTPUT, table.",
    ),
    click.option(
        "--json",
        cls=CommonOption,
        is_flag=True,
        expose_value=False,
        callback=_remember_json,
        help="Short for -o json.",
    ),
    _common("--no-headers", is_flag=True, help="Leave out the line of titles."),
    NO_COLOR,
    VERBOSE,
)


def _all(options: tuple[Callable[[Any], Any], ...]) -> Callable[[Decorated], Decorated]:
    def decorate(function: Decorated) -> Decorated:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def client_options(function: Decorated) -> Decorated:
    """Add what every command has that talks to a node."""
    return _all((*_CLIENT, *_OUTPUT))(function)


def output_options(function: Decorated) -> Decorated:
    """Add what every command has that writes a table."""
    return _all(_OUTPUT)(function)


def daemon_options(function: Decorated) -> Decorated:
    """Add what every command has that runs nodes."""
    return _all((CONFIG, NO_COLOR, VERBOSE))(function)


def watch_option(function: Decorated) -> Decorated:
    """Add ``-w`` with an optional number of seconds."""
    option = click.option(
        "-w",
        "--watch",
        "watch_s",
        type=Duration(),
        is_flag=False,
        flag_value=2.0,
        metavar="[TIME]",
        help="Show it again at every change, and every so often; piped, one line a change.",
    )
    return option(function)


reason_option = click.option("--reason", default="", metavar="TEXT", help="Why; kept in the event.")
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
for_option = click.option(
    "--for",
    "for_s",
    type=Duration(),
    metavar="TIME",
    help="Ends by itself after so long; else when it is taken back.",
)
allow_empty_option = click.option(
    "--allow-empty", is_flag=True, help="Also where a service is left without any record."
)
