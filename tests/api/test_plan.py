"""``/v1/plan`` and ``/v1/apply``: the file and the cluster, one entry, and what was agreed to alone."""

import itertools
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from node.health.service import Check, Endpoint
from node.state.command import ChangeZone, PutRRset, PutService, PutZone, Together
from node.state.desired import Desired, encode
from node.state.pushes import PutTarget, Target
from node.zone.name import from_text
from tests.api.conftest import SEED, ZONE, Api, FakeCluster
from tests.api.test_tokens import ADMIN, SECRET, bearer, body
from tests.state.test_planning import record

GOLDEN = Path(__file__).parent.parent / "golden" / "plan-v1.json"
FILE = Desired(SEED.zones, SEED.services, SEED.targets)
WIDER = msgspec.structs.replace(FILE, zones=(msgspec.structs.replace(SEED.zones[0], rrsets=(record("a"),)),))


def post(api: Api, path: str, desired: Desired = WIDER, headers: Any = None, **more: Any) -> Any:
    """Send what a file says."""
    return api.call("POST", path, content=encode(desired, **more), headers=headers)


def test_plan_and_apply(api: Api) -> None:
    """A plan changes nothing and tells what differs; applying it is one entry, and then nothing differs."""
    assert [] == post(api, "/v1/plan", FILE).json()["changes"]
    before = api.cluster.state
    planned = post(api, "/v1/plan").json()
    change = {
        "change": "added",
        "kind": "record",
        "what": "a.example.org A",
        "before": None,
        "after": {"ttl": 60, "rdatas": ["192.0.2.1"], "disabled": False},
        "text": "60 192.0.2.1",
    }
    assert ([change], before.index) == (planned["changes"], planned["index"])
    assert before == api.cluster.state
    applied = post(api, "/v1/apply", plan=planned["plan"])
    assert (200, True, before.index + 1) == (
        applied.status_code,
        applied.json()["changed"],
        applied.json()["index"],
    )
    assert isinstance(api.cluster.entries[-1].command, Together)
    again = post(api, "/v1/apply").json()
    assert (False, [], before.index + 1) == (again["changed"], again["changes"], api.cluster.state.index)


def test_every_kind_of_change(api: Api) -> None:
    """Programs read it: every kind of change stands as it was, keys and values, in ``tests/golden/plan-v1.json``."""
    other, settings = from_text("other.test"), SEED.zones[0].settings
    gone = msgspec.structs.replace(SEED.services[0], fqdn=from_text("gone.example.org"), endpoints=())
    for command in (
        ChangeZone(ZONE, (PutRRset(record("b")), PutRRset(record("old", 16, '"x"')))),
        PutZone(other, settings),
        PutService(gone),
        PutTarget(Target("gone", "powerdns", url="https://pdns.test", token="pdns")),
    ):
        api.cluster.do(command)
    first, second = SEED.services[0].endpoints[:2]
    changed = msgspec.structs.replace(
        SEED.services[0],
        ttl=10,
        check=Check("http", 8080, path="/health"),
        endpoints=(msgspec.structs.replace(first, weight=3, tags=("rack7",)), Endpoint("192.0.2.99")),
    )
    new = msgspec.structs.replace(changed, fqdn=from_text("new.example.org"), endpoints=(second,))
    records = (record("a"), record("b", 1, "192.0.2.2", ttl=30))
    desired = Desired(
        (PutZone(ZONE, msgspec.structs.replace(settings, negative_ttl=9), records),),
        (changed, new),
        (Target("new", "rfc2136", "192.0.2.53:53", (ZONE,), tsig="k"), msgspec.structs.replace(SEED.targets[0], fence=True)),
    )  # fmt: skip
    found = {
        "plan": post(api, "/v1/plan", desired).json()["changes"],
        "prune": post(api, "/v1/plan", desired, prune=True).json()["changes"],
    }
    if os.environ.get("QDNS_GOLDEN") == "rewrite":
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    assert json.loads(GOLDEN.read_text()) == found
    kinds = {(each["change"], each["kind"]) for each in found["plan"] + found["prune"]}
    named = itertools.product(("added", "changed", "removed"), ("record", "service", "endpoint", "target"))
    left = itertools.product(("left", "removed"), ("zone", "service", "target"))
    assert {*named, *left, ("changed", "zone")} == kinds


def test_only_what_was_agreed_to(api: Api) -> None:
    """When the cluster changed after the plan, applying is refused, and so it is when that comes in between."""
    planned = post(api, "/v1/plan").json()["plan"]
    api.cluster.do(ChangeZone(ZONE, (PutRRset(record("b")),)))
    refused = post(api, "/v1/apply", plan=planned)
    assert (412, "changed since the plan" in refused.json()["detail"]) == (refused.status_code, True)
    planned = post(api, "/v1/plan").json()["plan"]
    api.cluster.before = lambda: api.cluster.do(ChangeZone(ZONE, (PutRRset(record("a", 1, "192.0.2.9")),)))
    assert 412 == post(api, "/v1/apply", plan=planned).status_code
    assert 200 == post(api, "/v1/apply").status_code


def test_it_takes_what_the_changes_take(cluster: FakeCluster) -> None:
    """Who may read may plan; applying takes the scope of each change."""
    api = Api(cluster)
    api.put("/v1/tokens/admin", json=body("admin", secret=ADMIN))
    api.put("/v1/tokens/ci", json=body("services:write"), headers=bearer(ADMIN))
    assert 200 == post(api, "/v1/plan", headers=bearer(SECRET)).status_code
    refused = post(api, "/v1/apply", headers=bearer(SECRET))
    assert (403, True) == (refused.status_code, "records:write zone=example.org" in refused.json()["detail"])
    assert 200 == post(api, "/v1/apply", headers=bearer(ADMIN)).status_code


@pytest.mark.parametrize("octets", [b"", b"{}", b"[1]", encode(WIDER).replace(b'"shape":"', b'"shape":"0')])
def test_other_bodies(api: Api, octets: bytes) -> None:
    """What qdns of this version does not write is refused with a sentence."""
    refused = api.call("POST", "/v1/apply", content=octets)
    assert (422, True) == (refused.status_code, "nothing was changed" in refused.json()["detail"])
