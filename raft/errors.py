"""The one error of the replicated log that ends a start or a process."""

from typing import Final

EXIT_WRONG_SETUP: Final = 3
"""The configuration or the identity of files or peers is wrong; a person must decide."""
EXIT_DISK_FAULT: Final = 70
"""The disk failed, is full or holds damaged data; nothing more may be promised."""


class RaftError(Exception):
    """The log cannot start or go on; the message is a sentence that says what is wrong and what to do."""

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        """What the process shall exit with: 70 for disk faults, 3 for a wrong configuration or identity."""
