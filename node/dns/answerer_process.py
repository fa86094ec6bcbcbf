"""An answerer's process as the control process sees it: started, known for good, ended, and noted in a file."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from node.dns import answerer_link as links

_STATE_NAME = "answerers.json"
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from node.dns.answerer import main; sys.exit(main(sys.argv[1:]))"
)


@dataclass(slots=True)
class Seat:
    """One answerer's place: its sockets stay, its process may change."""

    number: int
    sockets: list[socket.socket]
    pid: int = 0
    born: str = ""
    """Start time of the process as the kernel tells it; with ``pid`` it names the process for good."""
    process: "subprocess.Popen[bytes] | None" = None
    link: socket.socket | None = None
    started_at: float = 0.0
    heard_at: float = 0.0
    failures: int = 0
    is_veteran: bool = False
    """The process is of another version: it goes on as it is until a successor can be started."""
    is_understood: bool = True
    """It speaks as we do."""
    predecessor: tuple[int, str] | None = None
    """A process of another version that goes on until this one is there."""


def start(seat: Seat, arguments: list[str]) -> None:
    """Start the process of a place. It inherits nothing but an empty standard input and output."""
    root = str(Path(__file__).resolve().parents[2])
    seat.process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-S", "-E", "-s", "-c", _PROGRAM, root, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    seat.pid = seat.process.pid
    seat.born = birth_of(seat.pid)
    seat.started_at = seat.heard_at = time.monotonic()


def read_state(directory: Path) -> dict[int, str]:
    """Return the processes of the last control process, with their start times."""
    try:
        found = json.loads((directory / _STATE_NAME).read_text())
        return {int(row["pid"]): str(row["born"]) for row in found["answerers"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_state(directory: Path, seats: list[Seat]) -> None:
    """Note the processes for the next control process."""
    rows = [{"number": seat.number, "pid": seat.pid, "born": seat.born} for seat in seats]
    path = directory / _STATE_NAME
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"version": links.version(), "answerers": rows}) + "\n")
    fresh.replace(path)


def forget_state(directory: Path) -> None:
    """There is nobody to be adopted."""
    (directory / _STATE_NAME).unlink(missing_ok=True)


def can_tell() -> bool:
    """Say whether the kernel tells here which process is which; without that nobody's processes are safe from us."""
    return bool(birth_of(os.getpid()))


def birth_of(pid: int) -> str:
    """Return when a process started, in the kernel's ticks; empty when there is none that runs."""
    try:
        columns = (links.PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if columns[0] in "ZX" else columns[19]


def living(processes: dict[int, str]) -> dict[int, str]:
    """Return those of the processes that run, by number and start time."""
    return {pid: born for pid, born in processes.items() if born and birth_of(pid) == born}


def is_running(seat: Seat) -> bool:
    """Say whether the seat's process runs."""
    if seat.process is not None and seat.process.poll() is not None:
        return False
    return bool(seat.born) and birth_of(seat.pid) == seat.born


def kill(seat: Seat) -> None:
    """End the seat's process at once."""
    send_signal(seat.pid, seat.born, signal.SIGKILL)
    if seat.process is not None:
        seat.process.wait()


def send_signal(pid: int, born: str, which: signal.Signals) -> None:
    """Send a signal to a process, never to another one that has got its number since."""
    if born and birth_of(pid) == born:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, which)
