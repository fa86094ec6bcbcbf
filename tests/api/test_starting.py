"""A node that has not caught up since its start: it tells what it knows, never what does not exist."""

from dataclasses import replace

import pytest

from node.state.state import State
from tests.api.conftest import Api

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
