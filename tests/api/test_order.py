"""The order of names: right after changes, and nobody in the event loop waits for a large zone's."""

import threading

import msgspec

from node.api.order import HEAVY_ROWS, NameOrder
from node.zone.name import from_text, sort_key
from node.zone.rrset import SOA, A, make
from node.zone.zone import Replacement, Zone, new_zone, with_changes

ZONE = from_text("example.org")


def zone() -> Zone:
    soa = make(ZONE, SOA, 5, [b"\x01a\x00\x01b\x00" + bytes(20)])
    rrsets = [make(from_text(f"n{each}.a.example.org"), A, 5, [bytes(4)]) for each in range(20)]
    return new_zone(ZONE, [soa, *rrsets], 1)


def test_the_order_is_carried_along() -> None:
    """Names that come and go, with the empty ones between, stand where a new sort would put them."""
    order, now = NameOrder(), zone()
    names = [from_text(text) for text in ("x.y.z.example.org", "n3.a.example.org", "a.example.org")]
    for index, name in enumerate((*names, *names), 2):
        present = now.get(name, A)
        rrset = None if present else make(name, A, 5, [bytes(4)])
        now = with_changes(now, [Replacement(name, A, rrset)], index)
        assert sorted(now.nodes, key=sort_key) == list(order.after(now, None))


def test_small_zones_do_not_wait_for_large_ones() -> None:
    """While the names of a large zone are sorted in a thread, small zones are listed."""
    order = NameOrder()
    large = msgspec.structs.replace(zone(), name=from_text("large.org"), rrset_count=HEAVY_ROWS + 1)
    with order._sorting:
        thread = threading.Thread(target=lambda: list(order.after(large, None)), daemon=True)
        thread.start()
        assert 22 == len(list(order.after(zone(), None)))
        assert thread.is_alive()
    thread.join(5)
    assert not thread.is_alive()
