"""Notices for a program of this machine: JSON on its standard input, the most important in its environment.

What is run stands in the local file alone, is no text for a shell, and is killed with all that it started.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping

from node.notify.notice import NotAccepted, Notice
from node.notify.settings import Script

DEADLINE_S = 10.0
_OUTPUT_OCTETS_MAX = 4_096
_SAID_CHARACTERS = 150
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


async def run_script(way: Script, notice: Notice) -> str:
    """Run the program with one notice; exit code 0 accepts it. Raises ``NotAccepted``."""
    try:
        process = await asyncio.create_subprocess_exec(
            *way.argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=_environment(notice),
            start_new_session=True,
        )
    except OSError as error:
        raise NotAccepted(f"{way.argv[0]} cannot be run: {error.strerror or error}") from None
    try:
        async with asyncio.timeout(DEADLINE_S):
            said, _ = await asyncio.gather(_read(process), _write(process, notice.octets()))
            code = await process.wait()
    except TimeoutError:
        raise NotAccepted(f"{way.argv[0]} did not end within {DEADLINE_S:g} s") from None
    finally:
        await _kill(process)
    if code:
        ended = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
        raise NotAccepted(f"{way.argv[0]} {ended}" + (f": {said}" if said else ""))
    return "exit 0"


def _environment(notice: Notice) -> Mapping[str, str]:
    body = notice.body()
    data = notice.event.data
    return {
        "PATH": os.environ.get("PATH", _PATH),
        "QDNS_ID": notice.key,
        "QDNS_CLUSTER": notice.cluster,
        "QDNS_EVENT": notice.name,
        "QDNS_SEVERITY": body["severity"],
        "QDNS_PHASE": body["phase"],
        "QDNS_SUBJECT": _clean(body["subject"]),
        "QDNS_TEXT": _clean(body["text"]),
        "QDNS_SERVICE": _clean(data.get("service", "")),
        "QDNS_ENDPOINT": _clean(data.get("endpoint", "")),
    }


def _clean(text: str) -> str:
    """Return the text as an environment can hold it."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


async def _write(process: asyncio.subprocess.Process, octets: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it need not read all
        process.stdin.write(octets)
        await process.stdin.drain()
        process.stdin.close()


async def _read(process: asyncio.subprocess.Process) -> str:
    """Return the beginning of what it prints; read the rest away so that it is not held up."""
    assert process.stdout is not None
    kept = b""
    while octets := await process.stdout.read(_OUTPUT_OCTETS_MAX):
        kept = (kept + octets)[:_OUTPUT_OCTETS_MAX]
    text = kept.decode("utf-8", "replace")
    words = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(words.split())[:_SAID_CHARACTERS]


async def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill the program's whole group, and take note of its end."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await asyncio.shield(process.wait())
