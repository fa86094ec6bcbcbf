"""What the writing commands send."""

from typing import Any

import pytest

from node.cli.commands.record import COLUMNS, Record, note
from tests.cli.conftest import Qdns, Serve
from tests.cli.fake import scene

RECORD = "/v1/zones/-/rrsets/www.example.net/A"
TXT = "/v1/zones/-/rrsets/example.net/TXT"

SENT: list[tuple[tuple[str, ...], str, str, Any]] = [
    (
        ("record", "set", "www.example.net", "a", "192.0.2.7"),
        "PUT",
        RECORD,
        {"rdatas": ["192.0.2.7"], "ttl": 300, "comment": "by hand", "disabled": False},
    ),
    (
        ("record", "set", "www.example.net", "A", "192.0.2.7", "--ttl", "5m", "--comment", "", "--disabled"),
        "PUT",
        RECORD,
        {"rdatas": ["192.0.2.7"], "ttl": 300, "comment": "", "disabled": True},
    ),
    (
        ("record", "set", "new.example.net", "A", "192.0.2.7"),
        "PUT",
        "/v1/zones/-/rrsets/new.example.net/A",
        {"rdatas": ["192.0.2.7"], "comment": "", "disabled": False},
    ),
    (("record", "add", "www.example.net", "A", "192.0.2.7"), "PATCH", RECORD, {"add": ["192.0.2.7"]}),
    (
        ("record", "set", "new.example.net", "A", "192.0.2.7", "--lease", "90s"),
        "PUT",
        "/v1/zones/-/rrsets/new.example.net/A",
        {"rdatas": ["192.0.2.7"], "comment": "", "disabled": False, "lease_s": 90},
    ),
    (
        ("record", "add", "www.example.net", "A", "192.0.2.7", "--lease", "1m"),
        "PATCH",
        RECORD,
        {"add": ["192.0.2.7"], "lease_s": 60},
    ),
    (("record", "rm", "www.example.net", "A", "192.0.2.7"), "PATCH", RECORD, {"remove": ["192.0.2.7"]}),
    (("record", "rm", "www.example.net", "A"), "DELETE", RECORD, None),
    (
        ("record", "add", "example.net", "TXT", "v=spf1 mx -all", '"kept" "as is"'),
        "PATCH",
        TXT,
        {"add": ['"v=spf1 mx -all"', '"kept" "as is"']},
    ),
    (
        ("record", "add", "example.net", "TXT", 'a "b" c\\d ü'),
        "PATCH",
        TXT,
        {"add": ['"a \\"b\\" c\\\\d \\195\\188"']},
    ),
    (
        ("record", "add", "example.net", "TXT", "x" * 300),
        "PATCH",
        TXT,
        {"add": [f'"{"x" * 255}" "{"x" * 45}"']},
    ),
    (
        ("endpoint", "add", "www.example.com", "192.0.2.12"),
        "PUT",
        "/v1/services/www.example.com/endpoints/192.0.2.12",
        None,
    ),
    (
        ("endpoint", "add", "www.example.com", "2001:db8::1", "--priority", "2", "--name", "fra"),
        "PUT",
        "/v1/services/www.example.com/endpoints/2001%3Adb8%3A%3A1",
        {"priority": 2, "name": "fra"},
    ),
    (
        (
            *("service", "create", "new.example.com", "192.0.2.1", "--check", "tcp://{}:5432", "--ttl", "1m"),
            *("--interval", "500ms", "--probe-timeout", "0.2s", "--rise", "1", "--fall", "2"),
            *("--fail-open", "100", "--mode", "active-standby", "--zone", "example.com"),
        ),
        "PUT",
        "/v1/services/new.example.com",
        {
            "check": "tcp://{}:5432",
            "endpoints": ["192.0.2.1"],
            "zone": "example.com",
            "ttl": 60,
            "interval_ms": 500,
            "timeout_ms": 200,
            "rise": 1,
            "fall": 2,
            "fail_open_percent": 100,
            "mode": "active-standby",
        },
    ),
    (
        ("service", "create", "new.example.com", "192.0.2.1", "--check", "icmp://{}", "--min-voters", "2"),
        "PUT",
        "/v1/services/new.example.com",
        {
            "check": "icmp://{}",
            "endpoints": ["192.0.2.1"],
            "rule": {"kind": "majority", "number": 0, "min_voters": 2},
        },
    ),
    (
        (
            *("service", "create", "new.example.com", "192.0.2.1", "--check", "icmp://{}"),
            *("--rule", "40%", "--min-voters", "0"),
        ),
        "PUT",
        "/v1/services/new.example.com",
        {
            "check": "icmp://{}",
            "endpoints": ["192.0.2.1"],
            "rule": {"kind": "fraction", "number": 40, "min_voters": 0},
        },
    ),
    (
        (
            *("service", "create", "new.example.com", "192.0.2.1", "--check", "icmp://{}"),
            *("--flap-limit", "6/10m/5m", "--failback", "90s"),
        ),
        "PUT",
        "/v1/services/new.example.com",
        {
            "check": "icmp://{}",
            "endpoints": ["192.0.2.1"],
            "flap_limit": {"changes": 6, "per_ms": 600_000, "hold_ms": 300_000},
            "failback": "after",
            "failback_after_ms": 90_000,
        },
    ),
    (
        ("service", "create", "new.example.com", "192.0.2.1", "--check", "icmp://{}", "--rule", "any"),
        "PUT",
        "/v1/services/new.example.com",
        {"check": "icmp://{}", "endpoints": ["192.0.2.1"], "rule": "any"},
    ),
    (
        (
            "zone",
            "create",
            "example.org",
            "--ns",
            "a.example.org",
            "--ns",
            "b.example.org",
            "--contact",
            "me@x.y",
        ),
        "PUT",
        "/v1/zones/example.org",
        {"nameservers": ["a.example.org", "b.example.org"], "contact": "me@x.y"},
    ),
]


@pytest.mark.parametrize(("words", "method", "path", "body"), SENT, ids=lambda case: str(case)[:50])
def test_what_is_sent(
    words: tuple[str, ...], method: str, path: str, body: Any, qdns: Qdns, serve: Serve
) -> None:
    """Method, path and body are the API's; a ttl or comment that nobody mentions stays."""
    ok = {"index": 1, "serial": 1, "changed": True}
    node = serve(scene("degraded") | {f"{method} {path}": ok})
    assert 0 == qdns(*words).code
    (sent,) = node.writes
    assert (method, path, body) == (sent.method, sent.target, sent.body)


def test_the_reason_travels_as_utf_8_on_one_line(qdns: Qdns, serve: Serve) -> None:
    """Why something was done reaches the event; it cannot carry another header."""
    node = serve("degraded")
    assert 0 == qdns("record", "rm", "www.example.net", "A", "--reason", "größer\r\nX-Evil: 1").code
    sent = node.writes[0].headers
    assert "größer X-Evil: 1" == sent["qdns-reason"].encode("latin-1").decode()
    assert "x-evil" not in sent


def test_a_creation_does_not_replace(qdns: Qdns, serve: Serve) -> None:
    """Creating refuses what exists, unless told to replace it."""
    node = serve("degraded")
    words = ("service", "create", "new.example.com", "192.0.2.1", "--check", "http://{}:80/")
    qdns(*words)
    qdns(*words, "--replace")
    assert ["*", None] == [each.headers.get("if-none-match") for each in node.writes]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rule", "most", "--min-voters", "2"), '"most" is no rule'),
        (("--rule", "101%", "--min-voters", "2"), "needs a number from 1 to 100"),
        (("--min-voters", "100"), "--min-voters"),
    ],
)
def test_a_rule_that_is_none_is_not_sent(words: tuple[str, ...], said: str, qdns: Qdns, serve: Serve) -> None:
    """What no rule can be is said before any node is asked."""
    node = serve("degraded")
    ran = qdns("service", "create", "new.example.com", "192.0.2.1", "--check", "icmp://{}", *words)
    assert (2, 0) == (ran.code, len(node.seen))
    assert said in ran.err


def test_deleting_asks_for_the_name(qdns: Qdns, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the name must be typed; anything else deletes nothing."""
    node = serve("degraded")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    typed = iter(["www.example.org", "WWW.example.com."])
    monkeypatch.setattr("click.prompt", lambda *_, **__: next(typed))
    assert (2, 0) == (qdns("service", "delete", "www.example.com").code, len(node.writes))
    assert (0, 1) == (qdns("service", "delete", "www.example.com").code, len(node.writes))


def test_a_list_is_read_page_by_page(qdns: Qdns, serve: Serve) -> None:
    """What one page ended with is where the next one begins."""
    row = scene("degraded")["GET /v1/zones"]["items"][0]
    node = serve(
        {
            "GET /v1/zones?limit=1000": {"items": [row | {"zone": "a.test"}], "next": "a.test"},
            "GET /v1/zones?limit=1000&after=a.test": {"items": [row | {"zone": "b.test"}], "next": None},
        }
    )
    assert "a.test\nb.test\n" == qdns("zones", "-o", "name").out
    assert 2 == len(node.seen)


def test_what_is_left_of_a_lease() -> None:
    """A listing says in its notes what is left of the leases on an RRset and on single records."""
    row = {"lease_s": 90, "lease_left_s": 41.7, "comment": "rack 4", "rdatas": ["192.0.2.1", "192.0.2.2"]}
    assert "lease 90 s, 41 s left; rack 4" == note(row)
    row = {"record_leases": [{"rdata": "192.0.2.2", "lease_s": 30, "lease_left_s": 12.0}], "rdatas": []}
    notes = next(column for column in COLUMNS if column.title == "NOTE")
    assert ["", "lease 30 s, 12 s left"] == [notes.cell(Record(row, f"192.0.2.{last}")) for last in (1, 2)]


@pytest.mark.parametrize("words", [("add", "ns4", "--raft", "192.0.2.4:7300"), ("replace", "ns3")])
def test_an_api_that_is_no_url_is_not_sent(words: tuple[str, ...], qdns: Qdns, serve: Serve) -> None:
    """Where a node's API is has a scheme and a port, and nothing behind them; that is said before any node is asked."""
    node = serve("degraded")
    for url in ("192.0.2.4:7380", "https://192.0.2.4", "https://192.0.2.4:7380/v1"):
        ran = qdns("node", *words, "--url", url)
        assert (2, 0) == (ran.code, len(node.seen))
        assert f"--url: '{url}' is not an API address; write" in ran.err
