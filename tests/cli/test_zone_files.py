"""``qdns zone import``, ``export``, ``check`` and ``diff`` against a real API."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from node.api.server import ApiServer
from node.lease_clock import LeaseClock
from node.state.state import State
from node.zone.lease import LeaseKey
from node.zone.name import from_text
from node.zone.rrset import AAAA, NS, SRV, A
from tests.api.conftest import SEED, FakeCluster
from tests.api.test_server import serve
from tests.cli.conftest import Qdns, Ran

ORG = from_text("example.org")
TEXT = """\
$TTL 300
@ SOA ns1 host 7 3600 600 604800 60
@ NS ns1
@ NS ns2.example.net.
ns1 A 192.0.2.53
mail A 192.0.2.25 ; rack 4
; disabled: old A 192.0.2.9
@ MX 10 mail
"""
Play = Callable[..., list[Ran]]


@pytest.fixture(name="cluster")
def fixture_cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.do(SEED)
    return cluster


@pytest.fixture(name="play")
def fixture_play(qdns: Qdns, cluster: FakeCluster) -> Play:
    """Run commands one after the other against an API over the cluster."""

    def play(*lines: str) -> list[Ran]:
        async def work(server: ApiServer, _: httpx.AsyncClient) -> list[Ran]:
            api = f"http://{server.addresses[0]}"
            return [await asyncio.to_thread(qdns, *line.split(), "--api", api) for line in lines]

        ran: list[Ran] = serve(cluster, work)
        return ran

    return play


def zone_is(state: State) -> list[str]:
    zone = state.zones[ORG]
    return sorted({f"{name[1 : 1 + name[0]].decode()}" for name in zone.nodes if zone.nodes[name].rrsets})


def test_import_shows_asks_and_does(play: Play, cluster: FakeCluster) -> None:
    """A file's difference is shown; nobody to ask means nothing is done; --yes does it, once."""
    Path("example.org.zone").write_text(TEXT)
    looked, unasked, done, again = play(
        "zone import example.org.zone --dry-run",
        "zone import example.org.zone",
        "zone import example.org.zone --yes",
        "zone import example.org.zone --yes",
    )
    assert (12, True, True) == (
        looked.code,
        "+ mail 300 IN A 192.0.2.25 ; rack 4\n" in looked.out,
        "RRsets: 4 added, 2 changed, 0 removed" in looked.out,
    )
    assert (2, True) == (unasked.code, "example.org was not changed: nobody to ask" in unasked.err)
    assert (0, True) == (done.code, "imported  example.org  7 records" in done.out), done
    assert (0, True) == (again.code, "unchanged" in again.out)
    assert ["example", "mail", "ns1", "old", "www"] == zone_is(cluster.state)


def test_the_zone_of_a_file(play: Play, cluster: FakeCluster) -> None:
    """An argument, --zone, $ORIGIN or the file's name say which zone it is; else nothing is done."""
    Path("records").write_text(f"$ORIGIN example.net.\n{TEXT}")
    Path("db.example.com").write_text(TEXT)
    Path("plain").write_text(TEXT)
    ran = play(
        "zone import records --yes",
        "zone import db.example.com --yes",
        "zone import plain --zone example.edu --yes",
        "zone import example.info plain --yes",
        "zone import plain --yes",
        "zone import gone.zone",
    )
    assert [0, 0, 0, 0, 2, 2] == [each.code for each in ran], ran
    names = ("example.net", "example.com", "example.edu", "example.info")
    assert [7] * 4 == [cluster.state.zones[from_text(name)].serial for name in names]
    assert "plain does not say which zone it is of" in ran[4].err
    assert "cannot read gone.zone: no such file" in ran[5].err


def test_bad_lines_are_shown_with_their_place(play: Play) -> None:
    """All bad lines at once, as file:line, whether a node or this program reads them; exit code 3."""
    Path("example.org.zone").write_text("a A 192.0.2.300\nb MX x\n")
    Path("one.zone").write_text("a A 192.0.2.300\n")
    sent, one, local = play(
        "zone import example.org example.org.zone --yes",
        "zone import example.org one.zone --yes",
        "zone check example.org.zone",
    )
    for ran in (sent, local):
        assert 3 == ran.code
        assert "example.org.zone:1: 192.0.2.300 is not an IPv4 address" in ran.err
        assert "example.org.zone:2: 'x' is not a record of type MX" in ran.err
    assert (3, True) == (one.code, "one.zone:1: 192.0.2.300 is not an IPv4 address" in one.err)


def test_includes_stay_below_the_file(play: Play, cluster: FakeCluster) -> None:
    """$INCLUDE reads below the file's directory, and nowhere else."""
    Path("sub").mkdir()
    Path("sub/more").write_text("x A 192.0.2.7\n")
    Path("example.org.zone").write_text(f"{TEXT}$INCLUDE sub/more\n")
    Path("sub/bad.zone").write_text(f"{TEXT}$INCLUDE ../example.org.zone\n$INCLUDE /etc/passwd\n")
    good, bad = play("zone import example.org.zone --yes", "zone import example.org sub/bad.zone --yes")
    assert (0, 3) == (good.code, bad.code), (good, bad)
    assert cluster.state.zones[ORG].get(from_text("x.example.org"), A) is not None
    assert 2 == bad.err.count("it lies outside of")


def test_export_and_diff(play: Play) -> None:
    """What is exported is the zone, and differs in nothing from it."""
    Path("example.org.zone").write_text(TEXT)
    ran = play(
        "zone import example.org.zone --yes",
        "zone export example.org out.zone",
        "zone diff example.org out.zone",
        "zone diff example.org.zone",
        "zone export example.edu out.zone",
    )
    assert [0, 0, 0, 0, 6] == [each.code for each in ran], ran
    lines = Path("out.zone").read_text().splitlines()
    assert {"mail 300 IN A 192.0.2.25 ; rack 4", "; disabled: old 300 IN A 192.0.2.9"} < set(lines)
    assert ["example.org.zone", "out.zone"] == sorted(each.name for each in Path().iterdir())


def test_check_of_a_zone_and_of_a_file(play: Play) -> None:
    """Errors end with 10, warnings with 0; programs get rows."""
    Path("example.org.zone").write_text(f"{TEXT}x NS ns.x\n")
    ran = play(
        "zone check example.org.zone",
        "zone import example.org.zone --yes",
        "zone check example.org",
        "zone check example.org -o json",
    )
    assert [10, 0, 10, 10] == [each.code for each in ran], ran
    for each in (ran[0], ran[2]):
        assert "error: x.example.org NS: ns.x.example.org. has no address here: missing glue\n" in each.out
    assert "NS" == json.loads(ran[3].out)[0]["type"]


DUMP = {
    "action": "get",
    "node": {
        "key": "/helix",
        "dir": True,
        "nodes": [
            {
                "key": "/helix/com/example",
                "dir": True,
                "nodes": [
                    {
                        "key": "/helix/com/example/SOA",
                        "value": '{"Ns":"ns1.example.com.","Mbox":"host.example.com.","Serial":42,"Refresh":3600,'
                        '"Retry":600,"Expire":604800,"Minttl":60}',
                    },
                    {"key": "/helix/com/example/foo/A", "value": "123.123.123.123"},
                    {"key": "/helix/com/example/foo/CNAME", "value": "bar.example.com."},
                    {"key": "/helix/com/example/bad/A", "value": "2001:db8::1"},
                    {"key": "/helix/com/example/bad/note", "value": "x"},
                    {"key": "/helix/com/example/tmp/AAAA", "value": "2001:db8::1", "ttl": 30},
                    {
                        "key": "/helix/com/example/_tcp/_sip/SRV",
                        "value": '[{"Priority":1,"Weight":2,"Port":3,"Target":"foo.example.com."}]',
                    },
                    {
                        "key": "/helix/com/example/host",
                        "dir": True,
                        "ttl": 60,
                        "nodes": [
                            {
                                "key": "/helix/com/example/host/A",
                                "dir": True,
                                "nodes": [
                                    {"key": "/helix/com/example/host/A/1", "value": "192.0.2.1"},
                                    {"key": "/helix/com/example/host/A/2", "value": "192.0.2.2"},
                                ],
                            }
                        ],
                    },
                ],
            },
            {"key": "/helix/org/other/a/A", "value": "192.0.2.1"},
            {"key": "/helix/org/example/extra/A", "value": "192.0.2.77"},
        ],
    },
}


def test_a_tree_of_helixdns(play: Play, cluster: FakeCluster) -> None:
    """A dump of etcd's tree becomes zones, leases too; what cannot be taken is listed with its reason."""
    Path("dump.json").write_text(json.dumps(DUMP))
    clock = LeaseClock(lambda: 0.0)
    cluster.listeners.append(lambda state, changed: clock.take(state, changed and changed.leases))
    looked, done, again = play(
        "zone import --etcd dump.json --dry-run",
        "zone import --etcd dump.json --yes",
        "zone import --etcd dump.json --dry-run",
    )
    assert (12, 0, 0) == (looked.code, done.code, again.code), (looked, done, again)
    for line in (
        "# not taken: /helix/com/example/bad/A: 2001:db8::1 is not an IPv4 address",
        "# not taken: /helix/com/example/bad/note: the last step is no record type in upper case",
        "# not taken: foo.example.com. CNAME: it stands beside A",
        "# not taken: a.other.org. A: it is in none of the zones",
    ):
        assert f"{line}\n" in looked.out
    com = from_text("example.com")
    zone = cluster.state.zones[com]
    assert 42 == zone.serial
    for name, type_ in (("foo", A), ("tmp", AAAA), ("_sip._tcp", SRV), ("@", NS)):
        assert zone.get(from_text(name, com) if name == "@" else from_text(f"{name}.example.com"), type_), name
    host = from_text("host.example.com")
    assert 2 == len(zone.nodes[host].rrsets[0].rdatas)
    assert {LeaseKey(com, from_text("tmp.example.com"), AAAA): 30, LeaseKey(com, host): 60} == {
        key: lease.ttl_s for key, lease in cluster.state.leases.items()
    }
    assert cluster.state.zones[ORG].get(from_text("extra.example.org"), A) is not None
    assert cluster.state.zones[ORG].get(from_text("www.example.org"), A) is not None


def test_what_is_no_tree(play: Play) -> None:
    """Anything else is refused as a whole."""
    Path("a.json").write_text("[1]")
    Path("b.json").write_text("{")
    for ran in play("zone import --etcd a.json --yes", "zone import --etcd b.json --yes"):
        assert (3, True) == (ran.code, "cannot be taken" in ran.err)


@pytest.mark.real
@pytest.mark.skipif(
    shutil.which("named-compilezone") is None or shutil.which("ldns-read-zone") is None,
    reason="named-compilezone or ldns-read-zone is not installed",
)
def test_other_readers_see_the_same_zone(play: Play) -> None:
    """BIND and ldns make the same records of the original and of what is exported of it."""
    text = (
        "$TTL 1h\n@ SOA ns1 host ( 7 1h 10m 1w 60 )\n@ NS ns1\n@ NS ns2.example.net.\nns1 A 192.0.2.53\n"
        '@ TXT "a;b" "c \\"d\\""\n@ CAA 0 issue "ca.example.net"\n_sip._tcp SRV 0 5 5060 ns1\n*.w AAAA 2001:DB8::1\n'
        "$GENERATE 1-3 h$ A 192.0.2.$\nk TYPE65400 \\# 2 abcd\nsub DS 1 13 2 "
        + "ab" * 32
        + "\nsub NS ns1\nd DNAME example.net.\nMixed.Case MX 10 Mail.Example.NET.\n"
    )
    Path("example.edu.zone").write_text(text)
    ran = play("zone import example.edu.zone --yes", "zone export example.edu out.zone")
    assert [0, 0] == [each.code for each in ran], ran

    def compiled(file: str) -> list[str]:
        command = ["named-compilezone", "-q", "-i", "none", "-o", "-", "example.edu", file]
        return sorted(
            subprocess.run(command, capture_output=True, text=True, check=True).stdout.lower().split("\n")
        )

    def normalised(file: str) -> list[str]:
        command = ["ldns-read-zone", "-c", file]
        return sorted(
            subprocess.run(command, capture_output=True, text=True, check=True).stdout.lower().split("\n")
        )

    Path("with-origin").write_text(
        "$ORIGIN example.edu.\n"
        + text.replace("$GENERATE 1-3 h$ A 192.0.2.$\n", "h1 A 192.0.2.1\nh2 A 192.0.2.2\nh3 A 192.0.2.3\n")
    )
    assert compiled("example.edu.zone") == compiled("out.zone")
    assert normalised("with-origin") == normalised("out.zone")
