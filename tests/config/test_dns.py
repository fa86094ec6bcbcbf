"""Faults of [dns] and of grants: each at its place, with what to do."""

import base64

import pytest

from node.config import ConfigError, loads
from tests.config.helpers import LONE, accepted, faults_of, warnings_of, write_certificate

KEY = '[[tsig]]\nname = "certbot"\nsecret = "env:K"\n'
ENVIRON = {"K": base64.b64encode(b"k" * 32).decode(), "C": "0a" * 16}
BROKEN = {
    "a word that allows nobody": (
        '[dns]\nallow_transfer = ["everybody"]\n',
        2,
        19,
        "'everybody' is neither \"key:NAME\" nor an address nor a network",
    ),
    "a network with host bits": (
        '[dns]\nallow_transfer = ["10.0.0.1/8"]\n',
        2,
        19,
        "'10.0.0.1/8' has bits set beyond its prefix; write \"10.0.0.0/8\"",
    ),
    "an unknown key that may transfer": (
        '[dns]\nallow_transfer = ["key:xfr"]\n',
        2,
        19,
        'there is no [[tsig]] key named "xfr"',
    ),
    "an unknown key to notify with": (
        '[dns]\nalso_notify = ["192.0.2.1 key:xfr"]\n',
        2,
        16,
        'there is no [[tsig]] key named "xfr"',
    ),
    "a secondary with a word behind": (
        '[dns]\nalso_notify = ["192.0.2.1 xfr"]\n',
        2,
        16,
        "'xfr' is not \"key:NAME\"",
    ),
    "a secondary by name": (
        '[dns]\nalso_notify = ["ns.example"]\n',
        2,
        16,
        "'ns.example' is not an address",
    ),
    "a key that may update and has no grant": (
        f'[dns]\nallow_update = ["key:certbot"]\n{KEY}',
        2,
        17,
        "the key certbot may change nothing: it has no grant",
    ),
    "a grant of no type": (
        f'{KEY}grant = ["www.example.com TXTT"]\n',
        4,
        10,
        "TXTT",
    ),
    "a grant without a name": (f'{KEY}grant = ["  "]\n', 4, 10, "a grant has a name"),
    "TLS without a certificate": (
        '[dns]\ntls_listen = ["127.0.0.1:853"]\n',
        2,
        14,
        "DNS over TLS needs a certificate",
    ),
    "TLS on a port of plain DNS": (
        (
            '[dns]\nlisten = ["127.0.0.1:53"]\ntls_listen = ["127.0.0.1:53"]\n'
            'tls = { cert = "no.pem", key = "file:no.key" }\n'
        ),
        3,
        15,
        "plain DNS listens on 127.0.0.1:53 already",
    ),
    "a key of a certificate in the environment": (
        '[dns]\ntls_listen = ["127.0.0.1:853"]\ntls = { cert = "no.pem", key = "env:C" }\n',
        3,
        32,
        "the key of a certificate is read from a file",
    ),
    "a circle": (
        '[dns]\nlisten = ["127.0.0.1:53"]\nforward = "127.0.0.1"\n',
        3,
        11,
        "where node1 answers DNS",
    ),
    "an open resolver": (
        '[dns]\nforward = "192.0.2.1"\nforward_for = ["::/0"]\n',
        3,
        16,
        "::/0 is everybody",
    ),
    "a cookie secret that is none": (
        '[dns]\ncookie_secret = "env:K"\n',
        2,
        17,
        "is not 32 hexadecimal digits",
    ),
    "a rate limit that is a number": (
        "[dns]\nrate_limit = 50\n",
        2,
        14,
        "dns.rate_limit: must be a table, not a number",
    ),
    "a misspelt key of the rate limit": (
        "[dns]\nrate_limit = { slop = 2 }\n",
        2,
        16,
        'unknown key "slop" in dns.rate_limit',
    ),
}


@pytest.mark.parametrize("case", BROKEN, ids=[name.replace(" ", "-") for name in BROKEN])
def test_a_fault_is_reported_at_its_place(case):
    """The one thing that is wrong is told once, where it stands."""
    text, line, column, fragment = BROKEN[case]
    faults = faults_of(text, ENVIRON)
    assert [(line, column)] == [fault[:2] for fault in faults], faults
    assert fragment in faults[0][2]


def test_an_unknown_key_is_shown_as_rustc_would():
    """Place, excerpt, carets, and the name that was meant."""
    with pytest.raises(ConfigError) as caught:
        loads(f'[dns]\nallow_update = ["key:certbt"]\n{KEY}grant = ["**.example.com"]\n', ENVIRON)
    expected = """\
error: there is no [[tsig]] key named "certbt"
 --> <text>:2:17
  |
2 | allow_update = ["key:certbt"]
  |                 ^^^^^^^^^^^^
  = help: did you mean "certbot"? one of: certbot"""
    assert expected == caught.value.render().split("\n\n")[0]


def test_what_is_of_no_use_is_a_warning():
    """A grant that allow_update does not list, a certificate without an address."""
    text = f'[dns]\nallow_update = ["key:certbot"]\n{KEY}grant = ["a.example"]\n' + KEY.replace(
        "certbot", "other"
    )
    (unused,) = warnings_of(text + 'grant = ["b.example"]\n', ENVIRON)
    assert "allow_update does not list it" in unused[2]
    words = [message for _, _, message in warnings_of('[dns]\ntls = { cert = "a", key = "file:b" }\n', {})]
    assert any("the certificate is for nothing" in each for each in words)


def test_a_certificate_and_a_key_that_do_not_match_are_an_error(tmp_path):
    """Said by ``qdns config check``, not by a listener that fails."""
    write_certificate(tmp_path / "cert.pem", tmp_path / "other.key")
    write_certificate(tmp_path / "other.pem", tmp_path / "key.pem")
    text = '[dns]\ntls_listen = ["127.0.0.1:853"]\ntls = { cert = "cert.pem", key = "file:key.pem" }\n'
    (fault,) = faults_of(text, {}, base=tmp_path)
    assert "are no certificate and its key" in fault[2]
    (tmp_path / "other.key").replace(tmp_path / "key.pem")
    assert [] == faults_of(text, {}, base=tmp_path)
    (tmp_path / "key.pem").chmod(0o644)
    assert "others can read it" in faults_of(text, {}, base=tmp_path)[0][2]


def test_the_nodes_agree_on_who_may_what():
    """A different ACL is a different shared part; the name in NSID is each node's own."""
    base = accepted(LONE).shared_hash
    assert base != accepted(LONE + 'allow_transfer = ["10.0.0.0/8"]\n').shared_hash
    assert base == accepted(LONE + 'nsid = "here"\n').shared_hash
