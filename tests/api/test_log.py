"""The level of the log, over HTTP."""

import structlog.testing

from tests.api.conftest import Api, FakeCluster


def test_the_level_is_told_and_changed(cluster: FakeCluster) -> None:
    """The change is itself a line, with who wanted it; no other level than the four."""
    levels = ["info"]
    api = Api(cluster, log_level=lambda: levels[-1], set_log_level=levels.append)
    assert {"node": "ns1", "level": "info"} == api.get("/v1/log").json()
    with structlog.testing.capture_logs() as logs:
        assert {"node": "ns1", "level": "debug"} == api.put("/v1/log", json={"level": "debug"}).json()
    assert [("log.level_changed", "info", "debug", "local")] == [
        (line["event"], line["before"], line["after"], line["actor"]) for line in logs
    ]
    assert 400 <= api.put("/v1/log", json={"level": "loud"}).status_code < 500
    assert ["info", "debug"] == levels
