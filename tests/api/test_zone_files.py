"""Zones as master files by HTTP: what is written is read back, what is wrong is told with its lines."""

import asyncio
from typing import Any

import httpx
import pytest

from node.api import zone_import
from node.state.command import ChangeZone, LeaseWish, PutRRset, PutZone, StageImport
from node.zone.lease import LeaseKey
from node.zone.name import from_text
from node.zone.rrset import A
from tests.api.conftest import SETTINGS, ZONE, Api, FakeCluster
from tests.state.conftest import rrset

FILE = "/v1/zones/example.org/file"
TEXT = """\
$TTL 300
@ SOA ns1 host 1 3600 600 604800 60
@ NS ns1
ns1 A 192.0.2.53
mail A 192.0.2.25 ; rack 4
; disabled: old A 192.0.2.9
@ MX 10 mail
"""


def put(api: Api, text: str, query: str = "", path: str = FILE) -> httpx.Response:
    return api.put(f"{path}?{query}", content=text.encode(), headers={"Content-Type": "text/dns"})


def staged(api: Api) -> list[StageImport]:
    return [entry.command for entry in api.cluster.entries if isinstance(entry.command, StageImport)]


def test_a_zone_becomes_what_its_file_says(api: Api) -> None:
    """One entry, one serial; a service's addresses stay, and what the file does not name goes."""
    api.cluster.do(ChangeZone(ZONE, (PutRRset(rrset("gone", "A", "192.0.2.1")),)))
    serial = api.cluster.state.zones[ZONE].serial
    answer = put(api, TEXT)
    assert 200 == answer.status_code, answer.text
    body = answer.json()
    counts = [body[f"rrsets_{what}"] for what in ("added", "changed", "removed")]
    assert (serial + 1, True, [4, 2, 1]) == (body["serial"], body["changed"], counts)
    assert "+ mail 300 IN A 192.0.2.25 ; rack 4" in body["diff"]
    assert "- gone 60 IN A 192.0.2.1" in body["diff"]
    zone = api.cluster.state.zones[ZONE]
    old = zone.get(from_text("old.example.org"), A)
    assert old is not None
    assert (True, "192.0.2.10") == (
        old.disabled,
        api.get("/v1/services/www.example.org").json()["published"][0],
    )
    assert zone.get(from_text("www.example.org"), A) is not None


def test_the_same_file_again_changes_nothing(api: Api) -> None:
    """An import without a difference leaves the serial alone; so does one of what was exported."""
    put(api, TEXT)
    zone = api.cluster.state.zones[ZONE]
    again = put(api, TEXT).json()
    assert ([], False) == (again["diff"], again["changed"])
    exported = api.get(FILE)
    assert "text/dns" == exported.headers["content-type"].partition(";")[0]
    assert "mail 300 IN A 192.0.2.25 ; rack 4\n" in exported.text
    assert "; disabled: old 300 IN A 192.0.2.9\n" in exported.text
    put(api, exported.text)
    assert zone is api.cluster.state.zones[ZONE]


def test_a_dry_run_only_tells(api: Api) -> None:
    """What would change is told with findings, and nothing is proposed."""
    count = len(api.cluster.entries)
    body = put(api, f"{TEXT}x CNAME gone\n", "dry_run=true").json()
    assert (False, api.cluster.state.zones[ZONE].serial) == (body["is_new"], body["base_serial"])
    assert ["warning: example.org. NS: there is only one name server (RFC 1034 section 4.1)"] == body[
        "findings"
    ][:1]
    assert "warning: x.example.org. CNAME: gone.example.org. does not exist" in body["findings"]
    assert count == len(api.cluster.entries)


def test_a_new_zone_takes_its_settings_from_its_file(api: Api) -> None:
    """A zone that does not exist is made with the file's serial, servers and times."""
    answer = put(api, TEXT.replace(" 1 3600", " 2026 3600"), path="/v1/zones/example.net/file")
    assert (200, 2026, True) == (answer.status_code, answer.json()["serial"], answer.json()["is_new"])
    row = api.get("/v1/zones/example.net").json()
    assert (["ns1.example.net."], "host.example.net.", 300) == (
        row["nameservers"],
        row["contact"],
        row["default_ttl"],
    )
    refused = put(api, "a A 192.0.2.1\n", path="/v1/zones/example.com/file")
    assert (422, True) == (refused.status_code, "has no NS records" in refused.json()["detail"])


def test_every_bad_line_is_told(api: Api) -> None:
    """All bad lines at once, each with its number; a file cannot name other files of this node."""
    before = api.cluster.state.zones
    refused = put(api, "a A 192.0.2.300\nb MX x\n$INCLUDE /etc/passwd\n")
    assert 422 == refused.status_code
    assert [
        {"pointer": "line 1", "message": "192.0.2.300 is not an IPv4 address"},
        {"pointer": "line 2", "message": "'x' is not a record of type MX: expecting an integer"},
        {"pointer": "line 3", "message": "$INCLUDE is not allowed here"},
    ] == refused.json()["errors"]
    assert before is api.cluster.state.zones
    assert 422 == api.put(FILE, content=b"\xff\xfe").status_code
    assert 400 == put(api, TEXT, "dry_run=maybe").status_code


def test_the_serial_that_was_looked_at(api: Api) -> None:
    """An import bound to a serial is refused when the zone has moved on."""
    serial = api.cluster.state.zones[ZONE].serial
    refused = put(api, TEXT, f"if_serial={serial + 7}")
    assert (412, True) == (refused.status_code, f"not {serial + 7}" in refused.json()["detail"])
    assert 200 == put(api, TEXT, f"if_serial={serial}").status_code


def test_leased_records_are_left_alone(api: Api) -> None:
    """What registered itself with a lease is not taken away by a file that does not know it."""
    host = from_text("host.example.org")
    key = LeaseKey(ZONE, host, A)
    change = PutRRset(rrset("host", "A", "192.0.2.7"))
    api.cluster.do(ChangeZone(ZONE, (change,), leases=(LeaseWish(key, 90),)))
    put(api, TEXT)
    assert api.cluster.state.zones[ZONE].get(host, A) is not None
    assert key in api.cluster.state.leases


@pytest.mark.parametrize("is_new", [False, True])
def test_large_imports_come_in_parts(api: Api, is_new: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import that is no single entry is staged, and all of it shows at one index."""
    monkeypatch.setattr(zone_import, "AT_ONCE_CHANGES_MAX", 20)
    monkeypatch.setattr(zone_import, "PART_CHANGES", 10)
    path = "/v1/zones/example.net/file" if is_new else FILE
    text = TEXT + "".join(f"h{number} A 192.0.2.{number}\n" for number in range(40))
    answer = put(api, text, path=path)
    assert 200 == answer.status_code, answer.text
    assert 5 == len(staged(api))
    assert 0 == len(api.cluster.state.imports)
    assert 200 == put(api, text, path=path).status_code
    assert 5 == len(staged(api))


def test_an_import_that_lost_is_planned_again(api: Api) -> None:
    """Somebody else's change between reading and writing is not lost: the file is held against it anew."""
    api.cluster.before = lambda: (
        api.cluster.do(ChangeZone(ZONE, (PutRRset(rrset("x", "A", "192.0.2.1")),))) and None
    )
    body = put(api, TEXT).json()
    assert "- x 60 IN A 192.0.2.1" in body["diff"]
    assert from_text("x.example.org") not in api.cluster.state.zones[ZONE].nodes


def test_a_zone_that_keeps_the_serials_of_its_files(api: Api) -> None:
    """With the policy keep another content needs a newer serial, which becomes the zone's."""
    api.cluster.do(PutZone(ZONE, SETTINGS, serial_policy="keep"))
    refused = put(api, TEXT)
    assert (422, True) == (refused.status_code, "is not newer than" in refused.json()["detail"])
    assert 2026112501 == put(api, TEXT.replace(" 1 3600", " 2026112501 3600")).json()["serial"]
    body = {"nameservers": ["ns1.example.org"], "contact": "host.example.org", "serial_policy": "date"}
    assert api.put("/v1/zones/example.org", json=body).is_success
    assert "date" == api.get("/v1/zones/example.org").json()["serial_policy"]


def test_check(api: Api) -> None:
    """What is wrong with a zone is listed for programs."""
    put(api, f"{TEXT}x CNAME gone\n")
    items = api.get("/v1/zones/example.org/check").json()["items"]
    assert {
        "level": "warning",
        "name": "x.example.org",
        "type": "CNAME",
        "text": "gone.example.org. does not exist",
    } in items
    assert 404 == api.get("/v1/zones/example.com/check").status_code


def test_few_files_at_one_time(cluster: FakeCluster) -> None:
    """A third import at one time is told to come again."""
    api = Api(cluster)

    async def three(client: httpx.AsyncClient) -> list[Any]:
        puts = (client.put(f"{FILE}?dry_run=true", content=TEXT.encode()) for _ in range(3))
        return await asyncio.gather(*puts)

    assert [200, 200, 503] == sorted(answer.status_code for answer in api.run(three))
