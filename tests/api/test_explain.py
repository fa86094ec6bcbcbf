"""``/v1/explain``: as text by depth, and which endpoints are published."""

from dataclasses import replace

from node.dns.explain import explain
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
