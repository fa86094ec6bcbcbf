"""Checks as text and in full: one reader, whoever writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.health.check_options import OPTIONS, composed, with_options
from node.health.check_text import BadCheck, read_check, write_check
from node.health.rule import Rule, read_rule, write_rule
from node.health.service import Check, Part
from node.zone.name import from_text

TEXTS = {
    "http://{}": Check("http", 80),
    "http://{}:8080?a=b": Check("http", 8080, "/?a=b"),
    "https://{}/health": Check("https", 443, "/health"),
    "{}:5432": Check("tcp", 5432),
    "tls://{}:853": Check("tls", 853),
    "udp://{}:514": Check("udp", 514),
    "icmp://{}": Check("icmp", 0),
    "dns://{}": Check("dns", 53),
    "dns://{}:5300/www.example.org?type=AAAA": Check(
        "dns", 5300, query_name=from_text("www.example.org"), query_type=28
    ),
    "grpc://{}:50051": Check("grpc", 50051),
    "grpcs://{}:50051/shop.Cart": Check("grpc", 50051, grpc_service="shop.Cart", tls=True),
    "exec://mail-queue": Check("exec", 0, command="mail-queue"),
}


@pytest.mark.parametrize("text", TEXTS)
def test_one_line(text: str) -> None:
    """Every kind but the composite has a form of one line, which reads back as it was written."""
    assert TEXTS[text] == read_check(text)
    assert TEXTS[text] == read_check(write_check(TEXTS[text]))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ftp://{}:21", '"ftp" is not a scheme'),
        ("tcp://{}", "has no port"),
        ("icmp://{}:7", "has no port"),
        ("tcp://{}:80/x", "a tcp check has no path"),
        ("http://{}:80/#x", "never sent"),
        ("http://{}:80/ä", "a character that a URL cannot hold"),
        ("http://[{}]:80/", "without brackets"),
        ("http://192.0.2.1/", "would probe 192.0.2.1 for every endpoint"),
        ("http://{}.example.org/", "whole and alone"),
        ("http://{}:0/", "a port is a number from 1 to 65535"),
        ("dns://{}/x?class=IN", "asks like"),
        ("dns://{}/x?type=NONSENSE", "not a record type"),
        ("exec:///usr/bin/true", "does not name a command"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, sentence: str) -> None:
    """A sentence says what is wrong."""
    with pytest.raises(BadCheck) as caught:
        read_check(text)
    assert sentence in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever is written there is never a trace."""
    try:
        check = read_check(text)
    except BadCheck:
        return
    assert check == read_check(write_check(check))


def test_an_option_belongs_to_a_kind() -> None:
    """What means nothing to a kind is refused by name."""
    with pytest.raises(BadCheck) as caught:
        with_options(read_check("tcp://{}:1"), {"method": "HEAD"})
    assert ("method", "method has no meaning in a check of kind tcp") == (caught.value.key, str(caught.value))
    assert "HEAD" == with_options(read_check("http://{}"), {"method": "HEAD"}).method
    assert all(hasattr(Check("tcp", 1), field) for fields in OPTIONS.values() for field in fields)


def test_composite() -> None:
    """It is made of others, and says so in one line for people."""
    check = composed([Part(read_check("{}:22")), Part(read_check("icmp://{}"))], 1)
    assert "1 of: tcp://{}:22, icmp://{}" == write_check(check)
    with pytest.raises(BadCheck):
        composed([Part(read_check("{}:22"))], 2)


def test_rules_as_text() -> None:
    """A word, a number of nodes or a share."""
    for text, rule in {"any": Rule("any"), "2": Rule("count", 2), "40%": Rule("fraction", 40)}.items():
        assert rule == read_rule(text)
        assert text == write_rule(rule)
    for wrong in ("most", "0", "101%", "count", "-1", ""):
        with pytest.raises(ValueError, match=r"rule|number"):
            read_rule(wrong)
