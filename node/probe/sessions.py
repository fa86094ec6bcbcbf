"""TLS sessions that probes may take up again, so that not each of them costs a full handshake.

A full handshake takes most of what a probe over TLS costs, and at an interval of a second it proves the same
certificate over and over. What is given up for that has narrow bounds: the certificate is verified at least every
``RESUMED_S_MAX``, and a session is gone with the first probe that fails, so that what decides between up and down
are full handshakes. A server that does not know the session any more shakes hands in full by itself.
"""

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from node.zone.name import Name

RESUMED_S_MAX = 10.0
"""For so long a session is taken up again, counted from the beginning of the full handshake that made it."""
SESSIONS_MAX = 4_000
"""Sessions that are kept; one takes a few KiB with a usual certificate."""
HANDSHAKE_OCTETS_MAX = 16 * 1024
"""A session holds the certificates, unpacked: none is kept with an endpoint that says more than this until it is open."""


class Place(NamedTuple):
    """Whom a session is with: nothing of it may differ when it is taken up again."""

    context: ssl.SSLContext
    """What was verified, and against what."""
    name: str
    """Whom the certificate is for."""
    address: str
    port: int
    fqdn: Name
    """The service: what fails in one of them is no matter of another's session."""


@dataclass(slots=True)
class Loan:
    """A place's session for the time of one probe."""

    place: Place
    session: ssl.SSLSession | None
    """What to take up again; None asks for a full handshake."""
    since_s: float
    """When the full handshake began; for one that is to come, when this probe did."""
    begun_s: float
    spoken: ssl.SSLObject | None = None
    """What the probe spoke through."""
    octets: int = 0
    """What had come of the endpoint when the handshake was done."""


class _Kept(NamedTuple):
    session: ssl.SSLSession
    since_s: float


class Sessions:
    """The sessions of all places. One is lent to a probe and comes back when that has succeeded, else never."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._kept: dict[Place, _Kept] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def lend(self, place: Place) -> Loan:
        """Take out what may be resumed with this place."""
        now_s = self._clock_s()
        kept = self._kept.pop(place, None)
        if kept is None or now_s - kept.since_s >= RESUMED_S_MAX or _has_slept(kept.session):
            return Loan(place, None, now_s, now_s)
        return Loan(place, kept.session, kept.since_s, now_s)

    def give_back(self, loan: Loan | None) -> None:
        """Keep the session of a probe that has succeeded: the one that was lent where that was taken up again.

        To look at the new one would take ``ssl`` half of what a resumed handshake saves, as it copies sessions by way
        of their encoding. A server that lets a ticket be used once shakes hands in full and gives another.
        """
        self._drop_old()
        spoken = None if loan is None else loan.spoken
        if loan is None or spoken is None or len(self._kept) >= SESSIONS_MAX:
            return
        if spoken.session_reused and loan.session is not None:
            self._kept[loan.place] = _Kept(loan.session, loan.since_s)
        elif (session := _session_of(spoken, loan.octets)) is not None:
            self._kept[loan.place] = _Kept(session, loan.begun_s)

    def _drop_old(self) -> None:
        """Drop what was left unused for longest, as far as its time is over."""
        end_s = self._clock_s() - RESUMED_S_MAX
        while self._kept:
            place = next(iter(self._kept))
            if self._kept[place].since_s > end_s:
                return
            del self._kept[place]


def _session_of(spoken: ssl.SSLObject, octets: int) -> ssl.SSLSession | None:
    """Return the session to keep; none where it is too large to be kept, or for ``ssl`` to copy."""
    if octets > HANDSHAKE_OCTETS_MAX:
        return None
    try:
        return spoken.session
    except (ValueError, ssl.SSLError):  # a ticket or a certificate of about 64 KiB
        return None


def _has_slept(session: ssl.SSLSession) -> bool:
    """Say whether the session is too old by the wall clock: the other one stands while the machine is suspended."""
    return time.time() - session.time > RESUMED_S_MAX + 1  # it is told in whole seconds
