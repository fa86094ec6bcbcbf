"""All nodes of one configuration on this machine: real processes, for trying things and for tests."""

import contextlib
import errno
import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from node.cli.addresses import config_path, token
from node.cli.faults import ConfigFailure, ExitCode, Failure
from node.cli.loading import load_config
from node.cli.processes import Program, reap, stop_all

if TYPE_CHECKING:
    import requests

    from node.config.model import Node

NODE_COMMAND = (sys.executable, "-m", "node")
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.05
ASK_TIMEOUT_S = 1.0
LOG_LINES_SHOWN = 12

NO_FILE = "there is no cluster.toml here, so nobody says which nodes there are"


@dataclass(frozen=True, slots=True)
class Member:
    """One node: its name, its addresses and its process."""

    name: str
    api: str
    dns: tuple[str, ...]
    listens: tuple[tuple[str, str], ...]
    """What it will bind: (``udp`` or ``tcp``, ``ip:port``)."""
    program: Program


@dataclass(frozen=True, slots=True)
class Ready:
    """All nodes are ready: who leads, after how many seconds."""

    leader: str
    after_s: float


class LocalCluster:
    """The nodes of a configuration as processes of this machine."""

    def __init__(
        self,
        members: Sequence[Member],
        directory: Path,
        environ: Mapping[str, str],
        ca: Path | None = None,
    ) -> None:
        """``ca`` is what the certificates of the nodes' APIs are checked by; else the system's store."""
        self._verify: str | bool = str(ca) if ca is not None else True
        self.members = tuple(members)
        self.directory = directory
        """Where pid files, logs and the lock are."""
        self._environ = environ

    def member(self, name: str) -> Member:
        """Return the node with this name. Raises ``Failure``."""
        for member in self.members:
            if member.name == name:
                return member
        names = ", ".join(member.name for member in self.members)
        raise Failure(f'no node "{name}" in this cluster', ExitCode.NOT_FOUND, hint=f"one of: {names}")

    def running(self) -> list[Member]:
        """Return the nodes that run now."""
        return [member for member in self.members if member.program.pid() is not None]

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other ``qdns cluster`` commands from starting and stopping nodes meanwhile. Raises ``Failure``."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Failure(
                    "another qdns cluster command is starting or stopping nodes", ExitCode.CONFLICT
                ) from None
            yield

    def start(self, members: Sequence[Member]) -> None:
        """Start nodes. Raises ``Failure`` when an address is taken."""
        busy = [fact for member in members for fact in _busy(member)]
        if busy:
            raise Failure(
                "the nodes cannot start: addresses are in use or not of this machine",
                ExitCode.CONFLICT,
                facts=busy,
                hint="is an older cluster running? qdns cluster down",
            )
        for member in members:
            member.program.start(_code_directory(), self._environ)

    def wait_ready(self, members: Sequence[Member], timeout_s: float = START_TIMEOUT_S) -> Ready:
        """Wait until these nodes are ready and a leader is known. Raises ``Failure``."""
        import requests

        begun_s = time.monotonic()
        waiting = list(members)
        with requests.Session() as session:
            session.trust_env = False
            session.verify = self._verify
            shown = token(None, self._environ)
            if shown is not None:
                session.headers["Authorization"] = f"Bearer {shown}"
            while time.monotonic() - begun_s < timeout_s:
                self._require_alive(members)
                waiting = [each for each in waiting if not _is_ready(session, each)]
                leader = None if waiting else _leader(session, members)
                if leader is not None:
                    return Ready(leader, time.monotonic() - begun_s)
                time.sleep(POLL_S)
        names = ", ".join(member.name for member in waiting) or "a leader"
        raise Failure(
            f"not ready after {timeout_s:g} s: {names}",
            ExitCode.UNREACHABLE,
            facts=_log_facts(waiting or members),
            hint="qdns cluster logs",
        )

    def _require_alive(self, members: Sequence[Member]) -> None:
        reap()
        dead = [member for member in members if member.program.pid() is None]
        if dead:
            names = ", ".join(member.name for member in dead)
            raise Failure(
                f"{names} stopped right after the start", ExitCode.UNREACHABLE, facts=_log_facts(dead)
            )

    def stop(self, members: Sequence[Member] | None = None) -> list[Member]:
        """Stop nodes, all by default, and return those that ran."""
        chosen = [each for each in members or self.members if each.program.pid() is not None]
        stop_all([member.program for member in members or self.members], STOP_TIMEOUT_S)
        return chosen

    def kill(self, member: Member) -> bool:
        """Kill a node as a power cut would; False when it does not run."""
        was_running = member.program.send(signal.SIGKILL)
        stop_all([member.program], STOP_TIMEOUT_S)
        return was_running

    def watch(self, tell: Callable[[str], None], is_over: Callable[[], bool]) -> None:
        """Tell of every node that ends or comes back, until ``is_over``."""
        known = {member.name: member.program.last_pid() for member in self.members}
        while not is_over():
            for member in self.members:
                before, now = known[member.name], member.program.pid()
                if before != now:
                    known[member.name] = now
                    tell(f"{member.name} {'runs again' if now is not None else _ending(before)}")
            time.sleep(POLL_S)


def _ending(pid: int | None) -> str:
    """Say how a node ended, when it was a child of ours."""
    code = None if pid is None else reap(pid)
    if code is None:
        return "stopped"
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"stopped with exit code {code}"


def load(path: Path | None, environ: Mapping[str, str], command: Sequence[str]) -> LocalCluster:
    """Read the configuration and return its nodes as processes-to-be. Raises ``Failure``.

    ``command`` are the words before ``run``: ``NODE_COMMAND``, or a stand-in.
    """
    found = config_path(path, environ)
    if found is None:
        raise ConfigFailure(f"error: {NO_FILE}\nhint: qdns cluster up -c FILE   or a single node: qdns dev")
    found = found.absolute()
    config = load_config(found, environ, None, needs_node=False)
    directory = config.raft.data_dir.absolute().parent
    members = [_member(node, found, directory, command) for node in config.nodes]
    tls = config.api.tls
    return LocalCluster(members, directory, environ, tls.ca if tls is not None else None)


def _member(node: "Node", path: Path, directory: Path, command: Sequence[str]) -> Member:
    words = (*command, "run", "-c", str(path), "--node", node.name)
    program = Program(node.name, words, directory / f"{node.name}.pid", directory / f"{node.name}.log")
    listens = [("tcp", node.bind), ("tcp", node.api_listen)]
    for address in node.dns:
        listens += [("udp", address), ("tcp", address)]
    return Member(node.name, node.api, node.dns, tuple(listens), program)


def _code_directory() -> Path:
    """Return where the packages are, so that the nodes run the code that this process runs."""
    return Path(__file__).parents[2]


def _busy(member: Member) -> Iterator[str]:
    """Yield what keeps a node from listening, by trying."""
    for protocol, address in member.listens:
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
        with socket.socket(family, kind) as trial:
            if protocol == "tcp":
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            elif hasattr(socket, "SO_REUSEPORT"):  # answerers of a node that was killed go on, and are adopted
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            try:
                trial.bind((host, int(port)))
            except OSError as error:
                yield f"{member.name}  {protocol} {address}  {_bind_reason(error)}"


def _bind_reason(error: OSError) -> str:
    reasons = {
        errno.EADDRINUSE: "in use by another program",
        errno.EADDRNOTAVAIL: "not an address of this machine",
        errno.EACCES: "ports below 1024 need root",
    }
    return reasons.get(error.errno or 0, os.strerror(error.errno or 0).lower())


def _is_ready(session: "requests.Session", member: Member) -> bool:
    import requests

    try:
        return session.get(f"{member.api}/readyz", timeout=ASK_TIMEOUT_S).status_code == 200
    except requests.RequestException:
        return False


def _leader(session: "requests.Session", members: Sequence[Member]) -> str | None:
    """Return who leads, as soon as a node knows; a question mark when nobody may tell us."""
    import requests

    is_refused = False
    for member in members:
        try:
            answer = session.get(f"{member.api}/v1/status?scope=local", timeout=ASK_TIMEOUT_S)
            row = answer.json()
        except (requests.RequestException, ValueError):
            continue
        is_refused = is_refused or answer.status_code in (401, 403)
        if isinstance(row, dict) and row.get("leader"):
            return str(row["leader"])
    return "?" if is_refused else None


def _log_facts(members: Sequence[Member]) -> list[str]:
    facts = []
    for member in members:
        facts.append(f"{member.name}: {member.program.log_path}")
        facts += [f"  {line}" for line in member.program.log_tail(LOG_LINES_SHOWN)]
    return facts
