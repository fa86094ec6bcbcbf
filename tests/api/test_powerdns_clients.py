"""What three programs send to PowerDNS, sent to ours: the shapes of their requests, and the keys that they read.

The lists are our own, after what the programs' public sources do; the programs themselves do not run here.
"""

from typing import Any

import pytest

from node.state.command import ChangeZone, PutRRset
from node.zone.name import from_text
from tests.api.conftest import ZONE, Api
from tests.state.test_planning import record

SERVER = "/api/v1/servers/localhost"
ZONES = f"{SERVER}/zones"
KEY = {"X-API-Key": "any", "Accept": "application/json"}
INT32_MAX = 2**31 - 1


def ask(api: Api, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    """Send a request as these programs do; return the JSON of the answer, which must have this status."""
    headers = KEY if method == "GET" else {**KEY, "Content-Type": "application/json"}
    answer = (
        api.call(method, path, headers=headers, json=body)
        if body is not None
        else api.call(method, path, headers=headers)
    )
    assert status == answer.status_code, answer.text
    if not answer.content:
        return None
    assert "application/json" in answer.headers["content-type"]
    return answer.json()


def contents(api: Api, name: str, type_: str) -> list[str]:
    """Return the contents of an RRset, of the whole zone as it is read."""
    rrsets = ask(api, "GET", f"{ZONES}/example.org.")["rrsets"]
    return [
        record["content"]
        for each in rrsets
        if (each["name"], each["type"]) == (name, type_)
        for record in each["records"]
    ]


# --- external-dns, provider pdns -------------------------------------------------------------------

GO_ZONE: dict[str, type] = {
    "id": str, "name": str, "type": str, "url": str, "kind": str, "serial": int, "notified_serial": int,
    "masters": list, "dnssec": bool, "nsec3param": str, "nsec3narrow": bool, "presigned": bool, "soa_edit": str,
    "soa_edit_api": str, "api_rectify": bool, "account": str, "master_tsig_key_ids": list, "slave_tsig_key_ids": list,
}  # fmt: skip
"""Where a Go client finds another kind of value it takes none of the answer."""
OWNER = '"heritage=external-dns,external-dns/owner=default,external-dns/resource=service/default/web"'


def as_go_reads(zone: dict[str, Any]) -> dict[str, Any]:
    """Check that a zone fits what the client's types hold."""
    for key, kind in GO_ZONE.items():
        assert type(zone[key]) is kind, key
    assert 0 < zone["serial"] <= INT32_MAX
    assert all(isinstance(each, str) for key in ("masters", "master_tsig_key_ids") for each in zone[key])
    for rrset in zone.get("rrsets", []):
        assert [str, str, int] == [type(rrset[key]) for key in ("name", "type", "ttl")]
        for each in rrset["records"]:
            assert [str, bool] == [type(each[key]) for key in ("content", "disabled")]
    return zone


def external_dns(api: Api, *changes: dict[str, Any], status: int = 204) -> Any:
    """Change records as it does: list the zones, then send a whole zone back with the changes as its RRsets."""
    (zone,) = (as_go_reads(each) for each in ask(api, "GET", ZONES))
    assert "example.org." == zone["name"]
    sent = {key: value for key, value in zone.items() if value and key in GO_ZONE}  # what is empty is left out
    return ask(api, "PATCH", f"{ZONES}/{zone['id']}", sent | {"rrsets": list(changes)}, status)


def test_external_dns(api: Api) -> None:
    """It creates an address with its owner in TXT, changes it, reads all back, and takes it away."""
    web = {"name": "web.example.org.", "type": "A"}
    txt = {
        "name": "a-web.example.org.",
        "type": "TXT",
        "changetype": "REPLACE",
        "ttl": 300,
        "records": [{"content": OWNER}],
    }
    external_dns(api, txt, web | {"changetype": "REPLACE", "ttl": 300, "records": [{"content": "192.0.2.7"}]})
    assert ([OWNER], ["192.0.2.7"]) == (
        contents(api, txt["name"], "TXT"),
        contents(api, "web.example.org.", "A"),
    )
    external_dns(api, web | {"changetype": "REPLACE", "ttl": 60, "records": [{"content": "192.0.2.8"}]})
    zone = as_go_reads(ask(api, "GET", f"{ZONES}/example.org."))
    (rrset,) = (each for each in zone["rrsets"] if each["name"] == "web.example.org.")
    assert (60, ["192.0.2.8"]) == (rrset["ttl"], [each["content"] for each in rrset["records"]])
    external_dns(api, web | {"changetype": "DELETE", "records": [{"content": "192.0.2.8"}]})
    external_dns(api, {key: txt[key] for key in ("name", "type", "records")} | {"changetype": "DELETE"})
    assert ([], []) == (contents(api, txt["name"], "TXT"), contents(api, "web.example.org.", "A"))


def test_external_dns_and_targets_elsewhere(api: Api) -> None:
    """A host name outside of the zone it sends as ALIAS, of which no server of ours could answer: it is told so."""
    alias = {"name": "lb.example.org.", "type": "ALIAS", "changetype": "REPLACE", "ttl": 300}
    index = api.cluster.state.index
    error = external_dns(api, alias | {"records": [{"content": "lb.example.net."}]}, status=422)["error"]
    assert (
        "lb.example.org. ALIAS: a server that looks names up makes an address of it, this one does not" in error
    )
    assert "CNAME" in error
    assert index == api.cluster.state.index


# --- terraform, provider powerdns ------------------------------------------------------------------


def test_terraform(api: Api) -> None:
    """It finds the version, makes a zone, reads it with its name servers, keeps records in it, and destroys all."""
    ask(api, "GET", "/api/v1/servers")
    server = ask(api, "GET", SERVER)
    assert all(
        isinstance(server[key], str) for key in ("id", "type", "daemon_type", "version", "url", "zones_url")
    )
    path = f"{ZONES}/tf.test."
    ask(api, "GET", path, status=404)
    zone = {"id": "", "name": "tf.test.", "url": "", "kind": "Native", "dnsssec": False, "serial": 0, "account": "",
            "nameservers": ["ns1.tf.test.", "ns2.tf.test."], "soa_edit_api": ""}  # fmt: skip
    made = ask(api, "POST", ZONES, zone, 201)
    assert "tf.test." == made["id"]
    assert "error" in ask(api, "POST", ZONES, zone, 409)
    read = as_go_reads(ask(api, "GET", f"{ZONES}/{made['id']}"))
    assert ("tf.test.", "Native", "", "") == tuple(
        read[key] for key in ("name", "kind", "soa_edit_api", "account")
    )
    (servers,) = (each for each in read["rrsets"] if (each["name"], each["type"]) == ("tf.test.", "NS"))
    assert zone["nameservers"] == [each["content"] for each in servers["records"]]

    value = {"name": "", "type": "", "content": "192.0.2.7", "ttl": 60, "disabled": False, "set-ptr": False}
    rrset = {"name": "web.tf.test.", "type": "A", "changetype": "REPLACE", "ttl": 60, "records": [value]}
    ask(api, "PATCH", path, {"rrsets": [rrset]}, 204)
    again = ask(api, "GET", path)["rrsets"]
    assert [(60, "192.0.2.7")] == [
        (each["ttl"], each["records"][0]["content"]) for each in again if each["name"] == "web.tf.test."
    ]
    wrong = rrset | {"records": [value | {"content": "192.0.2.300"}]}
    assert "192.0.2.300 is not an IPv4 address" in ask(api, "PATCH", path, {"rrsets": [wrong]}, 422)["error"]
    ask(
        api,
        "PUT",
        path,
        {"id": "", "name": "", "url": "", "kind": "Master", "dnsssec": False, "serial": 0},
        204,
    )
    gone = {"name": "web.tf.test.", "type": "A", "changetype": "DELETE", "ttl": 0}
    ask(api, "PATCH", path, {"rrsets": [gone]}, 204)
    ask(api, "DELETE", path, status=204)
    ask(api, "GET", path, status=404)


@pytest.mark.parametrize("kind", ["Slave", "SECONDARY", "Consumer", "Producer"])
def test_zones_that_come_from_elsewhere(api: Api, kind: str) -> None:
    """A zone that another server would fill is refused rather than made as an empty one of ours."""
    body = {"name": "there.test.", "kind": kind, "masters": ["192.0.2.1"], "nameservers": []}
    assert f"kind {kind}" in ask(api, "POST", ZONES, body, 422)["error"]
    assert "error" in ask(api, "PUT", f"{ZONES}/example.org.", {"kind": kind}, 422)
    assert from_text("there.test") not in api.cluster.state.zones


# --- PowerDNS-Admin --------------------------------------------------------------------------------

LISTED = ("name", "masters", "kind", "serial", "notified_serial", "last_check", "dnssec", "account")
EMPTY = {"content": "", "account": ""}


def page(api: Api, zone: str) -> list[dict[str, Any]]:
    """Return the RRsets as its table of records has them: a comment beside each record, without times."""
    rrsets = [each for each in ask(api, "GET", f"{ZONES}/{zone}")["rrsets"] if each["records"]]
    for each in rrsets:
        assert {"name", "type", "ttl", "records", "comments"} == set(each)
        assert all({"content", "disabled"} == set(record) for record in each["records"])
        for comment in each["comments"]:
            comment.pop("modified_at", None)
            assert {"content", "account"} == set(comment)
        each["comments"] += [dict(EMPTY) for _ in range(len(each["records"]) - len(each["comments"]))]
    return rrsets


def save(api: Api, zone: str, wanted: list[dict[str, Any]]) -> list[str]:
    """Save the table as it does: what differs is replaced, what is gone deleted, SOA apart; return what was sent."""
    present = page(api, zone)
    replaced = [each | {"changetype": "REPLACE"} for each in wanted if each not in present]
    keys = {(each["name"], each["type"]) for each in wanted}
    deleted = [
        {"name": each["name"], "type": each["type"], "changetype": "DELETE"}
        for each in present
        if (each["name"], each["type"]) not in keys and each["type"] != "SOA"
    ]
    for each in replaced:
        if not any(comment["content"] for comment in each["comments"]):
            each["comments"] = []
    if replaced or deleted:
        ask(api, "PATCH", f"{ZONES}/{zone}", {"rrsets": deleted + replaced}, 204)
    return [f"{each['changetype']} {each['name']} {each['type']}" for each in deleted + replaced]


def row(name: str, type_: str, *contents_: str, comment: str = "", ttl: int = 60) -> dict[str, Any]:
    """Return an RRset as its table has it."""
    comments = [{"content": comment, "account": ""}, *(dict(EMPTY) for _ in contents_[1:])]
    records = [{"content": each, "disabled": False} for each in contents_]
    return {"name": name, "type": type_, "ttl": ttl, "records": records, "comments": comments}


def test_powerdns_admin_zones(api: Api) -> None:
    """It lists the zones with these keys, makes one, changes its settings, and takes it away."""
    for each in ask(api, "GET", ZONES):
        assert set(LISTED) <= set(each)
    body = {"name": "pda.test.", "kind": "NATIVE", "masters": [], "nameservers": ["ns1.pda.test."],
            "soa_edit_api": "DEFAULT", "account": None}  # fmt: skip
    assert "error" not in ask(api, "POST", ZONES, body, 201)
    assert set(LISTED) <= set(ask(api, "GET", f"{ZONES}/pda.test"))
    for settings in (
        {"soa_edit_api": "INCREASE", "kind": "NATIVE"},
        {"kind": "Master", "masters": []},
        {"account": "x"},
    ):
        ask(api, "PUT", f"{ZONES}/pda.test", settings, 204)
    assert [] == ask(api, "GET", f"{ZONES}/pda.test/cryptokeys")
    ask(api, "DELETE", f"{ZONES}/pda.test", status=204)


def test_powerdns_admin_records(api: Api) -> None:
    """What was saved is shown as it was, so that saving again sends nothing but what is new."""
    zone = "example.org"
    wanted = [each for each in page(api, zone) if each["type"] != "SOA"]
    wanted += [
        row("web.example.org.", "A", "192.0.2.7", "192.0.2.8", comment="two web servers"),
        row("mail.example.org.", "MX", "10 mx.example.net."),
        row("text.example.org.", "TXT", '"one two"'),
    ]
    assert 3 == len(save(api, zone, wanted))
    assert [] == save(api, zone, wanted)
    wanted = [each for each in wanted if each["type"] != "TXT"] + [row("mail.example.org.", "A", "192.0.2.9")]
    assert ["DELETE text.example.org. TXT", "REPLACE mail.example.org. A"] == save(api, zone, wanted)
    assert [] == save(api, zone, wanted)


def test_powerdns_admin_saves_an_old_soa(api: Api) -> None:
    """Its table has the SOA as it was when the page was opened; saving it with other records does no harm."""
    opened = page(api, "example.org")
    api.cluster.do(ChangeZone(ZONE, (PutRRset(record("other")),)))
    before = api.cluster.state.zones[ZONE].serial
    sent = save(api, "example.org", [*opened, row("web.example.org.", "A", "192.0.2.7")])
    assert "REPLACE example.org. SOA" in sent
    assert ["192.0.2.7"] == contents(api, "web.example.org.", "A")
    assert api.cluster.state.zones[ZONE].serial > before


def test_powerdns_admin_looks_around(api: Api) -> None:
    """Its pages of settings and of the search find lists with these keys."""
    assert isinstance(ask(api, "GET", f"{SERVER}/config"), list)
    statistics = ask(api, "GET", f"{SERVER}/statistics")
    assert [True] == [each["value"].isdigit() for each in statistics if each["name"] == "uptime"]
    ask(
        api,
        "PATCH",
        f"{ZONES}/example.org.",
        {"rrsets": [row("web.example.org.", "A", "192.0.2.7") | {"changetype": "REPLACE"}]},
        204,
    )
    found = ask(api, "GET", f"{SERVER}/search-data?object_type=all&q=*example.org*")
    kinds = {each["object_type"] for each in found}
    assert {"zone", "record"} == kinds
    for each in found:
        assert {"object_type", "name", "zone_id"} <= set(each)
        assert each["object_type"] == "zone" or {"type", "content", "ttl", "disabled", "zone"} <= set(each)
    only = ask(api, "GET", f"{SERVER}/search-data?object_type=zone&q=*example.org*")
    assert [("zone", "example.org.")] == [(each["object_type"], each["name"]) for each in only]
    assert {"record"} == {
        each["object_type"] for each in ask(api, "GET", f"{SERVER}/search-data?object_type=record&q=*web*")
    }
    assert "error" in ask(api, "GET", f"{SERVER}/search-data?object_type=other&q=*", status=422)
