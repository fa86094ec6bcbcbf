"""Tokens in the log: made, used, ended and taken back, and no way to lock everybody out."""

import hashlib
from typing import Any

import pytest

from node.api.context import Token
from node.state.api_tokens import ApiToken, PutToken
from node.state.command import KEEPS_ADMINISTRATOR_FORMAT, SetFormat
from tests.api.conftest import Api, FakeCluster

SECRET = "qdns_ci_" + "5" * 64
ADMIN = "qdns_admin_" + "6" * 64


def digest_of(secret: str) -> str:
    """Return the hash of a secret in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def body(*scopes: str, secret: str = SECRET, **more: Any) -> dict[str, Any]:
    """Return what creates a token."""
    return {"sha256": digest_of(secret), "scopes": list(scopes), **more}


def bearer(secret: str) -> dict[str, str]:
    """Return the headers that show a secret."""
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture(name="kept")
def _kept(cluster: FakeCluster) -> Api:
    """An API of a cluster that has an administrator's token."""
    cluster.do(PutToken(ApiToken("admin", bytes.fromhex(digest_of(ADMIN)), ("admin",))))
    return Api(cluster)


def test_made_listed_used_and_taken_back(kept: Api) -> None:
    """A token lets in from the answer on and no more once it is taken back; no answer and no event has its hash."""
    made = kept.put("/v1/tokens/ci", json=body("records:write zone=example.org"), headers=bearer(ADMIN))
    assert 200 == made.status_code
    listed = kept.get("/v1/tokens", headers=bearer(ADMIN))
    assert [("admin", ""), ("ci", "admin")] == [
        (each["name"], each["created_by"]) for each in listed.json()["items"]
    ]
    events = kept.get("/v1/events", headers=bearer(SECRET))
    told = events.json()["items"][-1]
    assert ("token.created", "ci", "admin") == (told["kind"], told["subject"], told["actor"])
    assert digest_of(SECRET) not in listed.text + events.text
    assert 200 == kept.call("DELETE", "/v1/tokens/ci", headers=bearer(ADMIN)).status_code
    assert 401 == kept.get("/v1/events", headers=bearer(SECRET)).status_code
    assert 404 == kept.call("DELETE", "/v1/tokens/ci", headers=bearer(ADMIN)).status_code


def test_conditions_narrow_what_is_changed_and_not_what_is_read(kept: Api) -> None:
    """A token of another zone reads this one, as SECURITY.md says; a scope that promises less is refused."""
    kept.put("/v1/tokens/ci", json=body("records:write zone=other.test"), headers=bearer(ADMIN))
    path = "/v1/zones/example.org"
    assert 200 == kept.get(f"{path}/rrsets", headers=bearer(SECRET)).status_code
    record = {"rdatas": ["192.0.2.1"]}
    refused = kept.put(f"{path}/rrsets/x.example.org/A", json=record, headers=bearer(SECRET))
    assert 403 == refused.status_code
    promised = kept.put("/v1/tokens/narrow", json=body("read zone=example.org"), headers=bearer(ADMIN))
    assert (422, True) == (promised.status_code, "nothing can follow" in promised.text)


def test_it_ends(kept: Api) -> None:
    """A token is worth nothing from its end on, by the clock of the node that is asked."""
    kept.put("/v1/tokens/ci", json=body("read", expires_in_s=60), headers=bearer(ADMIN))
    assert 200 == kept.get("/v1/status", headers=bearer(SECRET)).status_code
    kept.cluster.now_ms += 60_000
    assert 401 == kept.get("/v1/status", headers=bearer(SECRET)).status_code
    shown = kept.get("/v1/tokens/ci", headers=bearer(ADMIN)).json()
    assert shown["expired"]


def test_only_administrators(kept: Api) -> None:
    """Tokens are listed, made and taken back by administrators alone."""
    kept.put("/v1/tokens/ci", json=body("write"), headers=bearer(ADMIN))
    for method, path in (("GET", "/v1/tokens"), ("PUT", "/v1/tokens/x"), ("DELETE", "/v1/tokens/admin")):
        refused = kept.call(method, path, json=body("admin"), headers=bearer(SECRET))
        assert (403, "the token ci lacks the scope cluster:admin") == (
            refused.status_code,
            refused.json()["detail"],
        )


def test_the_first_one_is_an_administrator(api: Api) -> None:
    """On loopback the first token must be one that can make others; over the socket any can come first."""
    api.cluster.do(SetFormat(KEEPS_ADMINISTRATOR_FORMAT))
    assert 409 == api.put("/v1/tokens/ci", json=body("read")).status_code
    assert 409 == api.put("/v1/tokens/ci", json=body("admin", expires_in_s=60)).status_code
    assert 200 == api.put("/v1/tokens/admin", json=body("admin", secret=ADMIN)).status_code
    assert 401 == api.get("/v1/status").status_code
    api.cluster.do(PutToken(ApiToken("other", b"\x00" * 32, ("read",))))
    refused = api.call("DELETE", "/v1/tokens/admin", headers=bearer(ADMIN))
    assert (409, "conflict") == (refused.status_code, refused.json()["code"])
    api.client_address = "unix:root"
    assert 200 == api.call("DELETE", "/v1/tokens/admin").status_code
    assert 200 == api.put("/v1/tokens/ci", json=body("read")).status_code


def test_nodes_that_do_not_know_the_rule_are_not_asked_to_keep_it(api: Api) -> None:
    """While one is there, an entry with it would make nodes differ."""
    assert 200 == api.put("/v1/tokens/ci", json=body("read")).status_code
    assert ["ci"] == sorted(api.cluster.state.tokens)


@pytest.mark.parametrize("less", [body("read", secret=ADMIN), body("admin", secret=ADMIN, expires_in_s=60)])
@pytest.mark.parametrize("others", [0, 1])
def test_the_last_administrator_stays_one(kept: Api, less: dict[str, Any], others: int) -> None:
    """Nobody makes the last administrator less, or lets it end, but over the socket or beside another one."""
    kept.cluster.do(SetFormat(KEEPS_ADMINISTRATOR_FORMAT))
    for _ in range(others):
        kept.put("/v1/tokens/ci", json=body("read"), headers=bearer(ADMIN))
    refused = kept.put("/v1/tokens/admin", json=less, headers=bearer(ADMIN))
    assert (409, "conflict") == (refused.status_code, refused.json()["code"])
    again = body("admin", secret=ADMIN)
    assert 200 == kept.put("/v1/tokens/admin", json=again, headers=bearer(ADMIN)).status_code
    kept.put("/v1/tokens/second", json=body("admin", secret="second"), headers=bearer(ADMIN))
    assert 200 == kept.put("/v1/tokens/admin", json=less, headers=bearer(ADMIN)).status_code
    kept.client_address = "unix:root"
    assert 200 == kept.put("/v1/tokens/second", json=body("read", secret="second")).status_code


def test_the_last_one_opens_loopback_again(kept: Api) -> None:
    """With the last token gone this machine's clients are let in as before the first."""
    assert 401 == kept.get("/v1/status").status_code
    assert 200 == kept.call("DELETE", "/v1/tokens/admin", headers=bearer(ADMIN)).status_code
    assert 200 == kept.get("/v1/status").status_code
    kept.client_address = "192.0.2.9"
    assert 403 == kept.get("/v1/status").status_code


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("ci", body("records:wirte"), "is no scope"),
        ("ci", body("read zone=example.org"), "nothing can follow"),
        ("ci", body("records:write zone=example.org zone=example.net"), "one thing twice"),
        ("ci", body("records:write type=NONSENSE"), "NONSENSE"),
        ("ci", body("records:write name=a..b"), "a..b"),
        ("ci", body(), "/scopes"),
        ("ci", body(""), "is no scope"),
        ("ci", body("  "), "is no scope"),
        ("ci", body("x" * 400), "is no scope"),
        ("ci", {"sha256": "AB", "scopes": ["read"]}, "/sha256"),
        ("a b", body("read"), "cannot be the name"),
        ("local", body("read"), "events call others so"),
        ("ci", body("read", secret=ADMIN), "another token has this secret"),
    ],
)
def test_what_cannot_be_a_token(kept: Api, name: str, given: dict[str, Any], said: str) -> None:
    """A token that cannot be is refused with a sentence, and nothing is changed."""
    before = kept.cluster.state.tokens
    refused = kept.put(f"/v1/tokens/{name}", json=given, headers=bearer(ADMIN))
    assert refused.status_code in (409, 422)
    assert said in refused.text
    assert before == kept.cluster.state.tokens


def test_names_of_the_file_are_taken(cluster: FakeCluster) -> None:
    """A token of the configuration file is listed beside the others, and its name stands for it alone."""
    api = Api(cluster, tokens=(Token("ci", digest_of(SECRET), ("admin",)),))
    assert 409 == api.put("/v1/tokens/ci", json=body("read", secret="x"), headers=bearer(SECRET)).status_code
    assert 200 == api.put("/v1/tokens/b", json=body("read", secret="x"), headers=bearer(SECRET)).status_code
    listed = api.get("/v1/tokens", headers=bearer(SECRET)).json()["items"]
    assert [("b", "cluster"), ("ci", "file")] == [(each["name"], each["source"]) for each in listed]


RECORD = "/v1/zones/example.org/rrsets/{}/{}"
NARROW = "records:write zone=example.org name=**.lab.example.org type=A,TXT"


@pytest.mark.parametrize(
    ("scope", "method", "path", "given", "status"),
    [
        (NARROW, "PUT", RECORD.format("a.lab.example.org", "A"), {"rdatas": ["192.0.2.1"]}, 200),
        (NARROW, "PUT", RECORD.format("a.example.org", "A"), {"rdatas": ["192.0.2.1"]}, 403),
        (NARROW, "PUT", RECORD.format("a.lab.example.org", "AAAA"), {"rdatas": ["2001:db8::1"]}, 403),
        (NARROW, "PATCH", RECORD.format("a.lab.example.org", "TXT"), {"add": ['"x"']}, 200),
        (NARROW, "DELETE", RECORD.format("a.lab.example.org", "TXT"), None, 200),
        (NARROW, "DELETE", "/v1/zones/example.org", None, 403),
        (NARROW, "PUT", "/v1/zones/example.net", {"nameservers": ["ns1.example.net"]}, 403),
        ("records:write zone=example.net", "PUT", "/v1/zones/example.net", {"nameservers": ["ns1.example.net"]}, 200),
        ("records:write zone=example.net", "DELETE", "/v1/zones/example.org", None, 403),
        ("acme", "PUT", RECORD.format("_acme-challenge.www.example.org", "TXT"), {"rdatas": ['"t"']}, 200),
        ("acme", "PUT", RECORD.format("_acme-challenge.www.example.org", "A"), {"rdatas": ["192.0.2.1"]}, 403),
        ("acme zone=example.net", "PUT", RECORD.format("_acme-challenge.example.org", "TXT"), {"rdatas": ['"t"']}, 403),
        ("acme", "PUT", "/v2/keys/helix/org/example/www/TXT?value=x", None, 403),
        ("acme", "PATCH", "/api/v1/servers/localhost/zones/example.org.", {
            "rrsets": [{"name": "www.example.org.", "type": "TXT", "changetype": "REPLACE", "ttl": 5,
                        "records": [{"content": '"x"'}]}]}, 403),
        ("records:write", "PUT", "/v1/services/www.example.org/maintenance", {}, 403),
        ("endpoints:operate", "PUT", "/v1/services/www.example.org/maintenance", {}, 200),
        ("endpoints:operate", "DELETE", "/v1/services/www.example.org", None, 403),
        ("services:write", "DELETE", "/v1/services/www.example.org", None, 200),
        ("endpoints:operate", "POST", "/v1/overrides", {"places": ["www.example.org/*"], "action": "failback"}, 200),
        ("write", "GET", "/v1/backup", None, 403),
    ],
)  # fmt: skip
def test_conditions_hold_at_every_door(
    kept: Api, scope: str, method: str, path: str, given: Any, status: int
) -> None:
    """A scope with conditions lets change what they say, whichever door the change comes through."""
    kept.put("/v1/tokens/ci", json=body(scope), headers=bearer(ADMIN))
    options: dict[str, Any] = {} if given is None else {"json": given}
    answer = kept.call(method, path, headers=bearer(SECRET), **options)
    assert status == answer.status_code, answer.text
    assert (status == 200) == (kept.cluster.entries[-1].actor == "ci")


def test_a_refusal_names_the_scope(kept: Api) -> None:
    """Who lacks a scope is told which one, in the words in which it would be granted."""
    kept.put("/v1/tokens/ci", json=body("acme"), headers=bearer(ADMIN))
    refused = kept.put(
        RECORD.format("www.example.org", "MX"), json={"rdatas": ["1 a.test."]}, headers=bearer(SECRET)
    )
    scope = "records:write zone=example.org name=www.example.org type=MX"
    assert f"the token ci lacks the scope {scope}; nothing was changed" == refused.json()["detail"]
    kept.put("/v1/tokens/ci", json=body(scope), headers=bearer(ADMIN))
    again = kept.put(
        RECORD.format("www.example.org", "MX"), json={"rdatas": ["1 a.test."]}, headers=bearer(SECRET)
    )
    assert 200 == again.status_code


def test_who_loses_sees_the_present_token(kept: Api) -> None:
    """A write that another one overtook is refused with the token as it is now."""
    again = {"If-None-Match": "*", **bearer(ADMIN)}
    assert 200 == kept.put("/v1/tokens/ci", json=body("read"), headers=again).status_code
    refused = kept.put("/v1/tokens/ci", json=body("write"), headers=again)
    assert (412, ["read"]) == (refused.status_code, refused.json()["present"]["scopes"])
