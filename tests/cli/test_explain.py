"""``qdns explain``: the node's sentences, laid out."""

from tests.cli.conftest import Qdns, Serve

FOUND = {
    "index": 7,
    "node": "ns1",
    "name": "www.example.org",
    "type": "A",
    "kind": "nodata",
    "rcode": 0,
    "records": [],
    "lines": [
        {"depth": 0, "text": "www.example.org. A is answered with NOERROR, no records"},
        {"depth": 1, "text": "www.example.org. exists"},
        {"depth": 0, "text": "elsewhere: knot has it"},
    ],
    "endpoints": [
        {
            "address": "192.0.2.1",
            "published": False,
            "reason": "down",
            "lines": [{"depth": 0, "text": "192.0.2.1 is not published"}, {"depth": 2, "text": "▼ ns1"}],
        }
    ],
}


def test_explain(qdns: Qdns, serve: Serve) -> None:
    """First the answer and its way, then each endpoint, then what stands elsewhere."""
    node = serve({"GET /v1/explain": FOUND})
    ran = qdns("explain", "www.example.org")
    assert (
        "www.example.org. A is answered with NOERROR, no records   (ns1, index 7)\n"
        "  www.example.org. exists\n\n"
        "192.0.2.1 is not published\n"
        "    ▼ ns1\n\n"
        "elsewhere: knot has it\n"
    ) == ran.out
    assert "/v1/explain?name=www.example.org&type=A" == node.seen[0].target
    assert 2 == qdns("explain", "www.example.org/192.0.2.9").code
    assert "192.0.2.1 is not published" in qdns("explain", "www.example.org/192.0.2.1").out
    assert "type=AAAA" in (qdns("explain", "www.example.org", "aaaa"), node.seen[-1].target)[1]


def test_the_past(qdns: Qdns, serve: Serve) -> None:
    """The index is passed on; that of an event has its number behind a dot."""
    node = serve({"GET /v1/explain": FOUND})
    assert 0 == qdns("explain", "www.example.org", "--at", "48190.2").code
    assert "/v1/explain?name=www.example.org&type=A&at=48190" == node.seen[0].target
    assert 2 == qdns("explain", "www.example.org", "--at", "yesterday").code


def test_an_entry_that_is_not_held_whole(qdns: Qdns, serve: Serve) -> None:
    """Notes stand last; of many records it is said how many are left out."""
    record = {"zone": "example.org", "serial_from": 1, "serial_to": 2, "removed": [], "added": ["x"], "more": 9}
    entry = {"index": 7, "node": "ns1", "at": "2026-11-22T14:08:02.000Z", "actor": "alice", "reason": "work"}
    rest = {"events": [], "services": [], "records": [record], "notes": ["what was before index 7 is not held"]}
    serve({"GET /v1/events/7": entry | rest})
    out = qdns("event", "show", "7").out
    assert 'index 7   14:08:02   by alice   "work"   (ns1)\n' in out
    assert "  + x\n  and 9 more records\n\nnote: what was before index 7 is not held\n" in out
