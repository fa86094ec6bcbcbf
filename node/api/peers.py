"""Asking the other nodes for what only they know, such as their status rows: in threads, all at once, with one deadline.

The answer is kept for a second and asked for once, however many clients want it.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import requests

from node.api.message import PeerAnswer

DEADLINE_S = 1.0
KEPT_S = 1.0
THREADS_MAX = 16
ROW_OCTETS_MAX = 256 * 1024
_ROW_PATH = "/v1/status?scope=local"


class Peers:
    """The other nodes' APIs by node name, and the token that lets us read there."""

    def __init__(self, urls: Callable[[], Mapping[str, str]], token: str | None, ca: str | None = None) -> None:
        """``ca`` is a file of authorities that the other nodes' certificates are checked by; else the system's."""
        self._verify: str | bool = ca or True
        self._find_urls = urls
        self._urls: Mapping[str, str] = urls()
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._pool = ThreadPoolExecutor(THREADS_MAX, "api-peers")
        self._asked: dict[str, tuple[float, asyncio.Task[Mapping[str, PeerAnswer]]]] = {}
        """By path: when it was asked for, and what came of that."""
        self._closed = False

    async def rows(self) -> Mapping[str, PeerAnswer]:
        """Return every other node's row, or a sentence that says why there is none."""
        return await self.ask(_ROW_PATH)

    async def ask(self, path: str) -> Mapping[str, PeerAnswer]:
        """Return what every other node answers on a path, an object with its ``name``; as ``rows`` does."""
        self._urls = self._find_urls()
        if self._closed:
            return {name: PeerAnswer(error="not asked: this node is stopping") for name in self._urls}
        if not self._urls:
            return {}
        now_s = time.monotonic()
        asked_at_s, task = self._asked.get(path, (float("-inf"), None))
        if task is None or (task.done() and now_s - asked_at_s > KEPT_S):
            task = asyncio.create_task(self._ask_all(path))
            self._keep(path, now_s, task)
        return await asyncio.shield(task)

    def _keep(self, path: str, now_s: float, task: asyncio.Task[Mapping[str, PeerAnswer]]) -> None:
        """Remember a question, and let go what is no longer fresh."""
        self._asked = {
            each: (at_s, kept)
            for each, (at_s, kept) in self._asked.items()
            if not kept.done() or now_s - at_s <= KEPT_S
        }
        self._asked[path] = now_s, task

    def close(self) -> None:
        """Ask no more; threads that still wait end by their own deadline."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _ask_all(self, path: str) -> Mapping[str, PeerAnswer]:
        loop = asyncio.get_running_loop()
        asked = self._urls.items()
        futures = {name: loop.run_in_executor(self._pool, self._ask, url, path) for name, url in asked}
        await asyncio.wait(futures.values(), timeout=DEADLINE_S)
        late = PeerAnswer(error=f"no answer within {DEADLINE_S:g} s")
        return {
            name: future.result() if future.done() and not future.cancelled() else late
            for name, future in futures.items()
        }

    def _ask(self, url: str, path: str) -> PeerAnswer:
        """Fetch one answer; runs in a thread and never raises."""
        where = urlsplit(url).netloc
        asked_at_s = time.time()
        try:
            row = _fetch(url.rstrip("/") + path, self._headers, self._verify)
            return PeerAnswer(row=row, clock_offset_s=_offset_s(row, asked_at_s, time.time()))
        except requests.exceptions.Timeout:
            return PeerAnswer(error=f"timed out {where}")
        except requests.exceptions.ConnectionError as error:
            return PeerAnswer(error=f"{_connection_text(error)} {where}")
        except (requests.exceptions.RequestException, ValueError) as error:
            return PeerAnswer(error=f"{where}: {error}")


def _fetch(url: str, headers: Mapping[str, str], verify: str | bool) -> Mapping[str, Any]:
    """Read one row within the deadline and the size limit. Raises ``RequestException`` or ``ValueError``."""
    ends_s = time.monotonic() + DEADLINE_S
    with requests.Session() as session:
        session.trust_env = False
        response = session.get(
            url,
            headers=dict(headers),
            verify=verify,
            timeout=DEADLINE_S,
            allow_redirects=False,
            stream=True,
        )
        body = b""
        for piece in response.iter_content(16 * 1024):
            body += piece
            if len(body) > ROW_OCTETS_MAX or time.monotonic() > ends_s:
                raise ValueError("its answer is too long or too slow")
        if response.status_code == 401:
            raise ValueError("it asks for a token, and the nodes share no [cluster] secret to show it")
        if response.status_code != 200:
            raise ValueError(f"it answers {response.status_code} {response.reason}")
    row = json.loads(body)
    is_row = isinstance(row, dict) and isinstance(row.get("name"), str)
    if not is_row:
        raise ValueError("its answer is not a status row")
    return dict(row)


def _offset_s(row: Mapping[str, Any], asked_at_s: float, answered_at_s: float) -> float | None:
    """Return how far the clock in a row is ahead of this one's, read halfway between question and answer."""
    clock_ms = row.get("clock_ms")
    if not isinstance(clock_ms, int):
        return None
    return round(clock_ms / 1000 - (asked_at_s + answered_at_s) / 2, 3)


def _connection_text(error: Exception) -> str:
    text = str(error)
    for known in (
        "Connection refused",
        "No route to host",
        "Network is unreachable",
        "Name or service not known",
    ):
        if known in text:
            return known.lower()
    return "the connection failed"
