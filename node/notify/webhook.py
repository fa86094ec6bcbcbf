"""Notices as HTTP requests: JSON, signed, with a key by which a repetition is known.

``Qdns-Signature: t=SECONDS,v1=HEX`` is HMAC-SHA256 (RFC 2104) of ``SECONDS.BODY`` with the receiver's secret; the
time lets the receiver refuse what somebody else plays again. Redirects are not followed, and neither proxies nor
credentials of the environment are looked at: all could carry a notice elsewhere.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import requests

from node.notify.notice import NotAccepted, Notice
from node.notify.settings import Webhook

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 8.0
DEADLINE_S = 12.0
_ANSWER_OCTETS = 2_000
_SAID_CHARACTERS = 100
_ITS_FAULT = (400, 413, 415, 422)
_threads = ThreadPoolExecutor(4, thread_name_prefix="notify-http")


def signature(secret: bytes, body: bytes, now_s: int) -> str:
    """Return the value of the header that proves who sent the body, and when (seconds since 1970 UTC)."""
    digest = hmac.new(secret, b"%d." % now_s + body, hashlib.sha256).hexdigest()
    return f"t={now_s},v1={digest}"


async def send_webhook(
    way: Webhook, notice: Notice, node: str, clock_s: Callable[[], float] = time.time
) -> str:
    """Send one notice; return what the receiver answered. Raises ``NotAccepted``."""
    body = notice.octets()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "quorumdns",
        "Idempotency-Key": notice.key,
        "Qdns-Event": notice.name,
        "Qdns-Node": node,
    }
    if way.secret is not None:
        headers["Qdns-Signature"] = signature(way.secret, body, int(clock_s()))
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(DEADLINE_S):
            status, said = await loop.run_in_executor(_threads, _post, way.url, body, headers)
    except requests.exceptions.SSLError:
        raise NotAccepted("the receiver's certificate cannot be verified") from None
    except (requests.exceptions.Timeout, TimeoutError):
        raise NotAccepted("the receiver does not answer in time") from None
    except (requests.exceptions.RequestException, OSError, ValueError) as error:
        raise NotAccepted(f"the receiver cannot be reached ({type(error).__name__})") from None
    if not 200 <= status < 300:
        text = f"the receiver answered HTTP {status}" + (f": {said}" if said else "")
        raise NotAccepted(text, is_its_fault=status in _ITS_FAULT)
    return f"HTTP {status}"


def _post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    with requests.Session() as session:
        session.trust_env = False
        with session.post(
            url,
            data=body,
            headers=headers,
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            allow_redirects=False,
            stream=True,
        ) as response:
            ok = 200 <= response.status_code < 300
            said = b"" if ok else next(response.iter_content(_ANSWER_OCTETS), b"")
            return response.status_code, _printable(said.decode("utf-8", "replace"))


def _printable(text: str) -> str:
    words = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(words.split())[:_SAID_CHARACTERS]
