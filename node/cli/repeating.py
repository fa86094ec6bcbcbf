"""Sending one write until a node tells what became of it.

Every try carries the same ``Idempotency-Key``, so the cluster does it once, however many nodes get it. What
a later try is told counts only if the log has said it: after a try without an answer, a node that has no
leader, or is not reached, proves nothing. Before that, what one node cannot do without the others (no
leader in sight, or it is stopping) another may: the next one is asked.
"""

import secrets
import time
from collections.abc import Callable
from typing import TypeVar

from node.cli.faults import ExitCode, Failure

TRIES_MAX = 3
PAUSE_S = 0.3
"""Before a node is asked a second time."""
_SETTLED = (ExitCode.USAGE, ExitCode.NOT_FOUND, ExitCode.CONFLICT)
"""Refusals that the log has kept under the key."""

T = TypeVar("T")


class Passed(Exception):
    """The node cannot serve the request and certainly did not carry it out; the message says why."""


def new_key() -> str:
    """Return the header's value for one write."""
    return f'"{secrets.token_urlsafe(16)}"'


def send_until_known(
    urls: tuple[str, ...],
    send: Callable[[str], T],
    unreachable: Callable[[list[str]], Failure],
    pause: Callable[[float], None] = time.sleep,
) -> T:
    """Return what the first node that knows says of a write. Raises ``Failure``.

    Nodes that certainly did nothing are passed over. Without an outcome the next node is asked, or the
    same one again, ``TRIES_MAX`` times in all; ``unreachable`` makes the failure of which no node knows.
    """
    passed: list[str] = []
    doubt: Failure | None = None
    refusal: Failure | None = None
    tries = position = 0
    while tries < TRIES_MAX and position < (len(urls) if doubt is None else 2 * len(urls) + 1):
        if position >= len(urls):
            pause(PAUSE_S)
        url = urls[position % len(urls)]
        position += 1
        try:
            return send(url)
        except Passed as reason:
            passed.append(f"{url}  {reason}")
        except Failure as failure:
            tries += 1
            if failure.code is ExitCode.UNKNOWN:
                doubt = failure
            elif failure.code is ExitCode.NO_QUORUM:
                refusal = refusal or failure
            elif doubt is None or failure.code in _SETTLED:
                raise
    raise doubt or refusal or unreachable(passed)
