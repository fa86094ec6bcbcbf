"""A node that has not caught up since its start: it tells what it knows, never what does not exist."""

from dataclasses import replace
from typing import Any

import pytest

from node.state.api_tokens import ApiToken, PutToken, RevokeToken
from node.state.state import State
from raft.proposal import NotCommitted, Outcome
from tests.api.conftest import Api, FakeCluster
from tests.api.test_tokens import ADMIN, SECRET, bearer, body, digest_of

MISSING = "/v1/zones/example.org/rrsets/missing.example.org./A"


@pytest.fixture(name="early")
def _early(api: Api) -> Api:
    api.cluster.replica = replace(api.cluster.replica, ready=False)
    return api


@pytest.mark.parametrize(
    "path",
    [
        MISSING,
        "/v1/zones/example.net",
        "/v1/services/no.example.org",
        "/v2/keys/helix/org/example/missing/A",
        "/api/v1/servers/localhost/zones/example.net.",
    ],
)
def test_nothing_is_denied_early(early: Api, path: str) -> None:
    """What is not found may be in the part of the log that is not read yet: 503, and 404 once it is."""
    assert 503 == early.get(path).status_code
    early.cluster.replica = replace(early.cluster.replica, ready=True)
    assert 404 == early.get(path).status_code


def test_what_is_known_is_told_early(early: Api) -> None:
    """A node without leader answers from what it applied last."""
    assert 200 == early.get("/v1/zones/example.org").status_code
    assert 200 == early.get("/v1/services/www.example.org").status_code


@pytest.mark.parametrize("path", ["/v1/zones", "/v1/services", "/v1/events", "/v2/keys/helix/"])
def test_an_empty_state_is_no_answer(early: Api, path: str) -> None:
    """Before anything was read back, a list is no list of nothing."""
    early.cluster.state = State()
    refused = early.get(path)
    assert 503 == refused.status_code
    assert "not caught up" in refused.text


def test_a_write_before_the_log_is_read_is_not_told_that_its_zone_is_missing(early: Api) -> None:
    """Nothing is changed, and the client is told to come again or go elsewhere."""
    early.cluster.state = State()
    refused = early.put(MISSING, json={"rdatas": ["192.0.2.1"]})
    assert (503, "not_ready") == (refused.status_code, refused.json()["code"])
    assert "1" == refused.headers["Retry-After"]


def test_status_and_asking_the_leader_answer_early(early: Api) -> None:
    """Status says how far the node is, and a read behind a barrier knows all that there is."""
    status = early.get("/v1/status?scope=local")
    assert (200, "starting") == (status.status_code, status.json()["state"])
    assert 404 == early.get(f"{MISSING}?consistency=leader").status_code
    assert 404 == early.get("/v1/nothing").status_code


ADMINISTRATOR = PutToken(ApiToken("admin", bytes.fromhex(digest_of(ADMIN)), ("admin",)))
NARROW = PutToken(ApiToken("ci", bytes.fromhex(digest_of(SECRET)), ("records:write",)))
RECORD = "/v1/zones/example.org/rrsets/a.example.org/A"
BODY = {"rdatas": ["192.0.2.1"]}


class Behind:
    """An API of a node that learns of some commands by its next barrier only."""

    def __init__(self, cluster: FakeCluster, *missed: Any, **replica: Any) -> None:
        cluster.replica = replace(cluster.replica, **replica)
        self._cluster, self._missed, self.barriers = cluster, missed, 0
        self.api = Api(cluster, read_barrier=self._read_barrier)

    async def _read_barrier(self, timeout_s: float) -> Outcome:
        self.barriers += 1
        outcome = await self._cluster.read_barrier(timeout_s)
        if not isinstance(outcome, NotCommitted):
            for command in self._missed:
                self._cluster.do(command)
            self._missed = ()
        return outcome


@pytest.mark.parametrize(
    ("method", "path", "given"),
    [
        ("PUT", "/v1/tokens/evil", body("admin")),
        ("GET", "/v1/tokens", None),
        ("GET", "/v1/backup", None),
        ("PUT", "/v1/log", {"level": "error"}),
        ("PUT", RECORD, BODY),
    ],
)
@pytest.mark.parametrize("headers", [{}, bearer(SECRET)])
def test_no_token_is_no_administrator_early(
    early: Api, method: str, path: str, given: Any, headers: dict[str, str]
) -> None:
    """What is not read yet may hold the first token: till then this machine's clients read, the socket does all."""
    before = early.cluster.state
    refused = early.call(method, path, json=given, headers=headers)
    assert (503, "not_ready", before) == (refused.status_code, refused.json()["code"], early.cluster.state)
    early.client_address = "unix:root"
    assert 200 == early.call(method, path, json=given).status_code


BEHIND = [
    {"ready": False},
    {"has_quorum": False},
    {"stale_s": None},
    {"stale_s": 2.0},
    {"commit_index": 10},
]
BATCH = {"operations": [{"method": "PUT", "path": RECORD, "body": BODY}]}


@pytest.mark.parametrize("replica", BEHIND)
@pytest.mark.parametrize(("method", "path", "given"), [("PUT", RECORD, BODY), ("POST", "/v1/batch", BATCH)])
def test_a_node_that_was_away_asks_before_a_token_writes(
    cluster: FakeCluster, replica: dict[str, Any], method: str, path: str, given: Any
) -> None:
    """A token that was taken back meanwhile brings nothing into the log, one that is still good does."""
    for command in (ADMINISTRATOR, NARROW):
        cluster.do(command)
    away = Behind(cluster, RevokeToken("ci"), **replica)
    refused = away.api.call(method, path, json=given, headers=bearer(SECRET))
    assert (401, RevokeToken("ci")) == (refused.status_code, cluster.entries[-1].command)
    cluster.replica = replace(cluster.replica, **replica)
    assert 200 == away.api.call(method, path, json=given, headers=bearer(ADMIN)).status_code
    assert "admin" == cluster.entries[-1].actor


@pytest.mark.parametrize("replica", BEHIND[1:])
def test_a_first_token_that_was_missed_closes_loopback(cluster: FakeCluster, replica: dict[str, Any]) -> None:
    """Without a token nothing comes into the log of a cluster that has one by now, and all may where it has none."""
    away = Behind(cluster, ADMINISTRATOR, **replica)
    refused = away.api.call("POST", "/v1/batch", json=BATCH)
    assert (401, ADMINISTRATOR) == (refused.status_code, cluster.entries[-1].command)
    cluster.do(RevokeToken("admin"))
    cluster.replica = replace(cluster.replica, **replica)
    assert 200 == away.api.call("POST", "/v1/batch", json=BATCH).status_code


def test_without_an_answer_nothing_is_brought_into_the_log(cluster: FakeCluster) -> None:
    """A node that cannot ask says why, and who comes over the socket needs no asking."""
    away = Behind(cluster, stale_s=2.0)
    cluster.refusal = NotCommitted("no-quorum", "no majority")
    assert 503 == away.api.put(RECORD, json=BODY).status_code
    cluster.refusal = None
    assert 1 == away.barriers
    away.api.client_address = "unix:root"
    assert (200, 1) == (away.api.put(RECORD, json=BODY).status_code, away.barriers)
    cluster.replica = replace(cluster.replica, stale_s=0.0)
    away.api.client_address = "127.0.0.1"
    assert (200, 1) == (away.api.put(RECORD, json=BODY).status_code, away.barriers)
