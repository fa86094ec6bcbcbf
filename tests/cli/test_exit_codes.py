"""The table of exit codes, one test a row, and the shape of what stands on standard error."""

from pathlib import Path

import pytest

from node.cli.main import main
from tests.cli.conftest import Qdns, Serve
from tests.cli.fake import problem, scene

SET = ("record", "set", "www.example.net", "A", "192.0.2.1")
PATH = "PUT /v1/zones/-/rrsets/www.example.net/A"

REFUSALS = [
    (2, problem(422, "invalid", "192.0.2.300 is not an IPv4 address")),
    (2, problem(400, "bad_request", "the body is not JSON")),
    (2, problem(413, "too_large", "the body is larger than 1 MiB")),
    (5, problem(401, "unauthorized", "the API wants a token")),
    (5, problem(403, "forbidden", "the token grafana may not write")),
    (5, problem(429, "too_many", "too many wrong tokens")),
    (6, problem(404, "not_found", "no zone here holds www.example.net")),
    (7, problem(409, "conflict", "www.example.net A belongs to a service")),
    (7, problem(412, "precondition", "it changed meanwhile")),
    (8, problem(503, "no_leader", "not changed: there is no leader")),
    (8, problem(503, "no_quorum", "not changed: no quorum (1 of 3 nodes)")),
    (8, problem(503, "busy", "not changed: too many proposals wait")),
    (8, problem(503, "stopped", "not changed: the node is stopping")),
    (9, problem(503, "outcome_unknown", "outcome unknown: the leader changed")),
    (1, problem(500, "failed", "a bug in this node; its log has the trace")),
]


@pytest.mark.parametrize(("code", "refusal"), REFUSALS, ids=lambda case: str(case)[:60])
def test_every_refusal_has_its_exit_code(code: int, refusal: object, qdns: Qdns, serve: Serve) -> None:
    """What the API refuses ends in the code of the table, says why, and prints nothing on standard output."""
    serve({PATH: refusal})
    ran = qdns(*SET)
    assert (code, "") == (ran.code, ran.out)
    assert ran.err.startswith("error: ")
    assert ran.err.count("error:") == 1


def test_0_done(qdns: Qdns, serve: Serve) -> None:
    """A write that was committed ends with 0."""
    serve("degraded")
    assert 0 == qdns(*SET).code


def test_1_a_bug_is_one_sentence_and_the_trace_only_on_request(
    qdns: Qdns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of qdns itself shows no traceback unless -v asks for it."""
    monkeypatch.setattr("node.cli.addresses.api_urls", lambda *_: 1 // 0)
    ran = qdns("status")
    assert 1 == ran.code
    assert "error: a fault in qdns itself: ZeroDivisionError" in ran.err
    assert "Traceback" not in ran.err
    assert "Traceback" in qdns("status", "-v").err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("staus",), 'error: no command "staus". Did you mean "status"?\n'),
        (("record", "sett"), 'error: no command "sett" of record. Did you mean "set"?\n'),
        (("zzz",), 'error: no command "zzz"\nhint: qdns --help\n'),
        (("status", "--nagois"), "Did you mean"),
        (("record", "set"), "error: missing argument"),
        (("status", "--timeout", "soon"), '"soon" is not a duration'),
        (("status", "--api", "ftp://ns1"), '"ftp://ns1" is not the URL of an API'),
        (("status", "--token-file", "nowhere"), "cannot read the token file nowhere"),
    ],
)
def test_2_wrong_usage(words: tuple[str, ...], sentence: str, qdns: Qdns) -> None:
    """A command line that cannot be meant ends with 2 and says what may have been meant."""
    ran = qdns(*words)
    assert 2 == ran.code
    assert sentence in ran.err


def test_3_invalid_configuration(qdns: Qdns, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration that cannot be read ends with 3, for clients and for nodes."""
    Path("cluster.toml").write_text('[cluster]\nnmae = "x"\n')
    ran = qdns("run")
    assert (3, True) == (ran.code, 'unknown key "nmae"' in ran.err)
    Path("cluster.toml").write_text("[cluster\n")
    monkeypatch.delenv("QDNS_API", raising=False)
    assert 3 == qdns("status").code


def test_4_no_node_answers(qdns: Qdns, free_url: str) -> None:
    """Every node that was tried is named with its reason."""
    ran = qdns("status", "--api", f"{free_url},{free_url}")
    assert 4 == ran.code
    assert f"error: no node answered\n  {free_url}  connection refused\n  {free_url}  " in ran.err


def test_4_an_answer_that_is_not_ours(qdns: Qdns, serve: Serve) -> None:
    """Some other web server at the address is told as such."""
    serve({"GET /v1/status": {"status": 200, "type": "text/html", "body": "<h1>It works!</h1>"}})
    ran = qdns("status")
    assert 4 == ran.code
    assert "answered 200 text/html, which is not our API" in ran.err


def test_9_a_write_of_which_no_node_knows(qdns: Qdns, serve: Serve) -> None:
    """A node that was sent the request and said nothing may have committed it; so it stays after three tries."""
    node = serve({PATH: {"drop": True}})
    ran = qdns(*SET)
    assert 9 == ran.code
    assert "error: outcome unknown" in ran.err
    assert 3 == len(node.writes)


@pytest.mark.parametrize(("name", "code"), [("healthy", 0), ("degraded", 10), ("no_quorum", 11)])
def test_10_and_11_health(name: str, code: int, qdns: Qdns, serve: Serve) -> None:
    """The status' exit code speaks of health only when asked to, so that ``set -e`` scripts may print it."""
    serve(name)
    assert 0 == qdns("status").code
    assert code == qdns("status", "--exit-code").code
    quiet = qdns("status", "-q")
    assert (code, "", "") == (quiet.code, quiet.out, quiet.err)


@pytest.mark.parametrize(("name", "code"), [("healthy", 0), ("degraded", 1), ("no_quorum", 2)])
def test_nagios_codes(name: str, code: int, qdns: Qdns, serve: Serve) -> None:
    """A monitoring plug-in has exit codes of its own."""
    serve(name)
    assert code == qdns("status", "--nagios").code


def test_nagios_unknown(qdns: Qdns, free_url: str) -> None:
    """A plug-in that learns nothing says UNKNOWN on standard output and ends with 3."""
    ran = qdns("status", "--nagios", "--api", free_url)
    assert (3, "") == (ran.code, ran.err)
    assert ran.out.startswith("QDNS UNKNOWN - no node answered; ")


def test_12_differences(qdns: Qdns, serve: Serve) -> None:
    """What compares ends with 12 when there is anything, and with 0 when there is nothing."""
    row = {"name": "a.example.org.", "type": "A", "before": None, "after": {"ttl": 5, "records": ["192.0.2.1"]}}
    node = serve({"GET /v1/push/knot/diff": {"target": "knot", "changes": [row]}})
    assert 12 == qdns("push", "diff", "knot").code
    node.answers["GET /v1/push/knot/diff"] = {"target": "knot", "changes": []}
    assert 0 == qdns("push", "diff", "knot", "--json").code


def test_130_interrupted(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    """Ctrl-C ends with 130 and without a word."""

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    serve("healthy")
    monkeypatch.setattr("node.cli.watch.pause", interrupt)
    assert 130 == main(["status", "-w"])


def test_a_write_goes_to_the_next_node_when_the_first_cannot_have_it(
    qdns: Qdns, serve: Serve, free_url: str
) -> None:
    """A refused connection carried nothing, so the next node is asked."""
    node = serve("degraded")
    assert 0 == qdns(*SET, "--api", f"{free_url},{node.url}").code
    assert 1 == len(node.writes)


def test_a_node_that_is_not_ready_is_passed_over_for_reads(qdns: Qdns, serve: Serve) -> None:
    """Another node may know already what this one is still replaying."""
    first = serve({"GET /v1/status": problem(503, "not_ready", "this node is starting")})
    second = serve("healthy")
    ran = qdns("status", "--api", f"{first.url},{second.url}")
    assert (0, True) == (ran.code, ran.out.startswith("prod   healthy"))


def test_nothing_changed_is_said_once(qdns: Qdns, serve: Serve) -> None:
    """A refused write says that nothing was changed, and says it once."""
    for detail in ("it is no address", "it is no address; nothing was changed"):
        node = serve(scene("degraded") | {PATH: problem(422, "invalid", detail)})
        ran = qdns(*SET, "--api", node.url)
        assert "error: it is no address; nothing was changed\n" == ran.err
