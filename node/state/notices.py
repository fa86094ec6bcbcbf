"""The command on notices: what became of telling somebody outside of an event.

Who is told stands in each node's own configuration, with its secrets; the log knows how far each receiver is.
"""

from typing import Literal

import msgspec

Word = Literal["begun", "accepted", "skipped", "failed", "given-up"]


class ReportNotice(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="op", tag="report-notice"):
    """What became of the events before running number ``next`` for one receiver, by ``node``.

    ``begun``: the receiver is new and is told of what comes from now on. ``accepted``, ``skipped`` and
    ``given-up`` settle all events before ``next``; ``failed`` says that the one at ``next`` was not accepted.
    """

    receiver: str
    node: str
    word: Word
    next: int = 0
    detail: str = ""
