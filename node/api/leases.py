"""What is left of leases, as the doors show it. Pure reading of the State and of this node's clock."""

from collections.abc import Callable
from datetime import UTC, datetime

from node.api.context import ApiContext
from node.state.state import State
from node.zone.lease import LeaseKey
from node.zone.name import Name
from node.zone.rrset import RRset, rdata_to_text

Row = dict[str, object]


class Leases:
    """The leases of one State with what this node says is left of them."""

    def __init__(self, state: State, left_s: Callable[[LeaseKey], float | None], now_ms: int) -> None:
        self._state = state
        self._left_s = left_s
        self._now_ms = now_ms

    def left_s(self, key: LeaseKey) -> tuple[int, float] | None:
        """Return how long a lease was granted for and what is left of it, in seconds; None without one."""
        lease = self._state.leases.get(key)
        if lease is None or lease.ttl_s <= 0:
            return None
        left_s = self._left_s(key)
        return lease.ttl_s, float(lease.ttl_s) if left_s is None else left_s

    def etcd_fields(self, key: LeaseKey) -> Row:
        """Return etcd's ``ttl`` and ``expiration`` of a key; nothing without a lease."""
        known = self.left_s(key)
        if known is None:
            return {}
        seconds, milliseconds = divmod(self._now_ms + int(known[1] * 1000), 1000)
        moment = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}000000Z"
        return {"expiration": moment, "ttl": max(1, -int(-known[1] // 1))}

    def row(self, zone: Name, rrset: RRset) -> Row:
        """Return what ``/v1`` shows of the leases on an RRset and on its records."""
        whole = self.left_s(LeaseKey(zone, rrset.name, rrset.type))
        row: Row = {
            "lease_s": whole[0] if whole else None,
            "lease_left_s": round(whole[1], 1) if whole else None,
        }
        single = {rdata: self.left_s(LeaseKey(zone, rrset.name, rrset.type, rdata)) for rdata in rrset.rdatas}
        row["record_leases"] = [
            {"rdata": rdata_to_text(rrset.type, rdata), "lease_s": known[0], "lease_left_s": round(known[1], 1)}
            for rdata, known in single.items()
            if known is not None
        ]
        return row

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return bool(self._state.leases)


def leases_of(context: ApiContext, state: State) -> Leases:
    """Return the leases of a State."""
    return Leases(state, context.lease_left_s, context.now_ms())
