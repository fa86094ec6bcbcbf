"""``/v1/batch``: all or nothing, each operation on what the ones before make, one entry of the log."""

from typing import Any

import pytest

from node.state.command import ChangeZone, DeleteRRset, Together
from node.zone.name import from_text
from tests.api.conftest import ZONE, Api, FakeCluster
from tests.api.test_tokens import ADMIN, SECRET, bearer, body

RECORD = "/v1/zones/{}/rrsets/{}/A"
FRESH = {"method": "PUT", "path": "/v1/zones/fresh.test", "body": {"nameservers": ["ns1.example.org"]}}
FILLED = {
    "method": "PUT",
    "path": RECORD.format("fresh.test", "www.fresh.test"),
    "body": {"rdatas": ["192.0.2.1"]},
}


def put(name: str, *rdatas: str, **more: Any) -> dict[str, Any]:
    """Return an operation that puts an RRset into example.org."""
    return {
        "method": "PUT",
        "path": RECORD.format("example.org", name),
        "body": {"rdatas": list(rdatas)},
        **more,
    }


def post(api: Api, *operations: dict[str, Any], **options: Any) -> Any:
    """Send a batch."""
    return api.call("POST", "/v1/batch", json={"operations": list(operations)}, **options)


def test_one_entry(api: Api) -> None:
    """A zone, a record in it, a service and a drain come at one index, and the answer says which."""
    before = api.cluster.state.index
    service = {"check": "http://{}/", "endpoints": ["192.0.2.1", "192.0.2.2"], "zone": "fresh.test"}
    answer = post(
        api,
        FRESH,
        FILLED,
        {"method": "PUT", "path": "/v1/services/a.fresh.test", "body": service},
        {"method": "PUT", "path": "/v1/services/a.fresh.test/endpoints/192.0.2.1/drain", "body": {}},
    )
    assert (200, {"index": before + 1, "serial": None, "changed": True}) == (answer.status_code, answer.json())
    state = api.cluster.state
    assert before + 1 == state.index
    assert isinstance(api.cluster.entries[-1].command, Together)
    assert "drain" == state.services[from_text("a.fresh.test")].overrides[0][1].kind
    assert 200 == api.get(RECORD.format("fresh.test", "www.fresh.test")).status_code


@pytest.mark.parametrize(
    ("bad", "status", "said"),
    [
        (put("www.example.org", "192.0.2.9"), 409, "/operations/2: "),
        (put("b.example.org", "192.0.2.300"), 422, "/operations/2"),
        ({"method": "DELETE", "path": "/v1/zones/none.test"}, 404, "/operations/2: there is no zone none.test"),
        ({"method": "PUT", "path": "/v1/nothing"}, 404, "/operations/2: there is nothing at /v1/nothing"),
        ({"method": "POST", "path": "/v1/zones/fresh.test"}, 405, "/operations/2: "),
        ({"method": "PUT", "path": "/v2/keys/helix/org/example/www/TXT"}, 422, "is no write of /v1"),
        ({"method": "POST", "path": "/v1/batch", "body": {"operations": [FILLED]}}, 422, "cannot go together"),
        ({"method": "PUT", "path": "/v1/tokens/x", "body": body("admin")}, 422, "cannot go together"),
        ({"method": "DELETE", "path": "/v1/nodes/ns1"}, 422, "cannot go together"),
        ({"method": "POST", "path": "/v1/plan", "body": {}}, 422, "cannot go together"),
        (put("c.example.org", "192.0.2.1", if_match='"77"'), 412, "/operations/2: "),
        (put("c.example.org", "192.0.2.1", if_match="*"), 412, "/operations/2: "),
        ({**FRESH, "if_none_match": "*"}, 412, "/operations/2: "),
        ({**FRESH, "method": "GET"}, 422, "/operations/2/method"),
    ],
)  # fmt: skip
def test_nothing_when_one_is_refused(api: Api, bad: dict[str, Any], status: int, said: str) -> None:
    """The refusal of one operation is told with its place, and nothing of the others is done."""
    before = api.cluster.state
    answer = post(api, FRESH, FILLED, bad)
    assert status == answer.status_code, answer.text
    assert said in answer.json()["detail"]
    assert "nothing was changed" in answer.json()["detail"]
    assert before.zones == api.cluster.state.zones


def test_a_refused_operation_has_done_nothing(cluster: FakeCluster) -> None:
    """What happens on this node alone is refused before it happens."""
    done: list[Any] = []
    api = Api(
        cluster,
        set_log_level=done.append,
        refresh_target=lambda name: bool(done.append(name)),
        hear=lambda *heard: bool(done.append(heard)),
    )
    for method, path, given in (
        ("PUT", "/v1/log", {"level": "error"}),
        ("POST", "/v1/services/www.example.org/refresh", None),
        ("POST", "/v1/services/www.example.org/endpoints/192.0.2.10/heartbeat", None),
    ):
        refused = post(api, {"method": method, "path": path, "body": given})
        assert (422, True) == (refused.status_code, "cannot go together" in refused.json()["detail"])
    assert [] == done


def test_what_an_operation_made_can_be_required(api: Api) -> None:
    """If-Match: * holds for what an operation before made, and If-None-Match: * for what one took away."""
    again = {**FILLED, "body": {"rdatas": ["192.0.2.2"]}, "if_match": "*"}
    gone = {"method": "DELETE", "path": FILLED["path"]}
    assert 200 == post(api, FRESH, FILLED, again, gone, {**FILLED, "if_none_match": "*"}).status_code


def test_conditions_are_judged_by_the_log(api: Api) -> None:
    """Who was faster between the plan and the log makes the whole batch lose, and is not overwritten."""
    api.put(RECORD.format("example.org", "a.example.org"), json={"rdatas": ["192.0.2.1"]})
    etag = api.get(RECORD.format("example.org", "a.example.org")).headers["etag"]
    faster = ChangeZone(ZONE, (DeleteRRset(from_text("a.example.org"), 1),))
    api.cluster.before = lambda: api.cluster.do(faster)
    answer = post(api, put("b.example.org", "192.0.2.5"), put("a.example.org", "192.0.2.6", if_match=etag))
    assert (412, True) == (answer.status_code, "change 2 of 2" in answer.json()["detail"])
    assert 404 == api.get(RECORD.format("example.org", "b.example.org")).status_code


def test_a_key_makes_it_once(api: Api) -> None:
    """Sent again with its key a batch gets its first answer."""
    key = {"Idempotency-Key": "once"}
    first = post(api, put("a.example.org", "192.0.2.1"), headers=key)
    api.call("DELETE", RECORD.format("example.org", "a.example.org"))
    again = post(api, put("a.example.org", "192.0.2.1"), headers=key)
    assert (200, first.json()) == (again.status_code, again.json())
    assert 404 == api.get(RECORD.format("example.org", "a.example.org")).status_code
    assert 422 == post(api, put("b.example.org", "192.0.2.1"), headers=key).status_code


def test_every_operation_takes_its_scope(cluster: FakeCluster) -> None:
    """A token can do in a batch what it can do alone, and with its conditions."""
    api = Api(cluster)
    api.put("/v1/tokens/admin", json=body("admin", secret=ADMIN))
    api.put("/v1/tokens/ci", json=body("records:write name=a.example.org"), headers=bearer(ADMIN))
    assert 200 == post(api, put("a.example.org", "192.0.2.1"), headers=bearer(SECRET)).status_code
    for other in (
        put("b.example.org", "192.0.2.1"),
        FRESH,
        {"method": "DELETE", "path": "/v1/services/www.example.org"},
    ):
        assert 403 == post(api, put("a.example.org", "192.0.2.2"), other, headers=bearer(SECRET)).status_code
    assert ["192.0.2.1"] == api.get(
        RECORD.format("example.org", "a.example.org"), headers=bearer(ADMIN)
    ).json()["rdatas"]


@pytest.mark.parametrize("operations", [[], [put("a.example.org", "192.0.2.1")] * 1001])
def test_limits(api: Api, operations: list[dict[str, Any]]) -> None:
    """A batch holds something, and not more than its limit."""
    assert 422 == post(api, *operations).status_code
