"""The event stream as what wakes a watch: it looks again as soon as something was committed."""

import threading
import time

from node.cli.client import Client
from node.cli.faults import Failure

RECONNECT_S = 2.0
SETTLE_S = 0.1
"""What comes within it is looked at once."""
_ID = b"id: "


class Wake:
    """Follows ``/v1/events`` in a thread that ends with the process; goes on where it was, at whichever node answers."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._changed = threading.Event()
        self._last = ""
        self.is_connected = False
        threading.Thread(target=self._follow, name="events", daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Return when something was committed, at the latest after the time."""
        if self._changed.wait(seconds):
            time.sleep(SETTLE_S)
            self._changed.clear()

    def _follow(self) -> None:
        while True:
            try:
                for line in self._client.lines("/v1/events", self._last):
                    self.is_connected = True
                    self._take(line)
            except Failure:
                pass
            self.is_connected = False
            time.sleep(RECONNECT_S)

    def _take(self, line: bytes) -> None:
        if line.startswith(_ID):
            self._last = line.removeprefix(_ID).decode("ascii", "ignore")
            self._changed.set()
