"""Every kind of check and every rule as it stands in ``cluster.toml``."""

from pathlib import Path

import pytest

from node.health.rule import Rule
from node.health.service import Check, Part
from node.health.steadiness import Failback, FlapLimit
from node.plan import plan_of
from node.zone.name import from_text
from tests.config.helpers import LONE, accepted, faults_of

HEAD = LONE + '[checks.exec.queue]\nargv = ["/usr/lib/qdns/queue", "{}"]\n'


def service(check: str, more: str = "") -> str:
    return (
        HEAD
        + f'[[services]]\nfqdn = "www.example.com"\nendpoints = ["192.0.2.1"]\nhealthcheck = {check}\n{more}'
    )


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ('"dns://{}:53"', Check("dns", 53)),
        (
            '{ dns = "{}:5300", query_name = "a.example.com", query_type = "AAAA", expect_rcodes = [0, 3] }',
            Check("dns", 5300, query_name=from_text("a.example.com"), query_type=28, expect_rcodes=(0, 3)),
        ),
        ('{ tls = "{}:853", host = "ns.example.com" }', Check("tls", 853, host="ns.example.com")),
        ('{ udp = "{}:514", send = "x", expect = "y" }', Check("udp", 514, send="x", expect="y")),
        ("{ icmp = true }", Check("icmp", 0)),
        ('{ grpc = "{}:50051", service = "shop.Cart" }', Check("grpc", 50051, grpc_service="shop.Cart")),
        ('{ exec = "queue" }', Check("exec", 0, command="queue")),
        (
            '{ url = "https://{}/", tls = { verify = false, warn_expiry = "14d" } }',
            Check("https", 443, verify=False, warn_expiry_days=14),
        ),
        (
            '{ parts = ["{}:22", { icmp = true, must_pass = true }], needed = "any" }',
            Check(
                "composite", 0, parts=(Part(Check("tcp", 22)), Part(Check("icmp", 0), must_pass=True)), needed=1
            ),
        ),
    ],
)
def test_kinds(text: str, check: Check) -> None:
    """A table says one thing to do and the options of that."""
    assert check == accepted(service(text)).services[0].check


@pytest.mark.parametrize(
    ("text", "column", "sentence"),
    [
        ('{ tcp = "{}:1", dns = "{}:53" }', 1, "says both tcp and dns"),
        ('{ tcp = "{}:1", method = "HEAD" }', 38, "method has no meaning in a check of kind tcp"),
        ('{ exec = "mail" }', 1, 'there is no command "mail"'),
        ('{ parts = ["{}:22", "{}"] }', 1, "has no port"),
        ('{ tls = { verfy = true } , url = "https://{}/" }', 24, 'unknown key "verfy"'),
        ('{ tcp = "{}:1", needed = 2 }', 39, "needed has no meaning without parts"),
    ],
)
def test_faults(text: str, column: int, sentence: str) -> None:
    """A fault is told where it is."""
    ((line, found, message),) = faults_of(service(text))
    assert sentence in message
    assert (11, True) == (line, found >= column)


def test_rules() -> None:
    """How votes become a verdict, and what is published when nothing is up."""
    text = 'rule = "40%"\nmin_voters = 2\nfallback = ["198.51.100.1"]\nmin_up = 1\nmax_answers = 2\n'
    made = accepted(service('"{}:1"', text)).services[0]
    assert (Rule("fraction", 40, 2), "fallback", ("198.51.100.1",), 1, 2) == (
        made.rule,
        made.when_down,
        made.fallback,
        made.min_up,
        made.max_answers,
    )
    assert Rule("any") == accepted('[health]\nrule = "any"\n' + service('"{}:1"')).services[0].rule
    assert '"most" is no rule' in faults_of(service('"{}:1"', 'rule = "most"\n'))[0][2]


def test_when_an_endpoint_comes_back() -> None:
    """A service has the limits of [health], its own, or none."""
    health = '[health]\nflap_limit = { changes = 4 }\nfailback = "10m"\n'
    made = [
        accepted(health + service('"{}:1"', text)).services[0]
        for text in ("", "flap_limit = false\n", 'flap_limit = { hold = "1m" }\nfailback = "manual"\n')
    ]
    assert [FlapLimit(4), None, FlapLimit(6, 600_000, 60_000)] == [each.flap_limit for each in made]
    after = Failback("after", 600_000)
    assert [after, after, Failback("manual")] == [each.failback for each in made]
    assert "is not a duration" in faults_of(service('"{}:1"', 'failback = "soon"\n'))[0][2]


def test_a_ttl_that_follows_and_families_apart() -> None:
    """Both are a service's own."""
    text = "ttl = 300\nttl_min = 10\nseparate_families = true\n"
    made = accepted(service('"{}:1"', text)).services[0]
    assert (300, 10, True) == (made.ttl, made.ttl_min, made.separate_families)
    assert "ttl_min must be" in faults_of(service('"{}:1"', "ttl_min = 10\n"))[0][2]


def test_what_probing_needs_of_the_machine_reaches_the_prober() -> None:
    """Commands, references and the CA file are this node's own and never replicated."""
    config = accepted(service('"{}:1"') + '[checks]\nca_file = "ca.pem"\nreferences = ["192.0.2.53:53"]\n')
    settings = plan_of(config, {}).prober
    assert {"queue": ("/usr/lib/qdns/queue", "{}")} == settings.exec_checks
    assert ("192.0.2.53:53",) == settings.references
    assert Path("ca.pem").name == (settings.ca_file.name if settings.ca_file else "")
