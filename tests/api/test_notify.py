"""Who is told of events, over HTTP."""

from node.api.context import NotTold, ReceiverRow
from node.state.state import Receiver
from tests.api.conftest import Api, FakeCluster

ROWS = (
    ReceiverRow("mail", "mail", "ops@example.net", Receiver(7, 9, failures=2, node="ns2", detail="HTTP 503")),
    ReceiverRow("new", "script", "/bin/page", None),
    ReceiverRow("ops", "webhook", "hooks.example.net", Receiver(7, 9, at_ms=1_700_000_000_000, accepted=3)),
)


def test_the_receivers_are_listed(cluster: FakeCluster) -> None:
    """Each with how it is, none with a URL."""
    reply = Api(cluster, receivers=lambda: ROWS).get("/v1/notify").json()
    assert ["failing", "new", "ok"] == [row["state"] for row in reply["items"]]
    assert {"failures": 2, "node": "ns2", "detail": "HTTP 503"}.items() <= reply["items"][0].items()
    assert (3, "2023-11-14T22:13:20.000Z") == (reply["items"][2]["accepted"], reply["items"][2]["last_at"])


def test_a_test_says_how_it_was_taken(cluster: FakeCluster) -> None:
    """By the node that is asked; a receiver that refuses it is no bug of ours."""

    async def try_it(name: str) -> str | None:
        if name == "mail":
            raise NotTold("the mail server said 550")
        return "HTTP 204" if name == "ops" else None

    api = Api(cluster, test_receiver=try_it)
    taken = api.call("POST", "/v1/notify/ops/test")
    assert (200, "HTTP 204", "ns1") == (taken.status_code, taken.json()["detail"], taken.json()["node"])
    refused = api.call("POST", "/v1/notify/mail/test")
    assert (502, "mail did not take the test: the mail server said 550") == (
        refused.status_code,
        refused.json()["detail"],
    )
    missing = api.call("POST", "/v1/notify/nobody/test")
    assert (404, "qdns notify list") == (missing.status_code, missing.json()["hint"])
