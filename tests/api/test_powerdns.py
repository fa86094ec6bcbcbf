"""PowerDNS' API: what its clients rely on, each quirk by itself, then octodns and lego for real."""

import asyncio
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from node.api.context import Token
from node.api.server import ApiServer
from node.zone.name import from_text
from tests.api.conftest import WWW, ZONE, Api, FakeCluster
from tests.api.test_server import serve

SERVER = "/api/v1/servers/localhost"
ZONE_PATH = f"{SERVER}/zones/example.org."


def patch(api: Api, *rrsets: dict[str, Any], **options: Any) -> httpx.Response:
    """Send changes of example.org."""
    return api.call("PATCH", ZONE_PATH, json={"rrsets": list(rrsets)}, **options)


def change(word: str, name: str, type_: str, *contents: str, **more: Any) -> dict[str, Any]:
    """Build one change."""
    records = [{"content": each, "disabled": False} for each in contents]
    return {"changetype": word, "name": name, "type": type_, "ttl": 60, "records": records} | more


def records(api: Api, name: str, type_: str) -> list[str]:
    """Return the contents of an RRset as the API shows it."""
    found = api.get(f"{ZONE_PATH}?rrset_name={name}&rrset_type={type_}").json()["rrsets"]
    return [record["content"] for rrset in found for record in rrset["records"]]


def test_versions(api: Api) -> None:
    """Clients find version 1 and a server of release 4.9 named localhost."""
    assert [{"url": "/api/v1", "version": 1}] == api.get("/api").json()
    assert "localhost" == api.get("/api/v1/servers").json()[0]["id"]
    assert "4.9.12" == api.get(SERVER).json()["version"]
    assert [] == api.get(f"{SERVER}/config").json()
    assert "uptime" == api.get(f"{SERVER}/statistics").json()[0]["name"]
    for part in ("cryptokeys", "metadata"):
        assert [] == api.get(f"{ZONE_PATH}/{part}").json()


def test_kinds_of_values(api: Api) -> None:
    """Lists are lists and texts are texts, as clients in Go insist."""
    zone = api.get(ZONE_PATH).json()
    assert ("example.org.", "Native", [], "") == (zone["id"], zone["kind"], zone["masters"], zone["account"])
    rrset = next(each for each in zone["rrsets"] if each["type"] == "SOA")
    assert ([], False) == (rrset["comments"], rrset["records"][0]["disabled"])


def test_zone_ids(api: Api) -> None:
    """A zone is found with and without the final dot; a missing one is 404."""
    for text in ("example.org.", "example.org", "EXAMPLE.org."):
        assert 200 == api.get(f"{SERVER}/zones/{text}").status_code
    assert (404, {"error": "Not Found"}) == (
        api.get(f"{SERVER}/zones/example.net.").status_code,
        api.get(f"{SERVER}/zones/example.net.").json(),
    )
    api.call("POST", f"{SERVER}/zones", json={"name": "0/25.2.0.192.in-addr.arpa.", "kind": "Native"})
    for text in ("0=2F25.2.0.192.in-addr.arpa.", "0%2F25.2.0.192.in-addr.arpa"):
        assert 200 == api.get(f"{SERVER}/zones/{text}").status_code
    listed = api.get(f"{SERVER}/zones").json()
    assert "0=2F25.2.0.192.in-addr.arpa." in [zone["id"] for zone in listed]
    assert ["example.org."] == [zone["name"] for zone in api.get(f"{SERVER}/zones?zone=example.org").json()]
    assert [] == api.get(f"{SERVER}/zones?zone=example.net").json()
    assert "rrsets" not in api.get(f"{ZONE_PATH}?rrsets=false").json()


def test_create_and_delete(api: Api) -> None:
    """A zone is created with records, once; keys we do not know are let pass; then it is deleted."""
    body = {
        "name": "example.net.",
        "kind": "MASTER",
        "nameservers": ["ns1.example.com."],
        "soa_edit_api": "DEFAULT",
        "rrsets": [change("REPLACE", "www.example.net.", "A", "192.0.2.1")],
    }
    created = api.call("POST", f"{SERVER}/zones", json=body)
    assert 201 == created.status_code
    assert {"SOA", "NS", "A"} == {rrset["type"] for rrset in created.json()["rrsets"]}
    again = api.call("POST", f"{SERVER}/zones", json=body)
    assert (409, {"error": "Conflict"}) == (again.status_code, again.json())
    assert 204 == api.put(f"{SERVER}/zones/example.net.", json={"kind": "Native"}).status_code
    for part in ("notify", "rectify"):
        assert 200 == api.put(f"{SERVER}/zones/example.net./{part}").status_code
    exported = api.get(f"{SERVER}/zones/example.net./export").text
    assert "192.0.2.1" in exported
    assert 204 == api.call("DELETE", f"{SERVER}/zones/example.net.").status_code
    assert 404 == api.get(f"{SERVER}/zones/example.net.").status_code


def test_changes_are_atomic(api: Api) -> None:
    """A request is one entry of the log; one bad change and nothing happens."""
    index = api.cluster.state.index
    done = patch(
        api,
        change("REPLACE", "a.example.org.", "A", "192.0.2.1", "192.0.2.2"),
        change("REPLACE", "b.example.org.", "TXT", '"x"'),
    )
    assert (204, b"", index + 1) == (done.status_code, done.content, api.cluster.state.index)
    assert ["192.0.2.1", "192.0.2.2"] == records(api, "a.example.org.", "A")
    bad = patch(
        api,
        change("DELETE", "a.example.org.", "A"),
        change("REPLACE", "c.example.org.", "A", "192.0.2.300"),
    )
    assert (422, True) == (bad.status_code, "192.0.2.300 is not an IPv4 address" in bad.json()["error"])
    assert 2 == len(records(api, "a.example.org.", "A"))
    outside = patch(api, change("REPLACE", "a.example.net.", "A", "192.0.2.1"))
    assert (422, True) == (outside.status_code, "not inside the zone" in outside.json()["error"])
    assert 422 == patch(api, change("MERGE", "a.example.org.", "A", "192.0.2.1")).status_code


def test_extend_and_prune(api: Api) -> None:
    """EXTEND and PRUNE change single records, so that two clients on one name lose nothing."""
    patch(api, change("EXTEND", "a.example.org.", "TXT", '"one"'))
    patch(api, change("EXTEND", "a.example.org.", "TXT", '"two"'))
    assert ['"one"', '"two"'] == records(api, "a.example.org.", "TXT")
    patch(api, change("PRUNE", "a.example.org.", "TXT", '"one"'))
    assert ['"two"'] == records(api, "a.example.org.", "TXT")
    patch(api, {"changetype": "DELETE", "name": "a.example.org.", "type": "TXT", "records": None})
    assert [] == records(api, "a.example.org.", "TXT")


def test_disabled_and_comments(api: Api) -> None:
    """A disabled RRset is kept with its comment and not answered."""
    given = change("REPLACE", "a.example.org.", "A", comments=[{"content": "moving", "account": "jane"}])
    given["records"] = [{"content": "192.0.2.1", "disabled": True}]
    patch(api, given)
    rrset = api.get(f"{ZONE_PATH}?rrset_name=a.example.org.").json()["rrsets"][0]
    assert (True, "moving") == (rrset["records"][0]["disabled"], rrset["comments"][0]["content"])
    given["records"].append({"content": "192.0.2.2", "disabled": False})
    assert 422 == patch(api, given).status_code


def test_services_show_all_endpoints(api: Api) -> None:
    """A service's RRset lists withdrawn endpoints as disabled; writing back what was read is no change."""
    api.cluster.vote("192.0.2.11", False)
    rrset = api.get(f"{ZONE_PATH}?rrset_name=www.example.org.&rrset_type=A").json()["rrsets"][0]
    assert [("192.0.2.10", False), ("192.0.2.11", True)] == [
        (record["content"], record["disabled"]) for record in rrset["records"]
    ]
    assert "decided by the health of the service www.example.org" == rrset["comments"][0]["content"]
    index = api.cluster.state.index
    rrset["ttl"] = 5
    assert 204 == patch(api, rrset | {"changetype": "REPLACE"}).status_code
    assert index == api.cluster.state.index


def test_changing_a_service(cluster: FakeCluster) -> None:
    """REPLACE of a service's RRset sets its endpoints of that family, if the token may."""
    secret = "qdns_pdns"
    digest = hashlib.sha256(secret.encode()).hexdigest()
    wanted = change("REPLACE", "www.example.org.", "A", "192.0.2.10", "192.0.2.99", ttl=5)
    key = {"X-API-Key": secret}
    records_only = Api(cluster, tokens=(Token("ext", digest, ("records:write",)),), trusted_loopback=False)
    refused = patch(records_only, wanted, headers=key)
    assert (422, True) == (
        refused.status_code,
        "belongs to the service www.example.org" in refused.json()["error"],
    )
    both = Api(cluster, tokens=(Token("ext", digest, ("write",)),), trusted_loopback=False)
    mixed = patch(both, wanted, change("REPLACE", "a.example.org.", "A", "192.0.2.1"), headers=key)
    assert (422, True) == (mixed.status_code, "in a request of their own" in mixed.json()["error"])
    assert 204 == patch(both, wanted, headers=key).status_code
    addresses = [each.address for each in cluster.state.services[WWW].service.endpoints]
    assert ["192.0.2.10", "2001:db8::12", "192.0.2.99"] == addresses


def test_unauthorized_is_plain_text(cluster: FakeCluster) -> None:
    """A wrong key is answered in plain text, as clients expect; on an open loopback any key will do."""
    api = Api(cluster, trusted_loopback=False)
    refused = api.get("/api/v1/servers", headers={"X-API-Key": "x"})
    assert (401, "Unauthorized", True) == (
        refused.status_code,
        refused.text,
        refused.headers["content-type"].startswith("text/plain"),
    )
    assert 200 == Api(cluster).get("/api/v1/servers", headers={"X-API-Key": "x"}).status_code


def test_search(api: Api) -> None:
    """Records are found by a pattern of their name or content."""
    patch(api, change("REPLACE", "mail.example.org.", "MX", "10 mx.example.net."))
    found = api.get(f"{SERVER}/search-data?q=*mx.example*&max=5").json()
    assert [("mail.example.org.", "MX", "example.org.")] == [
        (each["name"], each["type"], each["zone_id"]) for each in found
    ]
    assert 422 == api.get(f"{SERVER}/search-data").status_code


def test_search_is_bounded(api: Api) -> None:
    """A pattern has a length, and of what a record holds the beginning is looked at."""
    patch(
        api,
        change(
            "REPLACE",
            "text.example.org.",
            "TXT",
            f'"near" {" ".join([chr(34) + "a" * 250 + chr(34)] * 8)} "far"',
        ),
    )
    longest = api.get(f"{SERVER}/search-data?q={'*' + '%3F' * 254}")
    refused = api.get(f"{SERVER}/search-data?q={'*' + '%3F' * 255}")
    assert (200, 422) == (longest.status_code, refused.status_code)
    assert {
        "error": "q has 256 characters, at most 255 are looked for (ask by a shorter pattern)"
    } == refused.json()
    near, far = (
        api.get(f"{SERVER}/search-data?object_type=record&q=*{word}*").json() for word in ("near", "far")
    )
    assert (["text.example.org."], []) == ([each["name"] for each in near], [each["name"] for each in far])


OCTODNS = os.environ.get("OCTODNS_SYNC") or shutil.which("octodns-sync")
OCTODNS_CONFIG = """
providers:
  config: {{class: octodns.provider.yaml.YamlProvider, directory: {directory}, default_ttl: 60}}
  ours:
    class: octodns_powerdns.PowerDnsProvider
    host: 127.0.0.1
    port: {port}
    api_key: any
zones:
  example.org.: {{sources: [config], targets: [ours]}}
  example.net.: {{sources: [config], targets: [ours]}}
"""
OCTODNS_ORG = """
'':
  - {ttl: 5, type: NS, values: [ns1.example.org.]}
  - {type: CAA, value: {flags: 0, tag: issue, value: ca.example.net}}
  - {type: MX, values: [{exchange: mail.example.org., preference: 10}]}
  - {type: TXT, values: ['v=spf1 -all', 'a b']}
_sip._tcp: {type: SRV, values: [{port: 5060, priority: 1, target: sip.example.org., weight: 2}]}
a: {type: A, values: [192.0.2.1, 192.0.2.2]}
svc: {type: HTTPS, values: [{svcparams: {alpn: [h2]}, svcpriority: 1, targetname: .}]}
www:
  - {ttl: 5, type: A, values: [192.0.2.10, 192.0.2.11]}
  - {ttl: 5, type: AAAA, values: ['2001:db8::12']}
"""
OCTODNS_NET = """
'': {type: NS, values: [ns1.example.net.]}
x: {type: CNAME, value: www.example.org.}
"""


@pytest.mark.real
@pytest.mark.skipif(OCTODNS is None, reason="octodns-sync is not installed")
def test_octodns(cluster: FakeCluster, tmp_path: Path) -> None:
    """octodns brings two zones in line, then sees no changes, also while an endpoint is down."""
    (tmp_path / "example.org.yaml").write_text(OCTODNS_ORG)
    (tmp_path / "example.net.yaml").write_text(OCTODNS_NET)

    def sync(port: str, *arguments: str) -> str:
        config = tmp_path / "octodns.yaml"
        config.write_text(OCTODNS_CONFIG.format(directory=tmp_path, port=port))
        assert OCTODNS is not None
        done = subprocess.run(
            [OCTODNS, "--config-file", str(config), *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert 0 == done.returncode, done.stderr[-3000:]
        return done.stderr + done.stdout

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        port = server.addresses[0].rpartition(":")[2]
        await asyncio.to_thread(sync, port, "--doit", "--force")
        assert from_text("x.example.net") in cluster.state.zones[from_text("example.net")].nodes
        assert cluster.state.zones[ZONE].get(from_text("_sip._tcp.example.org"), 33) is not None
        assert "No changes were planned" in await asyncio.to_thread(sync, port)
        cluster.vote("192.0.2.11", False)
        assert "No changes were planned" in await asyncio.to_thread(sync, port)

    serve(cluster, work, limit_s=90)
