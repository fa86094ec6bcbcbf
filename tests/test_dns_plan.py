"""From [dns] and [[tsig]] to the settings of the DNS room: lists, keys, cookies."""

import base64
from collections.abc import Mapping
from pathlib import Path

import pytest

from node.config import loads
from node.dns import native
from node.dns.grants import LOOPBACK
from node.dns.listen import ListenAddress
from node.dns_plan import DnsPlan
from node.plan import StartError, plan_of
from node.zone.name import from_text
from tests.config.helpers import write_certificate

KEYS = "".join(
    f'[[tsig]]\nname = "{name}"\nsecret = "env:K"\n{grant}'
    for name, grant in (("certbot", 'grant = ["**.example.com TXT"]\n'), ("xfr", ""))
)
NODES = (
    '[[nodes]]\nname = "ns1"\nraft = "127.0.0.1:7300"\n[[nodes]]\nname = "ns2"\nraft = "127.0.0.2:7300"\n'
    '[[nodes]]\nname = "ns3"\nraft = "127.0.0.3:7300"\n'
)
ENVIRON = {"K": base64.b64encode(b"k" * 32).decode(), "S": "s" * 32, "C": "0a" * 16}
CERTBOT, XFR = from_text("certbot"), from_text("xfr")


def planned(
    dns: str, more: str = KEYS, environ: Mapping[str, str] = ENVIRON, node: str | None = None
) -> DnsPlan:
    """Return the plan of a configuration."""
    return plan_of(loads(f"[dns]\n{dns}\n{more}", environ, node), environ).dns


@pytest.mark.parametrize(
    ("lines", "keys", "networks"),
    [
        ("", None, None),
        ("allow_update = []", set(), ()),
        ('allow_update = ["key:certbot"]', {CERTBOT}, None),
        ('allow_update = ["127.0.0.0/8", "::1"]', None, LOOPBACK),
        ('allow_update = ["key:certbot", "127.0.0.0/8"]', {CERTBOT}, LOOPBACK[:1]),
    ],
)
def test_a_list_of_updaters_says_what_it_speaks_of(
    lines: str, keys: set[bytes] | None, networks: tuple[object, ...] | None
) -> None:
    """Of keys, of addresses, of both; an empty one lets nobody."""
    access = planned(lines).respond.access
    assert (keys, networks) == (access.update_keys, access.update_networks)
    assert [CERTBOT] == list(access.updates)


def test_a_list_of_who_may_transfer_replaces_loopback() -> None:
    """Without one, loopback may."""
    assert LOOPBACK == planned("").respond.access.transfer_networks
    access = planned('allow_transfer = ["key:xfr"]').respond.access
    assert (frozenset({XFR}), ()) == (access.transfer_keys, access.transfer_networks)


def test_secondaries_are_told_with_their_key() -> None:
    """Our own nodes need not be told."""
    notify = planned('also_notify = ["192.0.2.1", "192.0.2.2:5353 key:xfr"]', KEYS + NODES, node="ns1").notify
    assert ("192.0.2.1:53", "192.0.2.2:5353") == notify.also
    assert [ListenAddress("192.0.2.2", 5353)] == list(notify.keys)
    assert XFR == notify.keys[ListenAddress("192.0.2.2", 5353)].name
    assert {"127.0.0.1", "127.0.0.2", "127.0.0.3"} == notify.own_addresses


def test_all_nodes_of_a_cluster_make_cookies_with_one_secret() -> None:
    """Derived from the cluster's secret and name, or read; another cluster has another one."""
    cluster = '[cluster]\nname = "one"\nsecret = "env:S"\n'
    masters = [planned("", cluster + NODES, node=name).cookie_master for name in ("ns1", "ns2")]
    assert masters[0] is not None
    assert masters[0] == masters[1]
    assert masters[0] != planned("", cluster.replace("one", "two") + NODES, node="ns1").cookie_master
    read = planned('cookie_secret = "env:C"', NODES, node="ns1")
    assert ((b"\x0a" * 16,), None) == (read.respond.cookie_secrets, read.cookie_master)
    off = planned('cookies = false\ncookie_secret = "env:C"', NODES, node="ns1")
    assert ((), None) == (off.respond.cookie_secrets, off.cookie_master)
    assert masters[0].hex() not in repr(planned("", cluster + NODES, node="ns1"))


def test_a_key_that_cannot_be_read_is_no_key() -> None:
    """The node starts: what is signed with it is refused as signed with an unknown key."""
    assert {} == planned("", environ={}).respond.keys


def test_nothing_is_forwarded_unless_that_is_asked_for() -> None:
    """The list of clients alone does not open anything."""
    assert ((), None) == (planned("").respond.forward_for, planned("").forward)
    plan = planned('forward = "192.0.2.1"\nforward_for = "10.0.0.0/8"')
    assert (1, ("192.0.2.1:53",)) == (len(plan.respond.forward_for), plan.forward and plan.forward.servers)


def test_a_missing_cookie_secret_stops_the_node() -> None:
    """Clients would be told apart by nodes that do not agree."""
    with pytest.raises(StartError, match="C is not set"):
        planned('cookie_secret = "env:C"', environ={"K": ENVIRON["K"]})


def test_the_certificate_is_beside_the_file(tmp_path: Path) -> None:
    """Relative paths start there."""
    write_certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    text = '[dns]\ntls_listen = "127.0.0.1:853"\ntls = { cert = "cert.pem", key = "file:key.pem" }\n'
    plan = plan_of(loads(text, {}, base=tmp_path), {}).dns
    assert plan.tls is not None
    assert (tmp_path / "cert.pem", tmp_path / "key.pem") == (plan.tls.cert, plan.tls.key)


@pytest.mark.parametrize(("reader", "compiled"), [("auto", True), ("python", False)])
def test_the_compiled_reader_may_be_left_out(reader: str, compiled: bool) -> None:
    """It answers where it was built, unless the Python one is asked for."""
    assert compiled == planned(f'reader = "{reader}"').compiled


def test_a_compiled_reader_that_must_be_there_stops_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for it is told when it was not built, and what to do."""
    monkeypatch.setattr(native, "load", lambda: None)
    assert planned("").compiled
    with pytest.raises(StartError, match=r"no compiled reader at .*libnative\.so: install .* C compiler"):
        planned('reader = "native"')
