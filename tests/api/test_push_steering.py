"""Steering push targets over HTTP, and the dry run."""

import pytest

from node.api.context import PushChange, PushUnreadable
from node.state.pushes import PutTarget, Target
from node.zone.rrset import RRset
from tests.api.conftest import WWW, ZONE, Api

HELD = RRset(WWW, 1, 60, (b"\xc0\x00\x02\x01",))


@pytest.fixture
def far(cluster):
    cluster.do(PutTarget(Target("far", "rfc2136", "192.0.2.53:53", (ZONE,), fence=True)))
    return cluster


def test_a_target_is_paused_and_resumed(far, api):
    """The state is told in its row; what is so already is no change."""
    assert api.call("POST", "/v1/push/far/pause").json()["changed"]
    assert not api.call("POST", "/v1/push/far/pause").json()["changed"]
    assert ("paused", True) == tuple(api.get("/v1/push/far").json()[key] for key in ("state", "fence"))
    api.call("POST", "/v1/push/far/resume")
    assert "paused" != api.get("/v1/push/far").json()["state"]


def test_what_does_not_fit_is_refused_with_a_next_step(far, api):
    """A target that is not held cannot be released, one that is not there cannot be steered."""
    assert 412 == api.call("POST", "/v1/push/far/release").status_code
    missing = api.call("POST", "/v1/push/near/pause")
    assert (404, "qdns push list") == (missing.status_code, missing.json()["hint"])


def test_a_dry_run_tells_what_would_be_replaced(far):
    """What stands there and what would; nothing is proposed."""

    async def diff(target):
        assert "far" == target
        return (PushChange(ZONE, WWW, 1, None, HELD),)

    before = far.state.index
    reply = Api(far, push_diff=diff).get("/v1/push/far/diff").json()
    change = {"zone": "example.org", "name": "www.example.org", "type": "A", "before": None}
    assert [change | {"after": {"ttl": 60, "records": ["192.0.2.1"]}}] == reply["changes"]
    assert before == far.state.index


def test_a_target_that_cannot_be_read_is_no_bug_of_ours(far):
    """The sentence of the push tells why."""

    async def diff(_target):
        raise PushUnreadable("192.0.2.53:53 does not answer")

    reply = Api(far, push_diff=diff).get("/v1/push/far/diff")
    assert (502, "192.0.2.53:53 does not answer") == (reply.status_code, reply.json()["detail"])
