"""``/v1/explain``: as text by depth, and which endpoints are published."""

from dataclasses import replace

import msgspec
from immutables import Map

from node.dns.explain import explain, explain_at
from tests.api.conftest import Api


def test_explain(api: Api) -> None:
    """The answer, why, and every endpoint of the asked family."""
    api.context = replace(api.context, explain=explain)
    api.cluster.vote("192.0.2.10", False, evidence="HTTP 503")
    found = api.get("/v1/explain?name=www.example.org").json()
    assert ("www.example.org", "A", "answer", 0) == tuple(
        found[key] for key in ("name", "type", "kind", "rcode")
    )
    assert ["www.example.org. A 192.0.2.11"] == found["records"]
    assert [("192.0.2.10", False, "down"), ("192.0.2.11", True, "undecided")] == [
        (each["address"], each["published"], each["reason"]) for each in found["endpoints"]
    ]
    assert any("▼ ns1 fra  HTTP 503" in line["text"] for line in found["endpoints"][0]["lines"])
    assert api.cluster.state.index == found["index"]
    assert 400 == api.get("/v1/explain").status_code
    assert 422 == api.get("/v1/explain?name=a..b").status_code
    assert 422 == api.get("/v1/explain?name=a&type=NONSENSE").status_code


def test_the_past(api: Api) -> None:
    """As it was at an index; one that is to come is a clear problem, as is a word that is no index."""
    api.context = replace(api.context, explain=explain, explain_at=explain_at)
    api.cluster.vote("192.0.2.10", False, evidence="HTTP 503")
    down = api.cluster.state.index
    api.cluster.vote("192.0.2.10", True)
    found = api.get(f"/v1/explain?name=www.example.org&at={down}").json()
    assert (down, "down") == (found["index"], found["endpoints"][0]["reason"])
    assert "up" == api.get("/v1/explain?name=www.example.org").json()["endpoints"][0]["reason"]
    late = api.get("/v1/explain?name=www.example.org&at=99")
    assert (404, f"index 99 is to come: the newest here is {down + 3}") == (
        late.status_code,
        late.json()["detail"],
    )
    assert 400 == api.get("/v1/explain?name=www.example.org&at=now").status_code
    assert 400 == api.get(f"/v1/explain?at={down}").status_code


def test_one_entry(api: Api) -> None:
    """Its events, and every service and zone before and after; one that is too old is gone."""
    api.cluster.vote("192.0.2.10", False, "ns1", "ns2", evidence="HTTP 503")
    index = api.cluster.state.index
    found = api.get(f"/v1/events/{index}").json()
    kinds = ["vote.cast", "verdict.changed", "service.published", "zone.changed"]
    assert kinds == [each["kind"] for each in found["events"]]
    (service,) = found["services"]
    assert ["192.0.2.10", "192.0.2.11", "2001:db8::12"] == service["before"]
    assert ["192.0.2.11", "2001:db8::12"] == service["after"]
    assert any("▼ ns2" in line["text"] for line in service["lines"])
    assert ["www.example.org. 5 A 192.0.2.10"] == found["records"][0]["removed"]
    assert found == api.get(f"/v1/events/{index}.2").json()
    assert 404 == api.get("/v1/events/99").status_code
    assert 400 == api.get("/v1/events/x").status_code
    state = api.cluster.state
    last = state.events_next - 1
    api.cluster.state = msgspec.structs.replace(state, events=Map({last: state.events[last]}))
    gone = api.get("/v1/events/1")
    assert (410, "qdns event list") == (gone.status_code, gone.json()["hint"])
