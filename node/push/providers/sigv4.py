"""Signatures of requests to AWS, version 4 (AWS General Reference, "Create a signed AWS API request")."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

import requests
from requests.auth import AuthBase

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key; ``session`` is the token of a temporary one."""

    key_id: str
    secret: str = field(repr=False)
    session: str = field(default="", repr=False)


class SigV4(AuthBase):
    """Signs every request that it is given, anew for each try."""

    def __init__(
        self,
        credentials: Credentials,
        region: str,
        service: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._credentials = credentials
        self._region = region
        self._service = service
        self._now = now

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the headers that prove who asks."""
        moment = self._now().strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": urlsplit(request.url or "").netloc, "x-amz-date": moment}
        if self._credentials.session:
            headers["x-amz-security-token"] = self._credentials.session
        request.headers.update(headers)
        scope = f"{moment[:8]}/{self._region}/{self._service}/aws4_request"
        names = ";".join(sorted(headers))
        text = canonical_request(request.method or "", request.url or "", headers, _octets(request.body))
        to_sign = "\n".join((ALGORITHM, moment, scope, hashlib.sha256(text.encode()).hexdigest()))
        signature = hmac.new(self._key(scope), to_sign.encode(), hashlib.sha256).hexdigest()
        request.headers["Authorization"] = (
            f"{ALGORITHM} Credential={self._credentials.key_id}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        return request

    def _key(self, scope: str) -> bytes:
        key = f"AWS4{self._credentials.secret}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key


def canonical_request(method: str, url: str, headers: dict[str, str], body: bytes) -> str:
    """Return the text that stands for a request; the path of ``url`` is percent-encoded already."""
    parts = urlsplit(url)
    pairs = sorted(
        (_encoded(key), _encoded(value)) for key, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    return "\n".join(
        (
            method,
            quote(parts.path or "/", safe="/%~"),
            "&".join(f"{key}={value}" for key, value in pairs),
            "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in sorted(headers)),
            ";".join(sorted(headers)),
            hashlib.sha256(body).hexdigest(),
        )
    )


def _encoded(text: str) -> str:
    return quote(text, safe="~")


def _octets(body: bytes | str | None) -> bytes:
    return body.encode() if isinstance(body, str) else body or b""
