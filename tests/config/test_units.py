"""Durations, shares and addresses as people write them."""

import pytest

from node.config.addresses import is_any, is_loopback, join, parse_endpoint
from node.config.units import parse_duration_ms, parse_percent
from node.state.api_url import parse_api_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("250ms", 250),
        ("5s", 5_000),
        ("1.5s", 1_500),
        ("0.25 s", 250),
        ("2m", 120_000),
        ("1h", 3_600_000),
        ("7d", 604_800_000),
        ("0s", 0),
    ],
)
def test_a_duration_has_a_number_and_a_unit(text, expected):
    """The units are ms, s, m, h and d."""
    assert expected == parse_duration_ms(text)


@pytest.mark.parametrize(
    "text", ["", "5", "s", "5 sec", "-5s", "1e3s", "0.0001s", "5S", "\u0665s", "999d", "1s2ms", "9" * 30 + "s"]
)
def test_what_is_no_duration_is_refused(text):
    """No guessing, no rounding."""
    with pytest.raises(ValueError, match=r"duration|year"):
        parse_duration_ms(text)


def test_shares_go_to_100():
    """50% is 50."""
    assert (0, 50, 100) == (parse_percent("0%"), parse_percent("50%"), parse_percent("100%"))


@pytest.mark.parametrize("text", ["101%", "50", "-1%", "0.5%"])
def test_what_is_no_share_is_refused(text):
    """A share is a whole number of hundredths."""
    with pytest.raises(ValueError, match="share"):
        parse_percent(text)


@pytest.mark.parametrize(
    ("text", "default", "expected"),
    [
        ("192.0.2.1:53", None, "192.0.2.1:53"),
        ("[2001:DB8::0:1]:53", None, "[2001:db8::1]:53"),
        ("192.0.2.1", 53, "192.0.2.1:53"),
        ("2001:db8::1", 53, "[2001:db8::1]:53"),
        ("[2001:db8::1]", 53, "[2001:db8::1]:53"),
    ],
)
def test_an_address_has_one_canonical_form(text, default, expected):
    """IPv6 stands in brackets before a port."""
    assert expected == join(*parse_endpoint(text, default))


@pytest.mark.parametrize(
    "text",
    ["", "192.0.2.1", "192.0.2.1:0", "192.0.2.1:65536", "host:53", "2001:db8::1:53", "[fe80::1%lo]:1", ":53"],
)
def test_what_is_no_address_with_a_port_is_refused(text):
    """A name cannot be bound, and a bare IPv6 address hides its port."""
    with pytest.raises(ValueError, match=r"address|port"):
        parse_endpoint(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://10.0.0.1:7380", "http://10.0.0.1:7380"),
        ("https://ns1.example.com:443/", "https://ns1.example.com:443"),
        ("10.0.0.1:7380", "http://10.0.0.1:7380"),
        ("[2001:db8::1]:7380", "http://[2001:db8::1]:7380"),
    ],
)
def test_an_api_address_is_a_url_without_a_path(text, expected):
    """The scheme may be left out."""
    assert expected == parse_api_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0.1",
        "ftp://10.0.0.1:1",
        "http://a:b@h:1",
        "http://h:1/x",
        "http://h:99999",
        "http://h i:1",
        "http://[::1:1",
        "http://:b@h:1",
        f"http://{'a' * 254}:1",
        f"http://h:1{'/' * 1_000_000}",
    ],
)
def test_what_is_no_api_address_is_refused(text):
    """No path, no password, a port that exists."""
    with pytest.raises(ValueError, match="API address") as caught:
        parse_api_url(text)
    assert len(str(caught.value)) < 200


def test_loopback_and_any_are_told_apart():
    """Rulings on open ports rest on this."""
    assert [True, True, True, False, False] == [
        is_loopback(each) for each in ("127.0.0.9", "::1", "localhost", "0.0.0.0", "ns1.example.com")
    ]
    assert [True, True, False, False] == [is_any(each) for each in ("0.0.0.0", "::", "127.0.0.1", "localhost")]
