"""Processes of this machine by their pid files: started, recognised, ended, never mistaken.

A pid file is believed only while ``/proc/<pid>/cmdline`` (without ``/proc``: ``ps``) shows the very words we started;
so an old file whose number the system gave to somebody else harms nobody.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_S = 0.05
KILL_TIMEOUT_S = 5.0
VISIBLE_TIMEOUT_S = 1.0
VISIBLE_POLL_S = 0.001
LOG_TAIL_OCTETS = 16_384
PS_TIMEOUT_S = 5.0
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Program:
    """One process of ours: the words that start it, and where its pid and its log are kept."""

    name: str
    words: tuple[str, ...]
    pid_path: Path
    log_path: Path

    def pid(self) -> int | None:
        """Return the process id while it runs, else None."""
        pid = self.last_pid()
        return pid if pid is not None and _has_words(pid, self.words) else None

    def last_pid(self) -> int | None:
        """Return the process id of the last start, whatever became of it."""
        try:
            return int(self.pid_path.read_text("ascii"))
        except (OSError, ValueError):
            return None

    def start(self, directory: Path, environ: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        """Start it in a session of its own, so that Ctrl-C reaches it through us alone."""
        self.pid_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603
                self.words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=directory,
                env=dict(environ),
                start_new_session=True,
            )
        self.pid_path.write_text(f"{process.pid}\n", "ascii")
        self._wait_visible(process)
        return process

    def _wait_visible(self, process: "subprocess.Popen[bytes]") -> None:
        """Wait until the kernel shows the new words; right after the start it shows none for a moment."""
        deadline_s = time.monotonic() + VISIBLE_TIMEOUT_S
        while self.pid() is None and process.poll() is None and time.monotonic() < deadline_s:
            time.sleep(VISIBLE_POLL_S)

    def send(self, which: signal.Signals) -> bool:
        """Send a signal; False when it does not run."""
        pid = self.pid()
        if pid is None:
            return False
        try:
            os.kill(pid, which)
        except ProcessLookupError:
            return False
        return True

    def forget(self) -> None:
        """Remove the pid file."""
        self.pid_path.unlink(missing_ok=True)

    def started_s(self) -> float | None:
        """Return when it was started, in seconds since 1970, by its pid file."""
        try:
            return self.pid_path.stat().st_mtime
        except OSError:
            return None

    def log_tail(self, lines: int) -> list[str]:
        """Return the last lines of its log."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_OCTETS))
                text = log.read().decode("utf-8", "replace")
        except OSError:
            return []
        return text.splitlines()[-lines:] if lines else []


def _has_words(pid: int, words: Sequence[str]) -> bool:
    """Say whether a process runs and was started with these words."""
    wanted = [os.fsencode(word) for word in words]
    try:
        return (PROC / f"{pid}/cmdline").read_bytes().split(b"\0")[:-1] == wanted
    except OSError:
        if (PROC / "self").exists():
            return False
    try:
        ps = ["ps", "-ww", "-o", "stat=,args=", "-p", f"{pid}"]
        shown = subprocess.run(ps, capture_output=True, check=False, timeout=PS_TIMEOUT_S).stdout  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return False
    state, _, told = shown.strip().partition(b" ")
    return not state.startswith(b"Z") and told.strip() == b" ".join(wanted)


def reap(pid: int = -1) -> int | None:
    """Collect children of ours that have ended; return the exit code of the last one (negative: a signal).

    With a ``pid`` that is known to be ending, wait for that one; None when it is no child of ours.
    """
    code = None
    with contextlib.suppress(ChildProcessError):
        while True:
            found, status = os.waitpid(pid, os.WNOHANG if pid < 0 else 0)
            if found == 0:
                break
            code = os.waitstatus_to_exitcode(status)
    return code


def stop_all(programs: Sequence[Program], timeout_s: float) -> list[Program]:
    """End programs: SIGTERM to all, SIGKILL to those that do not listen. Return the latter."""
    for program in programs:
        program.send(signal.SIGTERM)
    deaf = _wait_ended(programs, timeout_s)
    for program in deaf:
        program.send(signal.SIGKILL)
    _wait_ended(deaf, KILL_TIMEOUT_S)
    for program in programs:
        if program.pid() is None:
            program.forget()
    return deaf


def _wait_ended(programs: Sequence[Program], timeout_s: float) -> list[Program]:
    deadline_s = time.monotonic() + timeout_s
    left = list(programs)
    while True:
        reap()
        left = [each for each in left if each.pid() is not None]
        if not left or time.monotonic() >= deadline_s:
            return left
        time.sleep(POLL_S)
