"""Broken files: each fault at its line and column, with a sentence and a suggestion."""

import json

import pytest

from node.config import ConfigError, loads, to_json
from tests.config.helpers import LONE, SERVICE, accepted, faults_of, warnings_of

NODES = '[[nodes]]\nname = "ns1"\nraft = "127.0.0.1:7300"\n[[nodes]]\nname = "ns2"\nraft = "127.0.0.2:7300"\n'
BROKEN = {
    "a text that is not closed": ('[cluster]\nname = "x\n', 2, 10, "invalid TOML: "),
    "a key that stands twice": ('[cluster]\nname = "x"\nname = "y"\n', 3, 11, "invalid TOML: cannot overwrite"),
    "an unknown table": ('[dsn]\nlisten = ["127.0.0.1:53"]\n', 1, 1, 'unknown key "dsn"'),
    "an unknown key": ("[dns]\n  lissen = []\n", 2, 3, 'unknown key "lissen" in dns'),
    "an unknown dotted key": ("dns.lissen = []\n", 1, 5, 'unknown key "lissen" in dns'),
    "a number for a text": (
        "[cluster]\nname = 5\n",
        2,
        8,
        "cluster.name: must be a text in quotes, not a number",
    ),
    "a text for a number": ('[dns]\ndefault_ttl = "5"\n', 2, 15, "dns.default_ttl: must be a whole number"),
    "a table for a list": ("[nodes]\n", 1, 1, "nodes: must be a list in brackets, not a table"),
    "a date": ("[log]\nlevel = 2024-01-01\n", 2, 9, "is not possible here"),
    "a missing key": (SERVICE.replace("fqdn", "zone"), 1, 1, 'missing required key "fqdn" in services[0]'),
    "a wrong word": ('[log]\nlevel = "inof"\n', 2, 9, '"inof" is not possible here'),
    "a duration without unit": ('[health]\ninterval = "5"\n', 2, 12, "'5' is not a duration"),
    "a share without sign": ('[health]\nfail_open = "50"\n', 2, 13, "'50' is not a share"),
    "a number out of range": ("[health]\nrise = 0\n", 2, 8, "greater than or equal to 1"),
    "an address that is none": (
        LONE + SERVICE.replace("192.0.2.1", "192.0.2.300"),
        9,
        14,
        "192.0.2.300 is not an IPv4 or IPv6 address",
    ),
    "an address in an inline table": (
        LONE + SERVICE.replace('["192.0.2.1"]', '[\n  { priority = 1, address = "1.2.3" },\n]'),
        10,
        29,
        "1.2.3 is not an IPv4 or IPv6 address",
    ),
    "an unknown key in an inline table": (
        LONE + SERVICE.replace('["192.0.2.1"]', '[{ address = "1.2.3.4", "weigth" = 2 }]'),
        9,
        37,
        'unknown key "weigth" in services[0].endpoints[0]',
    ),
    "an address twice": (
        LONE + SERVICE.replace('["192.0.2.1"]', '["2001:db8::1", "2001:DB8:0::1"]'),
        9,
        29,
        "this address stands in the service already",
    ),
    "a node's name twice": (NODES.replace("ns2", "ns1"), 5, 8, "another node has this name already"),
    "a node's raft twice": (NODES.replace("0.2:", "0.1:"), 6, 8, "another node has this raft already"),
    "a service twice": (LONE + SERVICE + SERVICE, 11, 8, "another service has this name already"),
    "a zone twice": (LONE + LONE.split("[dns]")[0], 7, 8, "this zone stands in the file already"),
    "a service outside of its zone": (
        LONE + SERVICE + 'zone = "example.org"\n',
        10,
        8,
        "www.example.com. is not inside the zone example.org.",
    ),
    "a service without a zone": (LONE + SERVICE.replace(".com", ".org"), 7, 8, "no zone of this file holds"),
    "a template without braces": (
        LONE + SERVICE.replace("{}", "192.0.2.1"),
        8,
        15,
        "would probe 192.0.2.1 for every endpoint",
    ),
    "a template with two braces": (
        LONE + SERVICE.replace("0/", "0/{}"),
        8,
        15,
        "must be the host, whole and alone",
    ),
    "a scheme that is none": (LONE + SERVICE.replace("http:", "htps:"), 8, 15, '"htps" is not a scheme'),
    "a timeout as long as the interval": (
        LONE + SERVICE + 'interval = "1s"\n',
        10,
        12,
        "the timeout of 1000 ms must be shorter than the interval of 1000 ms",
    ),
    "a node off loopback without secret": (
        '[[nodes]]\nname = "a"\nraft = "10.0.0.1:7300"\napi = "http://127.0.0.1:80"\n',
        3,
        8,
        "[cluster] tls or secret is required",
    ),
    "an API off loopback without tokens": (
        '[api]\nlisten = "0.0.0.0:7380"\n',
        2,
        10,
        "[[api.tokens]] are required",
    ),
    "a node whose API is http beside a certificate": (
        (
            '[[nodes]]\nname = "a"\nraft = "127.0.0.1:7300"\napi = "http://127.0.0.1:7380"\n'
            '[api]\ntls = { cert = "c.pem", key = "file:k.pem" }\n'
        ),
        4,
        7,
        "with [api] tls the API speaks https",
    ),
    "a key of the API in the environment": (
        '[api]\ntls = { cert = "c.pem", key = "env:KEY" }\n',
        2,
        31,
        "TLS reads its key from a file",
    ),
    "a socket with too long a name": (
        f'[api]\nsocket = "/{"x" * 120}"\n',
        2,
        10,
        "has 121 octets, 107 are possible",
    ),
    "a scope that is none": (
        '[[api.tokens]]\nname = "a"\ntoken = "env:T"\nscopes = ["read", "records:wirte"]\n',
        4,
        19,
        "is no scope; one begins with read, records:write",
    ),
    "a scope with a condition that it cannot have": (
        '[[api.tokens]]\nname = "a"\ntoken = "env:T"\nscopes = ["acme name=x.example.org"]\n',
        4,
        11,
        "only zone= can follow",
    ),
    "a secret in the file": ('[cluster]\nsecret = "hunter2"\n', 2, 10, "a secret is never written here"),
    "an unknown TSIG key": (
        '[[push]]\ntype = "rfc2136"\nserver = "192.0.2.53"\nzones = ["example.com"]\ntsig = "k"\n',
        5,
        8,
        'there is no [[tsig]] key named "k"',
    ),
    "a push to ourselves": (
        LONE + '[[push]]\ntype = "rfc2136"\nserver = "127.0.0.1:9000"\nzones = ["example.com"]\nwhat = "all"\n',
        8,
        10,
        "a push there would go round in a circle",
    ),
    "a bad record": (
        LONE.replace("[dns]", 'records = """\n  @ MX 10 m\n  m   A 1.2.3\n"""\n[dns]'),
        6,
        3,
        "1.2.3 is not an IPv4 address",
    ),
    "a service's name among the records": (
        LONE.replace("[dns]", "records = '''www A 192.0.2.9'''\n[dns]") + SERVICE,
        4,
        14,
        "www.example.com. A belongs to the service of this name",
    ),
    "a zone without name servers": ('[[zones]]\nname = "example.com"\n', 1, 1, "has no name servers"),
    "a port of two": (
        '[dns]\nlisten = ["127.0.0.1:7380"]\n',
        2,
        11,
        "the API listens on 127.0.0.1:7380 already",
    ),
    "a rare heartbeat": ('[raft]\nheartbeat = "200ms"\n', 2, 13, "too rare for an election timeout of 250 ms"),
    "an expression that is none": (
        LONE + SERVICE.replace('"http://{}:80/"', '{ url = "http://{}", expect_body = "(" }'),
        8,
        50,
        "expect_body is not a regular expression",
    ),
}


@pytest.mark.parametrize("case", BROKEN, ids=[name.replace(" ", "-") for name in BROKEN])
def test_a_fault_is_reported_at_its_place(case):
    """The one thing that is wrong is told once, where it stands."""
    text, line, column, fragment = BROKEN[case]
    faults = faults_of(text, {"LOCAL_NODE": "ns1"} if text.startswith('[[nodes]]\nname = "ns') else {})
    assert [(line, column)] == [fault[:2] for fault in faults], faults
    assert fragment in faults[0][2]


def test_all_faults_of_a_file_are_reported_at_once():
    """Types, unknown keys, rules and records: whoever mends a file sees everything in one go."""
    wanted = [
        "a wrong word",
        "an unknown key",
        "a rare heartbeat",
        "a share without sign",
        "a zone without name servers",
        "a service without a zone",
        "a template with two braces",
        "an unknown TSIG key",
    ]
    # The two services become one that has both faults, each key in the file once.
    parts = [BROKEN[name][0] for name in wanted if "template" not in name and "zone" not in name]
    service = SERVICE.replace(".com", ".org").replace("0/", "0/{}")
    zone = BROKEN["a zone without name servers"][0]
    messages = " | ".join(message for _, _, message in faults_of("\n".join([*parts, zone, service])))
    fragments = [BROKEN[name][3] for name in wanted if name != "a service without a zone"]
    assert [] == [fragment for fragment in fragments if fragment not in messages]


def test_a_fault_is_rendered_with_its_line_carets_and_a_suggestion():
    """The form is that of rustc: place, excerpt, carets, help."""
    with pytest.raises(ConfigError) as caught:
        loads('[[services]]\nfdqn = "x"\nhealthcheck = "{}:1"\nendpoints = []\n', {})
    expected = """\
error: unknown key "fdqn" in services[0]
 --> <text>:2:1
  |
2 | fdqn = "x"
  | ^^^^
  = help: did you mean "fqdn"? one of: fqdn, zone, ttl, mode, interval, timeout, recheck, rise, fall, fail_open, \
rule, min_voters, when_down, fallback, min_up, max_answers, flap_limit, failback, ttl_min, separate_families, selection, healthcheck, endpoints"""
    assert expected == caught.value.render().split("\n\n")[1]


def test_faults_become_json_for_editors():
    """Every fault has the keys that editors and CI annotations read."""
    with pytest.raises(ConfigError) as caught:
        loads("[dns]\ndefault_ttl = 0\n", {})
    expected = {
        "file": "<text>",
        "line": 2,
        "column": 15,
        "path": "dns.default_ttl",
        "code": "invalid-value",
        "level": "error",
        "message": "dns.default_ttl: input should be greater than or equal to 1",
        "suggestion": "",
    }
    assert [expected] == json.loads(to_json(caught.value.faults))


def test_an_even_number_of_nodes_is_a_warning():
    """Two nodes survive no loss, as one does not."""
    config = accepted(NODES, {}, "ns1")
    assert [(4, "2 nodes survive the loss of 0, as 1 would")] == [(w.line, w.message) for w in config.warnings]


def test_more_probes_than_a_node_can_make_are_a_warning():
    """Intervals that cannot be kept are told before they are missed."""
    service = SERVICE.replace('"192.0.2.1"', ", ".join(f'"10.0.0.{n}"' for n in range(1, 251)))
    many = (
        "".join(service.replace("www", f"w{n}") for n in range(2))
        + '[health]\ninterval = "100ms"\ntimeout = "50ms"\n'
    )
    assert ["every node would have to probe 5000 times a second"] == [
        message.partition(";")[0] for _, _, message in warnings_of(LONE + many)
    ]


def test_a_push_that_carries_nothing_is_a_warning():
    """A zone misspelt in [[push]] is otherwise a silence."""
    push = '[[push]]\ntype = "rfc2136"\nserver = "192.0.2.53"\nzones = ["example.org"]\n'
    expected = [(13, 9, "no service is in these zones: nothing is pushed")]
    assert expected == warnings_of(LONE + SERVICE + push)


def test_what_an_empty_cluster_would_refuse_is_refused_here():
    """The state machine has the last word: seeding must not fail after a check that said yes."""
    inner = '[[zones]]\nname = "a.example.com"\nnameservers = ["ns1.example.com"]\n'
    text = LONE + inner + SERVICE.replace("www", "www.a") + 'zone = "example.com"\n'
    assert [(9, 1)] == [fault[:2] for fault in faults_of(text)]
