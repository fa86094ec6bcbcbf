"""Why a push did not succeed, in a form that the pusher can act upon and an operator can read."""

from typing import Literal

Kind = Literal["permanent", "retryable", "conflict", "stale", "cut-off"]


class PushError(Exception):
    """A push did not succeed.

    ``kind``: ``permanent`` until somebody changes a setting, ``retryable`` by itself, ``conflict`` with
    another writer (read again), ``stale`` (a newer plan stands there), ``cut-off`` (this node may not be on
    the majority's side; nothing was sent). ``code`` is one word for comparing; the text is for the operator.
    """

    def __init__(self, kind: Kind, code: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.code = code
