"""``qdns endpoint drain`` and its kin: what is sent, and what people read."""

from typing import Any

import pytest

from tests.cli.conftest import Qdns, Serve
from tests.cli.fake import problem, scene

WWW = "/v1/services/www.example.com"
OVERRIDE = {"kind": "drain", "author": "alice", "reason": "", "until_at": None, "automated": False}


def place(address: str, *, published: bool = False, until: str | None = None, kind: str = "drain") -> Any:
    override = None if published else OVERRIDE | {"until_at": until, "kind": kind}
    return {
        "service": "www.example.com",
        "address": address,
        "published": published,
        "ttl": 5,
        "override": override,
    }


def written(*places: Any, **more: Any) -> Any:
    return {"index": 48230, "serial": None, "changed": True, "places": list(places)} | more


def test_drain(qdns: Qdns, serve: Serve) -> None:
    """One command for all endpoints that the pattern means; it says what follows and what takes it back."""
    until = "2026-11-22T14:45:12.000Z"
    reply = written(place("192.0.2.10", until=until), place("192.0.2.11", until=until))
    node = serve({"POST /v1/overrides": reply})
    ran = qdns("endpoint", "drain", "www.example.com/192.0.2.1*", "--for", "30m", "--reason", "kernel update")
    assert (0, "") == (ran.code, ran.err)
    assert (
        "drained  www.example.com 192.0.2.10   out of DNS at index 48230; clients follow within about 5 s (ttl)\n"
        "drained  www.example.com 192.0.2.11   out of DNS at index 48230\n"
        "ends 14:45:12 by itself; undo: qdns endpoint undrain 'www.example.com/192.0.2.1*'\n"
    ) == ran.out
    (sent,) = node.writes
    assert {"places": ["www.example.com/192.0.2.1*"], "action": "drain", "for_s": 1800.0} == sent.body
    assert "kernel update" == sent.headers["qdns-reason"]


def test_what_would_empty_a_service(qdns: Qdns, serve: Serve) -> None:
    """It is a conflict, with the way out."""
    detail = "this would leave www.example.com. without any record: 3 of 3 endpoints would be out of DNS"
    serve({"POST /v1/overrides": problem(409, "conflict", detail, "take out one by one, or add --allow-empty")})
    ran = qdns("endpoint", "drain", "www.example.com/*")
    assert 7 == ran.code
    assert "without any record" in ran.err
    assert "hint: take out one by one, or add --allow-empty" in ran.err


@pytest.mark.parametrize(
    ("words", "method", "path", "body"),
    [
        (
            ("endpoint", "undrain", "a/b", "c/d"),
            "POST",
            "/v1/overrides",
            {"places": ["a/b", "c/d"], "action": "release"},
        ),
        (
            ("endpoint", "force", "a/b", "down", "--allow-empty"),
            "POST",
            "/v1/overrides",
            {"places": ["a/b"], "action": "force-down", "allow_empty": True},
        ),
        (
            ("endpoint", "force", "a/b", "auto"),
            "POST",
            "/v1/overrides",
            {"places": ["a/b"], "action": "release"},
        ),
        (
            ("service", "failover", "www.example.com", "--to", "ams", "--for", "1h"),
            "PUT",
            f"{WWW}/failover",
            {"to": "ams", "for_s": 3600.0},
        ),
        (("service", "failover", "www.example.com", "--auto"), "DELETE", f"{WWW}/failover", None),
    ],
    ids=str,
)
def test_what_is_sent(
    words: tuple[str, ...], method: str, path: str, body: Any, qdns: Qdns, serve: Serve
) -> None:
    """Method, path and body are the API's."""
    node = serve({f"{method} {path}": written(place("192.0.2.10"))})
    ran = qdns(*words)
    assert (0, "") == (ran.code, ran.err)
    (sent,) = node.writes
    assert (method, path, body) == (sent.method, sent.target, sent.body)


def test_failover_says_what_is_published(qdns: Qdns, serve: Serve) -> None:
    """And how to go back."""
    reply = written(place("192.0.2.21", published=True), place("192.0.2.20", kind="down"))
    serve({f"PUT {WWW}/failover": reply})
    assert (
        "www.example.com: 192.0.2.21 published, 192.0.2.20 withdrawn   index 48230   "
        "until: qdns service failover www.example.com --auto\n"
    ) == qdns("service", "failover", "www.example.com", "--to", "192.0.2.21").out
    assert 2 == qdns("service", "failover", "www.example.com").code


def test_maintenance(qdns: Qdns, serve: Serve) -> None:
    """On, planned and off; a time from now is sent as a time of day."""
    row = {"active": True, "author": "", "reason": "", "from_at": "2026-11-22T14:12:03.000Z", "index": 5}
    reply = written(service="www.example.com", published=2, endpoints=3)
    on = reply | {"maintenance": row | {"until_at": "2026-11-22T15:12:00.000Z"}}
    node = serve({f"PUT {WWW}/maintenance": on, f"DELETE {WWW}/maintenance": reply | {"maintenance": None}})
    ran = qdns("service", "maintenance", "www.example.com", "on", "--for", "1h", "--from", "2h")
    assert (
        "www.example.com: stays in DNS as it is (2 of 3 in DNS) until 15:12:00; probes go on, no alarms, no pushes"
        "   index 48230\n"
    ) == ran.out
    assert {"for_s": 3600.0, "from_at": "2026-11-22T16:12:03Z"} == node.writes[0].body
    assert "verdicts decide again" in qdns("service", "maintenance", "www.example.com", "off").out
    assert 2 == qdns("service", "maintenance", "www.example.com", "on", "--from", "soon").code
    assert 2 == qdns("service", "maintenance", "www.example.com", "off", "--for", "1h").code


def test_refresh(qdns: Qdns, serve: Serve) -> None:
    """It says which targets are read anew."""
    serve({f"POST {WWW}/refresh": {"service": "www.example.com", "targets": ["desec", "knot-eu"]}})
    assert "desec, knot-eu read anew" in qdns("service", "refresh", "www.example.com").out


def test_service_show_and_status_tell_of_it(qdns: Qdns, serve: Serve) -> None:
    """Who took it out, why, until when, and what the votes say."""
    answers = scene("degraded")
    row = answers[f"GET {WWW}"].get("body", answers[f"GET {WWW}"])
    said = OVERRIDE | {"reason": "kernel", "until_at": "2026-11-22T14:45:12.000Z"}
    row["endpoints"][0]["override"] = said
    status = answers["GET /v1/status"]["body"]
    shown = next(each for each in status["services"] if each["fqdn"] == "www.example.com")
    shown["endpoints"][0]["override"] = said
    shown["maintenance"] = {"active": True, "from_at": None, "until_at": None}
    serve(answers)
    ran = qdns("service", "show", "www.example.com")
    assert "◌ drained until 14:45:12" in ran.out
    assert "192.0.2.10: ◌ drained until 14:45:12, by alice: kernel; the votes say up" in ran.out
    services = qdns("services").out
    assert "◌ 1 drained" in services
    assert "(maintenance)" in services
