"""``/v1/series``: this node's own measurements, by endpoint."""

from node.probe.history import Cell
from tests.api.conftest import Api, FakeCluster


def test_series(cluster: FakeCluster) -> None:
    """Each endpoint has as many cells as the span; null is no probe."""

    def series(_fqdn: bytes, address: str, count: int, minutes: int) -> list[Cell | None]:
        return [None] * (count - 1) + [Cell(30, 29, minutes, 70) if address == "192.0.2.10" else None]

    api = Api(cluster, series=series)
    row = api.get("/v1/series?service=www.example.org").json()
    assert ("ns1", 60, 60) == (row["name"], row["step_s"], len(row["endpoints"]["192.0.2.10"]))
    last = {"probes": 30, "good": 29, "mean_ms": 1, "longest_ms": 70}
    assert [None, last] == row["endpoints"]["192.0.2.10"][-2:]
    assert [None] * 60 == row["endpoints"]["2001:db8::12"]
    day = api.get("/v1/series?service=www.example.org&span=24h").json()
    assert (900, 96) == (day["step_s"], len(day["endpoints"]["192.0.2.10"]))


def test_refusals(api: Api) -> None:
    """Without a service, with an unknown one or another span there is a sentence, not a guess."""
    for path, status in (
        ("/v1/series", 400),
        ("/v1/series?service=no.example.org", 404),
        ("/v1/series?service=www.example.org&span=2h", 400),
    ):
        assert status == api.get(path).status_code
