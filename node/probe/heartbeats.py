"""Endpoints that report by themselves: what this node has heard, and for how long it has not. By its monotonic clock.

An endpoint may report to any node, so that a node which hears nothing knows little. Three rules follow:

1. A node that has heard a heartbeat within the lease says up. One such vote is enough, whatever the service's rule.
2. A node that hears nothing says nothing as long as another one says up; what it said before is taken back by the
   other's vote (``node.state.services``). It takes back its own up vote when its own lease is over.
3. When nobody says up any more it says down: at once where a node that had heard the endpoint took that back, as
   the lease is over then; else when a lease has passed in which it heard nothing itself. Then the service's rule
   decides, as for other checks.

So a heartbeat that changes nothing is never an entry of the log, and when the node that was reported to dies, the
endpoint has the time of a lease to find another one.
"""

from collections.abc import Callable
from typing import NamedTuple

from node.probe.result import Failed
from node.state.state import State
from node.zone.name import Name

Place = tuple[Name, str]


class Heartbeats:
    """When each endpoint was heard last, and since when nobody is known to have heard it."""

    def __init__(self, node: str, state: Callable[[], State], clock_s: Callable[[], float]) -> None:
        self._node = node
        self._state = state
        self._clock_s = clock_s
        self._heard_s: dict[Place, float] = {}
        self._listening_s: dict[Place, float] = {}
        self._unheard_s: dict[Place, float] = {}
        self._up_index: dict[Place, int] = {}
        """The newest index at which another node is known to have said up."""

    def hear(self, fqdn: Name, address: str) -> None:
        """Note a heartbeat; only for endpoints that are probed, so that what is kept has an end."""
        self._heard_s[fqdn, address] = self._clock_s()

    def forget(self, fqdn: Name, address: str) -> None:
        """Forget an endpoint that is no longer there."""
        for known in (self._heard_s, self._listening_s, self._unheard_s, self._up_index):
            known.pop((fqdn, address), None)

    def listen(self, fqdn: Name, address: str, lease_s: int) -> str:
        """Return evidence that the endpoint reports. Raises ``Failed``: it does not, or this node cannot say."""
        place, now_s = (fqdn, address), self._clock_s()
        self._listening_s.setdefault(place, now_s)
        self._unheard_s.setdefault(place, now_s)
        heard_s = self._heard_s.get(place)
        if heard_s is not None and now_s - heard_s < lease_s:
            return "heartbeat heard"
        standing = self._standing(fqdn, address)
        if standing.is_up_elsewhere:
            self._unheard_s[place] = now_s
            self._up_index[place] = standing.state_index
        knows = standing.is_up_here or standing.down_index > self._up_index.get(place, 0)
        since_s = (self._listening_s if knows else self._unheard_s)[place]
        if heard_s is not None:
            since_s = max(since_s, heard_s)
        if now_s - since_s < lease_s or (standing.is_up_elsewhere and not standing.is_up_here):
            where = "another node hears it" if standing.is_up_elsewhere else "not listened long enough"
            raise Failed(f"no heartbeat here, {where}", answered=False, tried=False)
        raise Failed(f"no heartbeat within {lease_s} s", answered=False)

    def _standing(self, fqdn: Name, address: str) -> "_Standing":
        state = self._state()
        known = state.services.get(fqdn)
        endpoint = None if known is None else dict(known.endpoints).get(address)
        votes = () if endpoint is None else endpoint.votes
        return _Standing(
            state.index,
            any(vote.up for name, vote in votes if name == self._node),
            any(vote.up for name, vote in votes if name != self._node),
            max((vote.index for name, vote in votes if name != self._node and not vote.up), default=0),
        )


class _Standing(NamedTuple):
    """The votes on an endpoint in the State at an index."""

    state_index: int
    is_up_here: bool
    is_up_elsewhere: bool
    down_index: int
    """Log index of the newest down vote of another node, 0 without one."""
