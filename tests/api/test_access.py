"""Who is let in: loopback, tokens and their scopes, browsers' foreign pages, and guessing."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from node.api.access import is_local_host, is_loopback
from node.api.context import Token
from node.api.logins import ADDRESSES_MAX, FAILURES_MAX, WINDOW_S, FailedLogins
from node.state.api_tokens import ApiToken, PutToken
from tests.api.conftest import Api, FakeCluster

SECRET = "qdns_ci_0123456789"
PATH = "/v1/zones/example.org/rrsets/a.example.org/A"
BODY = {"rdatas": ["192.0.2.1"]}


def with_token(cluster: FakeCluster, *scopes: str, **fields: Any) -> Api:
    """Return an API that asks everybody for a token, and one token it knows."""
    token = Token("ci", hashlib.sha256(SECRET.encode()).hexdigest(), scopes)
    return Api(cluster, tokens=(token,), trusted_loopback=False, **fields)


def bearer(secret: str = SECRET) -> dict[str, str]:
    """Return the headers that show a secret."""
    return {"Authorization": f"Bearer {secret}"}


def test_without_tokens_only_this_machine(api: Api) -> None:
    """Without configured tokens a client from elsewhere is refused with a sentence."""
    api.client_address = "192.0.2.7"
    refused = api.get("/v1/status")
    assert (403, "forbidden") == (refused.status_code, refused.json()["code"])
    assert "only clients on this machine are served, not 192.0.2.7" in refused.json()["detail"]
    assert 200 == api.get("/healthz").status_code


def test_token(cluster: FakeCluster) -> None:
    """A known token is let in and named in the log; none and a wrong one are told how to come in."""
    api = with_token(cluster, "admin")
    refused = api.get("/v1/status")
    assert (401, 'Bearer realm="quorumdns"') == (refused.status_code, refused.headers["www-authenticate"])
    assert 401 == api.get("/v1/status", headers=bearer("wrong")).status_code
    assert 401 == api.get("/v1/status", headers={"Authorization": "Basic YTpi"}).status_code
    assert 200 == api.put(PATH, json=BODY, headers=bearer()).status_code
    assert "ci" == cluster.entries[-1].actor
    assert 200 == api.get("/v1/status", headers={"X-API-Key": SECRET}).status_code


@pytest.mark.parametrize(
    ("scopes", "records", "services"),
    [
        (("read",), 403, 403),
        (("records:write",), 200, 403),
        (("services:write",), 403, 200),
        (("write",), 200, 200),
        (("admin",), 200, 200),
        (("cluster:admin",), 200, 200),
        (("records:write zone=example.net",), 403, 403),
        (("records:write zone=example.org type=A",), 200, 403),
        (("acme",), 403, 403),
        (("records:write owner=me",), 403, 403),
    ],
)
def test_scopes(cluster: FakeCluster, scopes: tuple[str, ...], records: int, services: int) -> None:
    """A scope lets do what it names and no more; one that is not understood grants nothing."""
    api = with_token(cluster, *scopes)
    endpoint = "/v1/services/www.example.org/endpoints/192.0.2.77"
    assert records == api.put(PATH, json=BODY, headers=bearer()).status_code
    assert services == api.put(endpoint, headers=bearer()).status_code
    readable = api.get("/v1/status", headers=bearer()).status_code
    assert (403 if "owner=" in scopes[0] else 200) == readable
    if records == 403:
        detail = api.put(PATH, json=BODY, headers=bearer()).json()["detail"]
        assert detail.startswith("the token ci lacks the scope records:write")


def test_nodes_read_only(cluster: FakeCluster) -> None:
    """The nodes' own token reads and does nothing else."""
    api = with_token(cluster, "admin", node_token="between-nodes")
    assert 200 == api.get("/v1/status?scope=local", headers=bearer("between-nodes")).status_code
    assert 403 == api.put(PATH, json=BODY, headers=bearer("between-nodes")).status_code


def test_loopback_is_trusted_while_there_is_no_token(cluster: FakeCluster) -> None:
    """Clients on this machine need a token, too, from the first one on, be it of the file or of the log."""
    api = with_token(cluster, "read")
    api.context = replace(api.context, trusted_loopback=True)
    assert 401 == api.put(PATH, json=BODY).status_code
    api.context = replace(api.context, tokens=())
    assert 200 == api.put(PATH, json=BODY).status_code
    cluster.do(PutToken(ApiToken("admin", hashlib.sha256(SECRET.encode()).digest(), ("admin",))))
    assert 401 == api.put(PATH, json=BODY).status_code
    assert 200 == api.put(PATH, json=BODY, headers=bearer()).status_code


def test_the_unix_socket_needs_no_token(cluster: FakeCluster) -> None:
    """Whom the kernel let connect to the socket is an administrator, under the name that the kernel knows."""
    api = with_token(cluster, "read")
    api.client_address = "unix:alice"
    assert 200 == api.put(PATH, json=BODY).status_code
    assert "local:alice" == cluster.entries[-1].actor
    assert 403 == api.put(PATH, json=BODY, headers=bearer()).status_code
    assert 401 == api.put(PATH, json=BODY, headers=bearer("wrong")).status_code


@pytest.mark.parametrize("host", ["evil.example:7380", "rebound.test", "127.0.0.1.evil.example"])
def test_dns_rebinding(api: Api, host: str) -> None:
    """A client without a token must call this node by address or as localhost."""
    assert 403 == api.get("/v1/status", headers={"Host": host}).status_code


def test_foreign_pages_cannot_write(api: Api) -> None:
    """A browser's write from a page of another origin is refused; from our own page it is served."""
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8080"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert 403 == api.put(PATH, json=BODY, headers=headers).status_code
    assert 200 == api.put(PATH, json=BODY, headers={"Origin": "http://localhost:7380"}).status_code


def test_guessing_is_slowed_down(cluster: FakeCluster) -> None:
    """After some wrong tokens an address is told to wait, and for how long; right ones are let in all the while."""
    api = with_token(cluster, "admin")

    async def guess(client: Any) -> tuple[list[int], Any]:
        codes = [
            (await client.get("/v1/status", headers=bearer(f"wrong{n}"))).status_code
            for n in range(FAILURES_MAX)
        ]
        assert 200 == (await client.get("/v1/status", headers=bearer())).status_code
        return codes, await client.get("/v1/status", headers=bearer("wrong"))

    codes, last = api.run(guess)
    assert [401] * FAILURES_MAX == codes
    assert 429 == last.status_code
    assert 0 < int(last.headers["retry-after"]) <= WINDOW_S


def test_failures_are_forgotten_and_bounded() -> None:
    """Failures end with their window, and the table of addresses never grows beyond its limit."""
    logins = FailedLogins()
    for _ in range(FAILURES_MAX):
        logins.add("192.0.2.1", 100.0)
    assert 0 < logins.wait_s("192.0.2.1", 101.0)
    assert 0 == logins.wait_s("192.0.2.1", 100.0 + WINDOW_S)
    for number in range(ADDRESSES_MAX):
        logins.add(f"10.{number}", 101.0)
    assert 0 == logins.wait_s("192.0.2.1", 102.0)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1:7380", True),
        ("[::1]:7380", True),
        ("[::1]", True),
        ("LOCALHOST", True),
        ("localhost.:80", True),
        ("192.0.2.1", True),
        ("ns1.example.org", False),
        ("", False),
    ],
)
def test_local_hosts(host: str, local: bool) -> None:
    """Only addresses and localhost cannot be another site's DNS name."""
    assert local == is_local_host(host)


def test_loopback_addresses() -> None:
    """Loopback is 127/8, ::1 and its mapped form; nobody's address is not."""
    assert [True, True, True, False, False, False] == [
        is_loopback(each) for each in ("127.0.0.3", "::1", "::ffff:127.0.0.1", "", "192.0.2.1", "testclient")
    ]
