"""The HTTP API as the command line sees it: which node answers, and what a refusal means.

Nodes are tried in order. A write has a key of its own and is sent again where it is not known what became
of it (``node.cli.repeating``); if that stays so the outcome is unknown and said to be (exit code 9).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from node.cli.addresses import UNIX_SCHEME
from node.cli.changes import Json
from node.cli.faults import ExitCode, Failure
from node.cli.meanings import WRITE_METHODS, reason_of, unknown, unreachable, value_of, was_never_sent
from node.cli.repeating import Passed, new_key, send_until_known
from node.cli.unix_socket import UnixAdapter
from node.cli.upload import Upload, refuse_lines

PAGE_ITEMS = 1000
CONNECT_TIMEOUT_S = 2.0
UPLOAD_TIMEOUT_S = 1_800.0
"""A million records are read, checked and brought into the log in that time."""
DOWNLOAD_TIMEOUT_S = 60.0
"""How long a node may send nothing of a download: it may have a million names to sort."""
DOWNLOAD_CHUNK_OCTETS = 256 * 1024
OCTETS = "application/octet-stream"
EVENTS = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node answered: its base URL and the JSON value."""

    url: str
    value: Any
    index: int
    """Log index of what was shown; 0 when the node did not say."""


class Client:
    """Asks the first node of a list that can be reached."""

    def __init__(
        self,
        urls: tuple[str, ...],
        *,
        token: str | None,
        timeout_s: float,
        environ: Mapping[str, str],
        ca: str | None = None,
    ) -> None:
        self.urls = urls
        self._token = token
        self._timeout_s = timeout_s
        self._environ = environ
        self._timeout = (min(CONNECT_TIMEOUT_S, timeout_s), timeout_s)
        self._session = requests.Session()
        # Neither a proxy nor a line of ~/.netrc may come between us and our own nodes.
        self._session.trust_env = False
        self._session.mount(UNIX_SCHEME, UnixAdapter())
        self._ca = ca
        # What is named for these nodes goes before what is said of all servers, as for a proxy's sake.
        self._session.verify = ca or environ.get("REQUESTS_CA_BUNDLE") or environ.get("SSL_CERT_FILE") or True
        self._session.headers["Accept"] = "application/json"
        if token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def at(self, url: str) -> "Client":
        """Return a client that asks one node alone."""
        return Client((url,), token=self._token, timeout_s=self._timeout_s, environ=self._environ, ca=self._ca)

    def get(self, path: str, **params: object) -> Any:
        """Return the JSON value at a path. Raises ``Failure``."""
        return self.request("GET", path, params=_given(params)).value

    def find(self, path: str) -> Any | None:
        """Return the JSON value at a path, None when there is none. Raises ``Failure``."""
        try:
            return self.get(path)
        except Failure as failure:
            if failure.code is ExitCode.NOT_FOUND:
                return None
            raise

    def items(self, path: str, **params: object) -> Iterator[Json]:
        """Yield the items of a list, page after page. Raises ``Failure``."""
        after: str | None = None
        while True:
            page = self.get(path, limit=PAGE_ITEMS, after=after, **params)
            if isinstance(page, list):
                yield from page
                return
            yield from page["items"]
            after = page.get("next")
            if not after:
                return

    def write(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        reason: str = "",
        is_new: bool = False,
        unchanged_since: int | None = None,
    ) -> Json:
        """Change something, if ``is_new`` or ``unchanged_since`` that log index where that is said. Raises ``Failure``."""
        headers: dict[str, str | bytes] = {"Idempotency-Key": new_key()}
        if is_new:
            headers["If-None-Match"] = "*"
        elif unchanged_since is not None:
            headers["If-Match"] = f'"{unchanged_since}"'
        if reason:
            headers["Qdns-Reason"] = " ".join(reason.split()).encode()

        def send(url: str) -> Any:
            return value_of(method, self._send(method, url + path, None, body, headers))

        value = send_until_known(self.urls, send, unreachable)
        return value if isinstance(value, dict) else {}

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> Answer:
        """Send a request once, to the first node that takes it. Raises ``Failure``."""
        passed = []
        for url in self.urls:
            try:
                response = self._send(method, url + path, params, body, headers)
                return Answer(url, value_of(method, response), _index(response))
            except Passed as reason:
                passed.append(f"{url}  {reason}")
        raise unreachable(passed)

    def put_key(self, key: str, fields: Mapping[str, str], *, reason: str = "") -> Json:
        """PUT a form to a key of the etcd door; safe to repeat. Raises ``Failure``."""
        passed = []
        for url in self.urls:
            try:
                response = self._session.put(
                    f"{url}/v2/keys{key}",
                    data=dict(fields),
                    headers={"Qdns-Reason": " ".join(reason.split()).encode()},
                    timeout=self._timeout,
                    allow_redirects=False,
                )
                value = response.json()
            except (OSError, ValueError) as error:
                passed.append(f"{url}  {reason_of(error) if isinstance(error, OSError) else error}")
                continue
            if not response.ok:
                raise Failure(f"{key}: {value.get('cause') or value}", ExitCode.CONFLICT)
            return dict(value)
        raise unreachable(passed)

    def upload(
        self,
        path: str,
        octets: bytes,
        content_type: str,
        *,
        params: Mapping[str, str],
        reason: str,
        sent: Callable[[int], object],
    ) -> Json:
        """PUT a file to the first node that takes it, and wait for what it came to. Raises ``Failure``."""
        headers: dict[str, str | bytes] = {"Content-Type": content_type}
        if reason:
            headers["Qdns-Reason"] = " ".join(reason.split()).encode()
        passed = []
        for url in self.urls:
            try:
                response = self._session.put(
                    url + path,
                    params=params,
                    data=Upload(octets, sent),
                    headers=headers,
                    timeout=(self._timeout[0], UPLOAD_TIMEOUT_S),
                    allow_redirects=False,
                )
                refuse_lines(response)
                value = value_of("PUT", response)
                return value if isinstance(value, dict) else {}
            except OSError as error:
                if "dry_run" not in params and not was_never_sent(error):
                    raise unknown(url, reason_of(error)) from None
                passed.append(f"{url}  {reason_of(error)}")
            except Passed as passed_reason:
                passed.append(f"{url}  {passed_reason}")
        raise unreachable(passed)

    def download(
        self, path: str, write: Callable[[bytes], object], *, content_type: str = OCTETS, **params: object
    ) -> str:
        """Hand the octets at a path to ``write`` as they come; return the URL of who sent them. Raises ``Failure``.

        Once a node has begun to send no other is asked, and whether it sent all of it the octets must say.
        """
        passed = []
        for url in self.urls:
            try:
                with self._send("GET", url + path, _given(params), stream=True) as response:
                    _require_octets(response, content_type)
                    _receive(url, response, write)
                    return url
            except Passed as reason:
                passed.append(f"{url}  {reason}")
        raise unreachable(passed)

    def lines(self, path: str, last_id: str = "") -> Iterator[bytes]:
        """Yield the lines of an event stream from the first node that has one. Raises ``Failure`` when it ends."""
        headers = {"Accept": EVENTS, "Last-Event-ID": last_id} if last_id else {"Accept": EVENTS}
        passed = []
        for url in self.urls:
            try:
                with self._send("GET", url + path, None, None, headers, stream=True) as response:
                    _require_octets(response, EVENTS)
                    yield from response.iter_lines(chunk_size=1)
            except (Passed, requests.RequestException) as reason:
                passed.append(f"{url}  {reason}")
        raise unreachable(passed)

    def _send(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        body: Json | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        *,
        stream: bool = False,
    ) -> requests.Response:
        try:
            return self._session.request(
                method,
                url,
                params=params,
                json=body,
                headers=headers,
                timeout=(self._timeout[0], max(self._timeout[1], DOWNLOAD_TIMEOUT_S))
                if stream
                else self._timeout,
                allow_redirects=False,
                stream=stream,
            )
        except OSError as error:  # requests' own are, too; others come of a file of authorities that is none
            reason = reason_of(error)
            if method in WRITE_METHODS and not was_never_sent(error):
                raise unknown(url, reason) from None
            raise Passed(reason) from None


def _require_octets(response: requests.Response, content_type: str) -> None:
    """Raise what an answer means that is no download."""
    if not response.ok or response.headers.get("Content-Type", "").partition(";")[0] != content_type:
        value_of("GET", response)
        raise Passed("answered otherwise than a node of this version")


def _receive(url: str, response: requests.Response, write: Callable[[bytes], object]) -> None:
    try:
        for chunk in response.iter_content(DOWNLOAD_CHUNK_OCTETS):
            write(chunk)
    except requests.RequestException as error:
        message = f"{url} stopped sending: {reason_of(error)}"
        raise Failure(message, ExitCode.UNREACHABLE, hint="run it again; another node: --api URL") from None


def _given(params: Mapping[str, object]) -> dict[str, str]:
    return {key: str(value) for key, value in params.items() if value is not None}


def _index(response: requests.Response) -> int:
    text = response.headers.get("Qdns-Index", "")
    return int(text) if text.isascii() and text.isdigit() else 0
