"""Workers that do one thing after the other, and how long each took."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

TRY_EVERY_S = 0.01


async def closed_loop(workers: int, seconds: float, act: Callable[[], Awaitable[None]]) -> dict[str, Any]:
    """Let each worker do one thing after the other; return how many were done, and how long each took."""
    took_s: list[float] = []
    begun_s = time.perf_counter()

    async def work() -> None:
        now_s = time.perf_counter()
        while now_s - begun_s < seconds:
            await act()
            before_s, now_s = now_s, time.perf_counter()
            took_s.append(now_s - before_s)

    await asyncio.gather(*(work() for _ in range(workers)))
    return {"count": len(took_s), "seconds": time.perf_counter() - begun_s, "took_ms": _quantiles_ms(took_s)}


def _quantiles_ms(took_s: list[float]) -> dict[str, float]:
    ordered = sorted(took_s)
    at = {"p50": len(ordered) // 2, "p99": len(ordered) * 99 // 100, "max": len(ordered) - 1}
    return {name: ordered[position] * 1000 for name, position in at.items()}


async def first_success(tries: Callable[[], Awaitable[None]]) -> float:
    """Begin another try every 10 ms until one succeeds; return when that was, on ``time.monotonic``.

    What is asked while there is no leader may be lost: whoever waits for its answer measures a timeout.
    """
    succeeded: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def attempt() -> None:
        await tries()
        if not succeeded.done():
            succeeded.set_result(time.monotonic())

    running = []
    while not succeeded.done():
        running.append(asyncio.ensure_future(attempt()))
        await asyncio.wait({succeeded}, timeout=TRY_EVERY_S)
    for each in running:
        each.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*running, return_exceptions=True)
    return succeeded.result()
