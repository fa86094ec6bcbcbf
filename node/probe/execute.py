"""Exec probes: a program of this node's own configuration judges the endpoint.

The replicated check only names it. What is run stands in the local file, so that whoever may change a
service cannot run anything on the nodes.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence

from node.probe.result import Failed

_OUTPUT_OCTETS_MAX = 4096
_EVIDENCE_CHARACTERS_MAX = 200
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


async def probe_exec(command: str, argv: Sequence[str] | None, host: str, address: str) -> str:
    """Run the program; 0 is good. Its first line of output is the evidence. Raises ``Failed``.

    ``{}`` as a word of argv becomes the address. The program and all it started are killed at the deadline
    and when the probe is given up.
    """
    if not argv:
        raise Failed(f"this node has no exec check {command}", answered=False, tried=False)
    words = [address if word == "{}" else word for word in argv]
    environment = {"PATH": os.environ.get("PATH", _PATH), "QDNS_ADDRESS": address, "QDNS_NAME": host}
    try:
        process = await _start(words, environment)
    except OSError as error:
        text = f"{words[0]} cannot be run: {error.strerror or error}"
        raise Failed(text, answered=False, tried=False) from None
    try:
        line = await _read_first_line(process)
        code = await process.wait()
    finally:
        await _kill(process)
    if code:
        ended = f"killed by signal {-code}" if code < 0 else f"exit {code}"
        raise Failed(f"{ended}: {line}" if line else ended, answered=False)
    return line or "exit 0"


async def _start(words: Sequence[str], environment: dict[str, str]) -> asyncio.subprocess.Process:
    """Start the program as the leader of a group of its own. Raises ``OSError``.

    A probe given up in the middle of this waits for the start, so that there is a group to kill.
    """
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):
            await _kill(await starting)
        raise


async def _read_first_line(process: asyncio.subprocess.Process) -> str:
    """Return the first line of output; read the rest away so that the program is not held up."""
    assert process.stdout is not None
    kept = b""
    while octets := await process.stdout.read(_OUTPUT_OCTETS_MAX):
        kept = (kept + octets)[:_OUTPUT_OCTETS_MAX]
    text = kept.decode("utf-8", "replace").lstrip().partition("\n")[0].rstrip()
    printable = "".join(char if char.isprintable() else " " for char in text)
    return printable[:_EVIDENCE_CHARACTERS_MAX]


async def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill the program's whole group, and take note of its end."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await asyncio.shield(process.wait())
