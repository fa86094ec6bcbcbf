"""lego's ``httpreq`` door: one challenge comes and goes beside another, with the token as a password."""

import base64
import hashlib

import pytest

from node.api.context import Token
from node.zone.name import from_text
from node.zone.rrset import TXT
from tests.api.conftest import ZONE, Api, FakeCluster

FQDN = "_acme-challenge.example.org."


def post(api: Api, what: str, value: str = "one", fqdn: str = FQDN, **headers: str) -> int:
    """Send what lego sends, and return the status."""
    body = {"fqdn": fqdn, "value": value}
    return api.call("POST", f"/v1/acme/{what}", json=body, headers=headers).status_code


def values(cluster: FakeCluster) -> list[bytes]:
    """Return what stands at the challenge's name."""
    rrset = cluster.state.zones[ZONE].get(from_text(FQDN), TXT)
    return sorted(rrset.rdatas) if rrset is not None else []


def test_two_clients_at_one_name(api: Api) -> None:
    """Each keeps its own value; what is there is added, and what is gone removed, without harm."""
    for value in ("one", "two", "one"):
        assert 200 == post(api, "present", value)
    assert [b"\x03one", b"\x03two"] == values(api.cluster)
    for _ in range(2):
        assert 200 == post(api, "cleanup", "one")
    assert [b"\x03two"] == values(api.cluster)
    assert 200 == post(api, "cleanup", "two")
    assert [] == values(api.cluster)


def test_refusals(api: Api) -> None:
    """Names of other people, and values that no TXT holds, are told and change nothing."""
    index = api.cluster.state.index
    assert 404 == post(api, "present", fqdn="_acme-challenge.example.net.")
    assert 422 == post(api, "present", value="")
    assert 422 == post(api, "present", value="\u00fc" * 200)
    assert 422 == post(api, "present", fqdn="a..b")
    assert index == api.cluster.state.index


@pytest.mark.parametrize(
    ("credentials", "status"),
    [(b"lego:qdns_acme", 200), (b"lego:wrong", 401), (b"no colon", 401), (b"\xff:\xff", 401)],
)
def test_the_token_as_a_password(cluster: FakeCluster, credentials: bytes, status: int) -> None:
    """HTTPREQ_USERNAME may be anything; the token may write challenges and nothing else."""
    token = Token("lego", hashlib.sha256(b"qdns_acme").hexdigest(), ("acme zone=example.org",))
    api = Api(cluster, tokens=(token,))
    basic = {"Authorization": f"Basic {base64.b64encode(credentials).decode()}"}
    assert status == post(api, "present", **basic)
    if status == 200:
        assert 403 == post(api, "present", fqdn="www.example.org.", **basic)
    assert 401 == post(api, "present", Authorization="Basic not-base64!")
