"""``qdns``: the commands, and the one place where what went wrong becomes text and an exit code."""

import sys
from collections.abc import Sequence

import click

from node.cli import terminal
from node.cli.faults import ExitCode, Failure
from node.cli.group import Group, Places
from node.cli.options import client_options
from node.cli.output import let_pipe_go
from node.cli.session import Session

_COMMANDS = "node.cli.commands"
PLACES: Places = {
    "run": (f"{_COMMANDS}.run:run", "Run this node as the configuration says."),
    "dev": (f"{_COMMANDS}.run:dev", "Run one node without a configuration."),
    "cluster": (f"{_COMMANDS}.cluster:cluster", "Run all nodes of a configuration on this machine."),
    "init": (
        f"{_COMMANDS}.init:init",
        "Make a new cluster: its configuration and certificates; renew these later.",
    ),
    "status": (f"{_COMMANDS}.status:status", "Is it well? Who leads, who lags, what is down, what to do."),
    "query": (f"{_COMMANDS}.query:query", "Ask our own servers for a name."),
    "explain": (f"{_COMMANDS}.explain:explain", "Say why a name is answered as it is, or not"),
    "record": (f"{_COMMANDS}.record:record", "Records: list, get, set, add, rm."),
    "records": (f"{_COMMANDS}.record:list_records", ""),
    "service": (
        f"{_COMMANDS}.service:service",
        "Services: list, show, create, edit, delete, maintenance, failover, refresh, whatif.",
    ),
    "services": (f"{_COMMANDS}.service:list_services", ""),
    "endpoint": (
        f"{_COMMANDS}.endpoint:endpoint",
        "Endpoints of services: list, add, remove, drain, undrain, force, failback, heartbeat.",
    ),
    "endpoints": (f"{_COMMANDS}.endpoint:list_endpoints", ""),
    "zone": (f"{_COMMANDS}.zone:zone", "Zones: list, show, create, delete, import, export, check, diff."),
    "zones": (f"{_COMMANDS}.zone:list_zones", ""),
    "push": (f"{_COMMANDS}.push:push", "Push targets: list, show, diff, refresh, pause, resume."),
    "notify": (f"{_COMMANDS}.notify:notify", "Who is told of events: list, test."),
    "log": (f"{_COMMANDS}.log:log", "The log of a node: level."),
    "event": (f"{_COMMANDS}.event:event", "What happened: list, follow."),
    "events": (f"{_COMMANDS}.event:list_events", ""),
    "node": (f"{_COMMANDS}.node:node", "Nodes: list, show, add, remove, replace, lead, force-new-cluster."),
    "nodes": (f"{_COMMANDS}.node:list_nodes", ""),
    "token": (f"{_COMMANDS}.token:token", "Tokens of the API: list, create, revoke."),
    "tokens": (f"{_COMMANDS}.token:list_tokens", ""),
    "plan": (f"{_COMMANDS}.plan:plan", "Show what qdns apply would change."),
    "apply": (f"{_COMMANDS}.plan:apply", "Make the cluster hold what the file says"),
    "backup": (f"{_COMMANDS}.backup:backup", "Write the whole state to a file, verified."),
    "restore": (f"{_COMMANDS}.restore:restore", "Compare a backup with the running cluster."),
    "doctor": (
        f"{_COMMANDS}.doctor:doctor",
        "Look at the configuration, this machine, every node, DNS, zones, delegations and push targets.",
    ),
    "bugreport": (f"{_COMMANDS}.bugreport:bugreport", "Write one .tar.gz without secrets"),
    "config": (f"{_COMMANDS}.config:config", "The configuration: check, show, path, schema, import."),
    "completion": (
        f"{_COMMANDS}.about:completion",
        "Print what makes a shell complete commands, options and names.",
    ),
    "version": (f"{_COMMANDS}.about:version", "Print which version this is."),
}


@click.group(
    cls=Group,
    places=PLACES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
    subcommand_metavar="COMMAND ...",
    example="qdns dev --with-demo\nqdns status\nqdns record set www.example.org A 192.0.2.1 --ttl 60",
)
@client_options
def cli() -> None:
    """Authoritative DNS from a replicated log, where names point only at what works."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Raises nothing."""
    session = Session()
    for stream in terminal.standard_streams():
        terminal.make_robust(stream)
    try:
        result = cli.main(
            args=list(sys.argv[1:] if arguments is None else arguments),
            prog_name="qdns",
            standalone_mode=False,
            obj=session,
        )
        sys.stdout.flush()
    except BrokenPipeError:
        let_pipe_go()
        return ExitCode.DONE
    except Exception as error:
        return _failed(error, session)
    except (KeyboardInterrupt, SystemExit) as error:
        code = getattr(error, "code", None)
        return code if isinstance(code, int) else ExitCode.INTERRUPTED
    return result if isinstance(result, int) else ExitCode.DONE


def _failed(error: Exception, session: Session) -> int:
    """Say what went wrong on standard error and return the exit code."""
    if isinstance(error, click.Abort):
        return ExitCode.INTERRUPTED
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return ExitCode.USAGE
    failure = _as_failure(error)
    if failure is None:
        return _bug(error, session)
    _say(failure.render(), session)
    return failure.code


def _as_failure(error: Exception) -> Failure | None:
    if isinstance(error, Failure):
        return error
    if isinstance(error, click.UsageError):
        message = error.format_message().rstrip(".")
        path = error.ctx.command_path if error.ctx is not None else "qdns"
        return Failure(f"{message[:1].lower()}{message[1:]}", ExitCode.USAGE, hint=f"{path} --help")
    if isinstance(error, click.ClickException):
        return Failure(error.format_message(), ExitCode.USAGE)
    return None


def _bug(error: Exception, session: Session) -> int:
    if session.settings.verbose:
        import traceback

        traceback.print_exception(error)
    reason = f"{type(error).__name__}: {error}".rstrip(": ")
    hint = "" if session.settings.verbose else "run it again with -v and send us the trace"
    _say(Failure(f"a fault in qdns itself: {reason}", ExitCode.BUG, hint=hint).render(), session)
    return ExitCode.BUG


def _say(text: str, session: Session) -> None:
    _, stream = terminal.standard_streams()
    show = terminal.detect(stream, session.environ, no_color=session.settings.no_color)
    safe = "\n".join(terminal.printable(show.symbols(line)) for line in text.split("\n"))
    if show.colour:
        word, colon, rest = safe.partition(":")
        safe = f"\x1b[1;31m{word}{colon}\x1b[0m{rest}" if word == "error" else safe
    print(safe, file=stream, flush=True)
