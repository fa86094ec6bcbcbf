"""One request to somebody's HTTP API: deadlines, limits, and what its answers mean for a push.

Requests are made by ``requests`` in a few threads of their own. Proxies and credentials of the
environment are not looked at, redirects are not followed: both could carry a token elsewhere.
"""

import asyncio
import email.utils
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

import requests

from node.push.errors import PushError

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 10.0
DEADLINE_S = 20.0
BODY_OCTETS_MAX = 32 * 1024 * 1024
PAGES_MAX = 1_000
RETRY_AFTER_MAX_S = 3_600.0
_SAID_CHARACTERS = 120
_threads = ThreadPoolExecutor(4, thread_name_prefix="push-api")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is no failure; 404 is left to the caller."""

    status: int
    headers: Mapping[str, str]
    data: Any

    @property
    def is_missing(self) -> bool:
        """Say whether there is no such thing there."""
        return self.status == 404


class HttpApi:
    """An API at a URL, spoken to with a token."""

    def __init__(
        self,
        service: str,
        url: str,
        headers: Mapping[str, str],
        status_of: Callable[[int, Any], int] = lambda status, _: status,
        *,
        auth: requests.auth.AuthBase | None = None,
        parse: Callable[[bytes], Any] = json.loads,
    ) -> None:
        """``status_of`` makes of HTTP's status and a parsed body the status that is meant.

        ``auth`` signs each request; ``parse`` reads bodies and raises ``ValueError`` for others.
        """
        self._parse = parse
        self.service = service
        self._status_of = status_of
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.auth = auth
        self._session.headers.update({"Accept": "application/json", "User-Agent": "quorumdns", **headers})

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    async def call(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None
    ) -> Reply:
        """Make one request. Raises ``PushError``; its text never holds the token or the URL's query."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(DEADLINE_S):
                reply, raw = await loop.run_in_executor(_threads, self._request, method, path, query, body)
        except requests.exceptions.SSLError:
            text = f"the certificate of {self._where()} cannot be verified"
            raise PushError("permanent", "certificate", text) from None
        except (requests.exceptions.Timeout, TimeoutError):
            raise PushError("retryable", "silent", f"{self._where()} does not answer in time") from None
        except requests.exceptions.InvalidURL:
            raise PushError("permanent", "url", f"{self._where()} is not a usable URL") from None
        except (requests.exceptions.RequestException, OSError) as error:
            text = f"{self._where()} cannot be reached ({type(error).__name__})"
            raise PushError("retryable", "unreachable", text) from None
        return self._judged(reply, raw)

    def _request(self, method: str, path: str, query: Any, body: Any) -> tuple[requests.Response, bytes]:
        with self._session.request(
            method,
            f"{self._url}{path}",
            params=query,
            json=None if isinstance(body, bytes) else body,
            data=body if isinstance(body, bytes) else None,
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            allow_redirects=False,
            stream=True,
        ) as response:
            return response, _read(response)

    def _judged(self, response: requests.Response, raw: bytes) -> Reply:
        try:
            data = self._parse(raw) if raw.strip() else None
        except (ValueError, RecursionError):
            data = raw[:_SAID_CHARACTERS].decode(errors="replace")
        status = self._status_of(response.status_code, data)
        if status == 404 or (200 <= status < 300 and not isinstance(data, str)):
            return Reply(status, dict(response.headers.lower_items()), data)
        raise self.refusal(status, said(data), retry_after_s(response.headers))

    def refusal(self, status: int, text: str, wait_s: float = 0.0) -> PushError:
        """Return the error that a status, of HTTP or in a body, stands for."""
        where = self._where()
        if 200 <= status < 300:
            return PushError("retryable", "garbage", f"{where} answered with something that cannot be read")
        if 300 <= status < 400:
            return PushError(
                "permanent", "redirect", f"{where} sends elsewhere ({status}); set the URL it means"
            )
        if status in (401, 403):
            return PushError(
                "permanent", "token", f"{where} does not accept the token ({status}){_quoted(text)}"
            )
        if status == 429:
            waiting = f"; it asks to wait {wait_s:g} s" if wait_s else ""
            return PushError(
                "retryable", "rate", f"{where} says that there were too many requests{waiting}", wait_s
            )
        if status == 409:
            return PushError("permanent", "conflict-there", f"{where} says it is otherwise{_quoted(text)}")
        if 400 <= status < 500 or status == 501:
            return PushError("permanent", "rejected", f"{where} rejected a request ({status}){_quoted(text)}")
        return PushError("retryable", "server-failure", f"{where} failed ({status}){_quoted(text)}", wait_s)

    def no_zone(self, zone: str) -> PushError:
        """Return the error for a zone that is not there."""
        return PushError("permanent", "no-zone", f"{self._where()} has no zone {zone} for this token")

    def garbage(self) -> PushError:
        """Return the error for JSON that is not what the API promises."""
        return PushError("retryable", "garbage", f"{self._where()} answered with something unexpected")

    def _where(self) -> str:
        host = self._url.split("://")[-1].split("/")[0].split("@")[-1]
        return f"{self.service} at {host}"


def _read(response: requests.Response) -> bytes:
    """Read a body up to the limits: a timeout of ``requests`` is per read, not for all of them."""
    deadline = time.monotonic() + DEADLINE_S
    body = bytearray()
    for chunk in response.iter_content(65_536):
        body += chunk
        if len(body) > BODY_OCTETS_MAX:
            raise requests.exceptions.ContentDecodingError("the answer is too large")
        if time.monotonic() > deadline:
            raise requests.exceptions.ReadTimeout
    return bytes(body)


def said(data: Any) -> str:
    """Return what an API says in one of the usual places of an error's body."""
    if isinstance(data, ET.Element):
        return data.findtext("{*}Error/{*}Message") or "; ".join(
            each.text or "" for each in data.iter() if each.text
        )
    if isinstance(data, list):
        return next((found for each in data if (found := said(each))), "")
    if not isinstance(data, dict):
        return data if isinstance(data, str) else ""
    for key in ("message", "detail", "error", "errors", "cause", "exception", "non_field_errors"):
        found = said(data.get(key))
        if found:
            return found
    return next((found for value in data.values() if isinstance(value, list) and (found := said(value))), "")


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Return for how many seconds the answer asks to keep still; 0 when it does not say."""
    value = headers.get("Retry-After", "").strip()
    wait_s = 0.0
    if value.isdigit():
        wait_s = float(value)
    elif value:
        try:
            wait_s = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            wait_s = 0.0
    elif headers.get("RateLimit-Remaining") == "0" and headers.get("RateLimit-Reset", "").isdigit():
        wait_s = float(headers["RateLimit-Reset"]) - time.time()
    return min(max(wait_s, 0.0), RETRY_AFTER_MAX_S)


def _quoted(text: str) -> str:
    shown = " ".join(text.split())[:_SAID_CHARACTERS]
    return f": {shown}" if shown else ""
