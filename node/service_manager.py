"""Telling systemd that the node has started and that it stops: sd_notify(3), one datagram each."""

import contextlib
import os
import socket
from collections.abc import MutableMapping

_VARIABLE = "NOTIFY_SOCKET"
_PATIENCE_S = 1.0


class ServiceManager:
    """What started this process and wants to hear of it; nobody where ``NOTIFY_SOCKET`` is not set."""

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        """Take the address out of the environment: the answerers must not speak for the node."""
        self._address = environ.pop(_VARIABLE, "")

    def started(self, status: str) -> None:
        """Say that the node serves, and what people are to read of it in ``systemctl status``."""
        self._send(f"READY=1\nSTATUS={status}")

    def stopping(self) -> None:
        """Say that the node stops, and that this is meant."""
        self._send("STOPPING=1\nSTATUS=stopping")

    def _send(self, text: str) -> None:
        """Send one message; a manager that cannot be reached costs the node nothing."""
        if self._address[:1] not in ("/", "@"):
            return
        address = f"\0{self._address[1:]}" if self._address[0] == "@" else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(_PATIENCE_S)
            sender.sendto(text.encode(), address)
