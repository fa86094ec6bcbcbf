"""What all answerers of a node are given: the memory that they count in, the table, and the rules for clients."""

import mmap
import os
import secrets

from node.dns import answerer_stats as stats
from node.dns.policy import Policy, to_row
from node.dns.shared_limiter import KEY_OCTETS, SharedLimiter
from node.dns.shared_limiter import OCTETS as ACCOUNTS_OCTETS


class Share:
    """Begins empty: it is filled by answerers that are adopted (``take``), or by ``fill``."""

    def __init__(self, policy: Policy, answerers: int, *, compiled: bool) -> None:
        self.policy = policy
        self._stats: stats.Stats | None = None
        self.fds: tuple[int, int] = (-1, -1)
        """Memory for counts and accounts, and table."""
        self._rows = answerers + 1
        """Of accounts: one for each answerer, the last for this process."""
        self._compiled = compiled
        self._accounts: mmap.mmap | None = None
        self._key = secrets.token_bytes(KEY_OCTETS)
        self._adopted_table = -1

    def take(self, counters: int, table: int) -> None:
        """Go on with what an adopted answerer has, or close it where another one has brought the same."""
        if self.fds[1] < 0:
            self.fds = counters, table
            self._adopted_table = table
        else:
            os.close(counters)
            os.close(table)

    def fill(self, table: int) -> bool:
        """Map the memory, which is made with this table where nobody brought any; say whether somebody did."""
        is_adopted = self.fds[1] >= 0
        if not is_adopted:
            counters = os.memfd_create("quorumdns-counters", os.MFD_CLOEXEC)
            os.ftruncate(counters, stats.OCTETS + ACCOUNTS_OCTETS)
            self.fds = counters, table
        self._stats = stats.Stats(mmap.mmap(self.fds[0], stats.OCTETS))
        self._accounts = mmap.mmap(self.fds[0], ACCOUNTS_OCTETS, offset=stats.OCTETS)
        return is_adopted

    def show_table(self, table: int) -> None:
        """Give another table from now on."""
        if self._adopted_table >= 0:
            os.close(self._adopted_table)
            self._adopted_table = -1
        self.fds = self.fds[0], table

    def rules(self) -> dict[str, object]:
        """Write what answerers are told of clients."""
        return {
            "policy": to_row(self.policy),
            "key": self._key.hex(),
            "rows": self._rows,
            "compiled": self._compiled,
        }

    def limiter(self) -> SharedLimiter | None:
        """Return the limiter for what is answered in this process."""
        if self.policy.limiter is None or self._accounts is None:
            return None
        return SharedLimiter(self._accounts, self._rows, self._rows - 1, self.policy.limiter, self._key)

    def sums(self) -> list[int]:
        """Return the sums of all answerers' counts."""
        return [0] * stats.LINE_WORDS if self._stats is None else self._stats.sums()

    def close(self) -> None:
        """Look at the counts no more, and let the memory go; answerers hold their own."""
        if self._stats is not None:
            self._stats.close()
        for fd in (self.fds[0], self._adopted_table):
            if fd >= 0:
                os.close(fd)
        self.fds, self._adopted_table = (-1, -1), -1
