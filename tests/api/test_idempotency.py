"""A write with an Idempotency-Key is done once and answered alike, on whichever node it is sent again."""

import hashlib
from pathlib import Path
from typing import Any, get_args, get_type_hints

import httpx
import pytest

from node.api.message import SAFE, Proposal
from node.api.table import TABLE
from node.state.api_tokens import ApiToken, PutToken
from node.state.command import ChangeZone, Decline, DeleteRRset, DeleteZone
from node.state.state import State
from node.zone.name import from_text
from raft.proposal import NotCommitted, Unknown
from tests.api.conftest import ZONE, Api, FakeCluster

RECORD = "/v1/zones/example.org/rrsets/a.example.org/A"
KEY = {"Idempotency-Key": '"8e03978e-40d5-43dd"'}
BODY = {"rdatas": ["192.0.2.1"]}
UNKNOWN = Unknown("the leader went")


def told(response: httpx.Response) -> tuple[int, Any]:
    return response.status_code, response.json()


def serial(cluster: FakeCluster) -> int:
    return cluster.state.zones[ZONE].serial


def test_a_repetition_is_answered_from_the_log(api: Api, cluster: FakeCluster) -> None:
    """The same key and request give the same answer, though the record has changed since."""
    first = api.put(RECORD, json=BODY, headers=KEY)
    api.put(RECORD, json={"rdatas": ["192.0.2.9"]})
    before = (serial(cluster), len(cluster.entries))
    again = Api(cluster, node="ns2").put(RECORD, json=BODY, headers=KEY)
    assert (200, told(first)) == (first.status_code, told(again))
    assert first.headers["Qdns-Index"] == again.headers["Qdns-Index"]
    assert before == (serial(cluster), len(cluster.entries))


def test_another_key_or_none_is_another_write(api: Api) -> None:
    """Without the same key nothing is told again."""
    indexes = [
        api.put(RECORD, json=BODY, headers=headers).json()["index"]
        for headers in (KEY, {"Idempotency-Key": "other"}, {}, {})
    ]
    assert 4 == len(set(indexes))


@pytest.mark.parametrize(
    ("path", "options"),
    [
        (RECORD, {"json": {"rdatas": ["192.0.2.2"]}}),
        (RECORD.replace("a.example.org", "b.example.org"), {"json": BODY}),
        (RECORD, {"json": BODY, "headers": {"If-Match": '"9"'}}),
        ("/v1/zones/nowhere.test/rrsets/a.nowhere.test/A", {"json": BODY}),
    ],
)
def test_a_key_of_another_request_is_refused(
    path: str, options: dict[str, Any], api: Api, cluster: FakeCluster
) -> None:
    """Another body, path or condition under a used key is 422 with a code of its own, and does nothing."""
    api.put(RECORD, json=BODY, headers=KEY)
    before = serial(cluster)
    refused = api.put(path, **(options | {"headers": options.get("headers", {}) | KEY}))
    assert (422, "key_reused") == (refused.status_code, refused.json()["code"])
    assert "nothing was changed" in refused.json()["detail"]
    assert before == serial(cluster)


def test_a_deletion_is_told_again_though_nothing_is_left(api: Api, cluster: FakeCluster) -> None:
    """What the first try took away does not make the second one fail."""
    for path in (RECORD, "/v1/services/www.example.org", "/v1/zones/example.org"):
        api.put(RECORD, json=BODY)
        answers = [
            told(api.call("DELETE", path, headers={"Idempotency-Key": f"key-{len(path)}"})) for _ in range(2)
        ]
        assert 200 == answers[0][0]
        assert answers[0] == answers[1]
    assert ZONE not in cluster.state.zones


def test_a_condition_that_the_first_try_broke_is_told_as_kept(api: Api) -> None:
    """If-None-Match: * of a repetition speaks of the time before the first try."""
    headers = KEY | {"If-None-Match": "*"}
    first, again = (
        api.put("/v1/zones/new.test", json={"nameservers": ["ns.new.test"]}, headers=headers) for _ in range(2)
    )
    assert (200, told(first)) == (first.status_code, told(again))


def test_a_refusal_is_told_again_and_stays(api: Api, cluster: FakeCluster) -> None:
    """What was refused under a key is refused under it for good, also when it would be possible by now."""
    path = "/v1/zones/late.test/rrsets/a.late.test/A"
    first = api.call("DELETE", path, headers=KEY)
    assert 404 == first.status_code
    assert isinstance(cluster.entries[-1].command, Decline)
    api.put("/v1/zones/late.test", json={"nameservers": ["ns.late.test"]})
    again = api.call("DELETE", path, headers=KEY)
    assert told(first) == told(again)


def test_a_lost_condition_is_told_again(api: Api) -> None:
    """A precondition that failed in the log stays failed."""
    headers = KEY | {"If-Match": '"1"'}
    first = api.put(RECORD, json=BODY, headers=headers)
    again = api.put(RECORD, json=BODY, headers=headers)
    assert (412, 412) == (first.status_code, again.status_code)
    assert first.json()["detail"] == again.json()["detail"]


def test_a_node_that_is_behind_tells_what_was_done_elsewhere(cluster: FakeCluster) -> None:
    """A node that has not seen the first try asks the log before it refuses."""
    old = cluster.state
    first = Api(cluster).put("/v1/zones/new.test", json={"nameservers": ["ns.new.test"]})
    assert 200 == first.status_code
    path = "/v1/zones/new.test/rrsets/a.new.test/A"
    done = Api(cluster).put(path, json=BODY, headers=KEY)
    states = iter([old, old])

    def lagging() -> State:
        return next(states, cluster.state)

    again = Api(cluster, state=lagging).put(path, json=BODY, headers=KEY)
    assert (200, told(done)) == (done.status_code, told(again))


def test_a_refusal_on_one_node_holds_back_the_try_of_another(api: Api, cluster: FakeCluster) -> None:
    """Who was told that it cannot be never finds it done by a try that was still on its way."""
    api.put("/v1/zones/new.test", json={"nameservers": ["ns.new.test"]})
    path = "/v1/zones/new.test/rrsets/a.new.test/A"
    on_its_way: dict[str, Any] = {}

    async def hold(command: Any, **circumstances: Any) -> Unknown:
        on_its_way.update(circumstances, command=command)
        return UNKNOWN

    assert 503 == Api(cluster, propose=hold).call("DELETE", path, headers=KEY).status_code
    assert isinstance(on_its_way["command"], ChangeZone)
    cluster.do(DeleteZone(from_text("new.test")))
    refused = api.call("DELETE", path, headers=KEY)
    assert 404 == refused.status_code
    api.put("/v1/zones/new.test", json={"nameservers": ["ns.new.test"]})
    api.put(path, json=BODY)
    before = cluster.state.zones[from_text("new.test")]
    cluster.do(on_its_way["command"], ticket=on_its_way["ticket"])
    assert before is cluster.state.zones[from_text("new.test")]
    assert (DeleteRRset,) == tuple(type(each) for each in on_its_way["command"].changes)


def test_a_key_belongs_to_who_asks(cluster: FakeCluster) -> None:
    """Two tokens may choose the same key."""
    from hashlib import sha256

    from node.api.context import Token

    tokens = tuple(Token(name, sha256(name.encode()).hexdigest(), ("write",)) for name in ("ci", "cd"))
    api = Api(cluster, tokens=tokens, trusted_loopback=False)
    indexes = [
        api.put(RECORD, json=BODY, headers=KEY | {"Authorization": f"Bearer {name}"}).json()["index"]
        for name in ("ci", "cd", "ci")
    ]
    assert indexes[0] == indexes[2] != indexes[1]


@pytest.mark.parametrize(
    "text", ["", '""', '"' + "x" * 65 + '"', "x" * 65, "two words", '"a" "b"', '"open', "ü"]
)
def test_what_is_no_key_is_refused(text: str, api: Api, cluster: FakeCluster) -> None:
    """A header that is not one short string is a bad request, before anything is proposed."""
    before = len(cluster.entries)
    refused = api.put(RECORD, json=BODY, headers={"Idempotency-Key": text.encode()})
    assert (400, "bad_request") == (refused.status_code, refused.json()["code"])
    assert before == len(cluster.entries)


def test_quoted_or_bare_it_is_the_same_key(api: Api) -> None:
    """Programs write the header in both ways."""
    indexes = [
        api.put(RECORD, json=BODY, headers={"Idempotency-Key": text}).json()["index"]
        for text in ('"k-1"', "k-1", ' "k-1" ')
    ]
    assert 1 == len(set(indexes))


def test_a_fault_of_the_request_alone_takes_no_key(api: Api, cluster: FakeCluster) -> None:
    """What is wrong with the body costs no entry, and the corrected request may have the key."""
    before = len(cluster.entries)
    assert 422 == api.put(RECORD, json={"rdatas": ["192.0.2.300"]}, headers=KEY).status_code
    assert before == len(cluster.entries)
    assert 200 == api.put(RECORD, json=BODY, headers=KEY).status_code


def test_without_an_outcome_nothing_is_claimed(api: Api, cluster: FakeCluster) -> None:
    """No leader and no outcome are told as such, also where this node alone would have refused."""
    for outcome, code in ((UNKNOWN, "outcome_unknown"), (NotCommitted("no-leader", "none"), "no_leader")):
        cluster.refusal = outcome
        for path in (RECORD, "/v1/zones/nowhere.test/rrsets/a.nowhere.test/A"):
            answer = api.call("DELETE", path, headers=KEY)
            assert (503, code) == (answer.status_code, answer.json()["code"])
    cluster.refusal = None
    assert 200 == api.call("DELETE", RECORD, headers=KEY).status_code


def test_reads_and_other_doors_know_no_key(api: Api, cluster: FakeCluster) -> None:
    """The header is one of ``/v1``'s writes."""
    assert 200 == api.get("/v1/zones", headers=KEY).status_code
    for value in ("192.0.2.1", "192.0.2.2"):
        path = "/v2/keys/helix/org/example/k/A"
        assert api.put(path, data={"value": value}, headers=KEY).status_code < 300
    assert [None] == list({each.ticket for each in cluster.entries})


ALONE = {
    ("put", "/v1/log"),
    ("put", "/v1/nodes/{name}"),
    ("delete", "/v1/nodes/{name}"),
    ("post", "/v1/nodes/{name}/replace"),
    ("post", "/v1/nodes/{name}/lead"),
    ("post", "/v1/notify/{name}/test"),
    ("post", "/v1/plan"),
    ("put", "/v1/zones/{zone}/file"),
    ("post", "/v1/services/{fqdn}/endpoints/{address}/heartbeat"),
    ("post", "/v1/services/{fqdn}/refresh"),
    ("post", "/v1/services/{fqdn}/whatif"),
}
"""What happens on one node alone, or in more than one entry."""


def test_what_makes_no_entry_is_marked() -> None:
    """Whether a write becomes an entry is said of its route as its handler has it."""
    writes = [each for each in TABLE.routes if each.method not in SAFE and each.pattern.startswith("/v1/")]
    for route in writes:
        answers = get_type_hints(route.handler)["return"]
        assert (Proposal in (answers, *get_args(answers))) == route.makes_entry, route.pattern
    assert {(each.method.lower(), each.pattern) for each in writes if not each.makes_entry} == ALONE


@pytest.mark.parametrize("scope", ["read", "heartbeat", "endpoints:operate"])
@pytest.mark.parametrize(
    "path",
    [
        "/v1/services/no.example.org/endpoints/192.0.2.1/heartbeat",
        "/v1/services/no.example.org/whatif",
        "/v1/services/no.example.org/refresh",
    ],
)
def test_no_entry_for_what_makes_none(cluster: FakeCluster, scope: str, path: str) -> None:
    """With a key, too, a request that changes nothing leaves nothing in the log."""
    cluster.do(PutToken(ApiToken("ci", hashlib.sha256(b"secret").digest(), (scope,))))
    before = cluster.state.index
    headers = {**KEY, "Authorization": "Bearer secret"}
    assert Api(cluster).call("POST", path, json={}, headers=headers).status_code in (403, 404, 422)
    assert before == cluster.state.index


@pytest.mark.parametrize(("scope", "entries"), [("read", 0), ("records:write", 1)])
def test_who_may_write_nothing_makes_no_entry_by_being_refused(
    cluster: FakeCluster, scope: str, entries: int
) -> None:
    """A refusal is kept with its key only for those who could have written."""
    cluster.do(PutToken(ApiToken("ci", hashlib.sha256(b"secret").digest(), (scope,))))
    before = cluster.state.index
    headers = {**KEY, "Authorization": "Bearer secret"}
    batch = {"operations": [{"method": "DELETE", "path": "/v1/nothing"}]}
    assert 404 == Api(cluster).call("POST", "/v1/batch", json=batch, headers=headers).status_code
    assert entries == cluster.state.index - before


def test_the_header_is_described(api: Api) -> None:
    """Every write of ``/v1`` that becomes one entry of the log names the header, and no other one."""
    paths = api.get("/openapi.json").json()["paths"]
    named = {
        (method, path)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", []))
    }
    assert {
        (method, path)
        for path, methods in paths.items()
        for method in methods
        if path.startswith("/v1/") and method != "get" and (method, path) not in ALONE
    } == named


def test_the_example_of_the_manual(api: Api) -> None:
    """What docs/operations.md shows can be sent twice and is done once."""
    text = (Path(__file__).parent.parent.parent / "docs" / "operations.md").read_text()
    head, body = text.split("```http\n")[1].split("```")[0].split("\n\n")
    line, *fields = head.split("\n")
    method, path = line.split()
    headers = dict(each.split(": ", 1) for each in fields)
    first, again = (api.call(method, path, content=body, headers=headers) for _ in range(2))
    assert (200, told(first)) == (first.status_code, told(again))
