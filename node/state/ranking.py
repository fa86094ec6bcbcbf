"""In which order nodes take turns at something. Pure.

Every node works this out from the replicated State, so no election is needed; the order differs from thing to
thing (rendezvous hashing, Thaler and Ravishankar 1998), so that the work is spread.
"""

import hashlib
from collections.abc import Iterable


def rank(members: Iterable[str], subject: str) -> tuple[str, ...]:
    """Return the nodes in the order in which they care for the subject."""
    return tuple(sorted(members, key=lambda member: _weight(member, subject)))


def _weight(member: str, subject: str) -> bytes:
    return hashlib.blake2b(f"{subject}\x00{member}".encode(), digest_size=16).digest()
