"""The rate limit of several processes: counts add up over all rows, whoever wrote them."""

import mmap

from node.dns.limiter import LimiterSettings, Verdict
from node.dns.shared_limiter import OCTETS, SharedLimiter

KEY = bytes.fromhex("9e3779b97f4a7c15f39cc0605cedc835")
NAME = b"\x03www\x00"


def rows(count: int, **settings: int) -> list[SharedLimiter]:
    """Make the limiters of so many processes."""
    memory = mmap.mmap(-1, OCTETS)
    shared = LimiterSettings(responses_per_s=4, **settings)
    return [SharedLimiter(memory, count, row, shared, KEY) for row in range(count)]


def test_all_processes_share_one_account() -> None:
    """Four a second in all, wherever the packets come in, then every second one is cut."""
    first, second = rows(2)
    judged = [each.judge("192.0.2.1", 0, NAME, 7.5) for each in (first, second) * 5]
    assert [Verdict.SEND] * 4 == judged[:4]
    assert Verdict.SEND not in judged[4:]
    assert 2 <= judged[4:].count(Verdict.CUT) <= 4


def test_a_new_second_begins_anew() -> None:
    """Counts of the second before are nobody's."""
    first, second = rows(2, slip=0)
    for _ in range(20):
        first.judge("192.0.2.1", 0, NAME, 7.0)
    assert Verdict.DROP is second.judge("192.0.2.1", 0, NAME, 7.9)
    assert Verdict.SEND is second.judge("192.0.2.1", 0, NAME, 8.0)


def test_other_networks_names_and_rcodes_are_counted_apart() -> None:
    """One in 65,536 apart from a collision, which this key has none of."""
    (only,) = rows(1, slip=0)
    for _ in range(20):
        only.judge("192.0.2.1", 0, NAME, 7.0)
    assert Verdict.DROP is only.judge("192.0.2.250", 0, NAME, 7.0)
    for address, rcode, name in (
        ("192.0.3.1", 0, NAME),
        ("192.0.2.1", 3, NAME),
        ("192.0.2.1", 0, b"\x01a\x00"),
    ):
        assert Verdict.SEND is only.judge(address, rcode, name, 7.0)
    assert Verdict.DROP is only.judge("::ffff:192.0.2.9", 0, NAME, 7.0)


def test_accounts_are_spread_whatever_they_differ_in() -> None:
    """By name, rcode, network, at the beginning and at the end: few share a place."""
    (only,) = rows(1)
    accounts = [(bytes((192, 0, net, 0)), b"\x00" + NAME) for net in range(256)]
    accounts += [(bytes((192, 0, 2, 0)), bytes((rcode,)) + NAME) for rcode in range(16)]
    for number in range(1000):
        label = b"%d" % number
        for name in (bytes((len(label),)) + label + NAME, NAME[:-1] + bytes((len(label),)) + label + b"\x00"):
            accounts.append((bytes((192, 0, 2, 0)), b"\x00" + name))
    places = {only._place(*account) for account in accounts}
    assert len(places) > len(set(accounts)) * 0.97
