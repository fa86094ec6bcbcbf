"""Regular expressions over other people's text, which must never hold up the event loop.

Python's engine backtracks: ``(a+)+$`` on a hostile body runs for ages, and holds the interpreter's lock
while it does, so that neither a thread nor a signal ends it in time. Therefore a pattern that repeats
or branches runs in a small worker process that is killed when it takes too long; one without repetition
(a plain text, a class, an anchor) cannot backtrack and is searched here.
"""

import asyncio
import contextlib
import re
import struct
import sys
from pathlib import Path

SEARCH_LIMIT_S = 0.25
SLOW_FOR_S = 30.0
"""A pattern that took too long is not tried again for so long: others wait for the same worker."""
_SLOW_MAX = 1_000
_START_LIMIT_S = 5.0
_PLAIN_CHARACTERS_MAX = 200
_BRANCHING = re.compile(r"[*+?{|(]|\\[0-9]")
_WORKER = Path(__file__).with_name("pattern_worker.py")


class PatternTooSlow(Exception):
    """The pattern takes too long on this text; the message is the evidence."""

    def __init__(self) -> None:
        super().__init__(f"expect_body takes more than {round(SEARCH_LIMIT_S * 1000)} ms on this body")


class Patterns:
    """Searches patterns in texts, each within ``SEARCH_LIMIT_S``."""

    def __init__(self) -> None:
        self._worker: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()
        self._slow_until_s: dict[str, float] = {}

    async def search(self, pattern: str, text: str) -> bool:
        """Say whether the pattern is found. Raises ``PatternTooSlow``; a broken pattern is never found."""
        if is_plain(pattern):
            return _search(pattern, text)
        if self._slow_until_s.get(pattern, 0.0) > asyncio.get_running_loop().time():
            raise PatternTooSlow
        async with self._lock:
            return await self._ask(pattern, text)

    async def close(self) -> None:
        """End the worker."""
        async with self._lock:
            await self._kill()

    async def _ask(self, pattern: str, text: str) -> bool:
        worker = self._worker
        if worker is None or worker.returncode is not None:
            async with asyncio.timeout(_START_LIMIT_S):
                worker = await self._start()
        try:
            async with asyncio.timeout(SEARCH_LIMIT_S):
                return await _converse(worker, pattern, text)
        except TimeoutError:
            await self._kill()
            self._mark_slow(pattern)
            raise PatternTooSlow from None
        except (OSError, asyncio.IncompleteReadError):
            await self._kill()
            raise PatternTooSlow from None
        except asyncio.CancelledError:
            await self._kill()  # its answer would be taken for the next question's
            raise

    async def _start(self) -> asyncio.subprocess.Process:
        """Start the worker and wait until it runs: its start is not the pattern's fault."""
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-IS",
            str(_WORKER),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._worker = worker
        try:
            await _converse(worker, "a", "a")
        except BaseException:
            await self._kill()
            raise
        return worker

    async def _kill(self) -> None:
        worker, self._worker = self._worker, None
        if worker is None:
            return
        with contextlib.suppress(ProcessLookupError):
            worker.kill()
        await worker.wait()
        if worker.stdin is not None:
            worker.stdin.close()

    def _mark_slow(self, pattern: str) -> None:
        while len(self._slow_until_s) >= _SLOW_MAX:
            del self._slow_until_s[next(iter(self._slow_until_s))]
        self._slow_until_s[pattern] = asyncio.get_running_loop().time() + SLOW_FOR_S


def is_plain(pattern: str) -> bool:
    """Say whether the pattern has nothing to backtrack over: its search costs text times pattern at most."""
    return len(pattern) <= _PLAIN_CHARACTERS_MAX and _BRANCHING.search(pattern) is None


def _search(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False


async def _converse(worker: asyncio.subprocess.Process, pattern: str, text: str) -> bool:
    """Ask the worker one question: two lengths, two texts; it answers one octet."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    parts = pattern.encode("utf-8", "replace"), text.encode("utf-8", "replace")
    worker.stdin.write(struct.pack(">II", len(parts[0]), len(parts[1])) + parts[0] + parts[1])
    await worker.stdin.drain()
    return await worker.stdout.readexactly(1) == b"1"
