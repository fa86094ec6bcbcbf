"""``qdns bugreport``: what helps to find a fault, in one archive without secrets."""

import io
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from node.cli.commands.doctor import examined
from node.cli.faults import ExitCode, Failure
from node.cli.group import Command
from node.cli.options import client_options
from node.cli.session import Session
from node.cli.times import now_s, utc_now

EVENTS_MAX = 1_000
PART_OCTETS_MAX = 16 * 1024 * 1024
_SECRETS = (
    re.compile(r"qdns_[A-Za-z0-9.-]+_[0-9a-f]{16,}"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL),
    re.compile(r"(?<=://)[^/@\s\"']+:[^/@\s\"']+(?=@)"),
    re.compile(r"(?i)(?<=bearer )[A-Za-z0-9._~+/=-]{8,}"),
)
_GONE = "(removed)"


@click.command(cls=Command, example="qdns bugreport --out report.tar.gz")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Where it goes; else a name with the time."
)
@client_options
@click.pass_obj
def bugreport(session: Session, out: Path | None) -> None:
    """Write one .tar.gz without secrets: version, configuration, status, events, metrics, what doctor finds.

    Secrets are references in the configuration and hashes in the log; what looks like one anywhere is removed.
    What is in it are names, addresses and records: look through it before you send it to anybody.
    """
    path = out or Path(f"quorumdns-bugreport-{utc_now()[:19].replace(':', '')}.tar.gz")
    parts = [(name, _made(make, session)) for name, make in PARTS.items()]
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - it is open already
            _pack(file, parts)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Failure(
            f"cannot write {path}: {reason}", ExitCode.USAGE, hint="another name: --out FILE"
        ) from None
    if not session.out.is_for_people:
        session.out.document({"file": str(path), "parts": [name for name, _ in parts]})
        return
    session.out.line(f"{path}   {', '.join(name for name, _ in parts)}")
    click.echo("no secrets, but names, addresses and records: look through it before you send it", err=True)


def _pack(file: Any, parts: list[tuple[str, bytes]]) -> None:
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, octets in parts:
            entry = tarfile.TarInfo(f"quorumdns-bugreport/{name}")
            entry.size, entry.mtime, entry.mode = len(octets), int(now_s()), 0o600
            archive.addfile(entry, io.BytesIO(octets))


def _made(make: Callable[[Session], str], session: Session) -> bytes:
    """Return a part without secrets; what keeps it from being made stands in its place."""
    try:
        text = make(session)
    except Failure as failure:
        text = failure.render()
    return redacted(text).encode("utf-8", "replace")[:PART_OCTETS_MAX] + b"\n"


def redacted(text: str) -> str:
    """Return the text without what looks like a token, a private key or a password."""
    for pattern in _SECRETS:
        text = pattern.sub(_GONE, text)
    return text


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)


def _version(_session: Session) -> str:
    import importlib.metadata
    import platform

    from node.version import version

    libraries = sorted((each.name, each.version) for each in importlib.metadata.distributions())
    here = {
        "version": version(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "at": utc_now(),
    }
    return _json(here | {"libraries": dict(libraries)})


def _configuration(session: Session) -> str:
    from node.config import ConfigError, load, render
    from node.config.origin import dump_with_origin

    try:
        config = load(session.settings.config, session.environ, None, needs_node=False)
    except ConfigError as error:
        return render(
            error.faults, {}
        )  # without the lines, as nobody knows what stands in a line that is wrong
    rows = dump_with_origin(config, session.environ)
    return "\n".join(f"{each.path} = {each.value}   ({each.source} {each.where})" for each in rows)


def _doctor(session: Session) -> str:
    return "\n".join(_lines(session))


def _lines(session: Session) -> Iterator[str]:
    for each in examined(session):
        yield f"{each.verdict:<8}  {each.subject}: {each.text}" + (f"  -> {each.hint}" if each.hint else "")


def _events(session: Session) -> str:
    rows = session.client.get("/v1/events", limit=EVENTS_MAX)["items"]
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


def _metrics(session: Session) -> str:
    octets = bytearray()
    session.client.download("/metrics", octets.extend, content_type="text/plain")
    return octets.decode("utf-8", "replace")


PARTS: dict[str, Callable[[Session], str]] = {
    "version.json": _version,
    "configuration.txt": _configuration,
    "status.json": lambda session: _json(session.client.get("/v1/status")),
    "services.json": lambda session: _json(list(session.client.items("/v1/services"))),
    "push.json": lambda session: _json(list(session.client.items("/v1/push"))),
    "events.jsonl": _events,
    "metrics.txt": _metrics,
    "doctor.txt": _doctor,
}
