"""Why a push did not succeed, in a form that the pusher can act upon and an operator can read."""

from typing import Literal

Kind = Literal["permanent", "retryable", "conflict", "stale", "cut-off"]


class PushError(Exception):
    """A push did not succeed.

    ``kind``: ``permanent`` until somebody changes a setting, ``retryable`` by itself, ``conflict`` with
    another writer (read again), ``stale`` (a newer plan stands there), ``cut-off`` (this node may not be on
    the majority's side; nothing was sent). ``code`` is one word for comparing; the text is for the operator.
    """

    def __init__(self, kind: Kind, code: str, text: str, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.kind = kind
        self.code = code
        self.retry_after_s = retry_after_s
        """For how long the other side asks to keep still, in seconds."""
