"""The journal of systemd: one datagram of named fields a line (systemd's "Native Journal Protocol").

Fields are ``MESSAGE``, ``PRIORITY``, ``SYSLOG_IDENTIFIER``, ``CODE_FILE``, ``CODE_LINE``, ``CODE_FUNC``, and
``QDNS_…`` for each value of the line.
"""

import os
import re
import socket
import sys
from collections.abc import Mapping

from structlog.typing import EventDict

SOCKET = "/run/systemd/journal/socket"
IDENTIFIER = "quorumdns"
OCTETS_MAX = 32 * 1024
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_OUTSIDE = re.compile(r"[^A-Z0-9_]")
_PATIENCE_S = 0.2


def is_ours(environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether standard error goes to the journal: then it says which device and inode that is."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def to_fields(_logger: object, _method: str, event: EventDict) -> bytes:
    """Return the datagram of a line."""
    place = {
        "CODE_FILE": event.pop("pathname", ""),
        "CODE_LINE": event.pop("lineno", ""),
        "CODE_FUNC": event.pop("func_name", ""),
    }
    exception = event.pop("exception", "")
    level, component = event.pop("level", "info"), event.pop("component", "main")
    name = str(event.pop("event"))
    event.pop("timestamp", None)
    said = " ".join(f"{key}={value}" for key, value in event.items())
    fields = {
        "MESSAGE": f"[{component}] {name} {said}".rstrip() + (f"\n{exception}" if exception else ""),
        "PRIORITY": _PRIORITIES.get(level, 6),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "QDNS_EVENT": name,
        "QDNS_COMPONENT": component,
        **{key: value for key, value in place.items() if value},
        **{f"QDNS_{_OUTSIDE.sub('_', key.upper())[:58]}": value for key, value in event.items()},
    }
    return b"".join(_field(name, str(value)) for name, value in fields.items())


def _field(name: str, text: str) -> bytes:
    """Write one field: a text of one line as it is, any other with its length."""
    octets = text.encode("utf-8", "replace")[:OCTETS_MAX]
    if b"\n" not in octets:
        return name.encode() + b"=" + octets + b"\n"
    return name.encode() + b"\n" + len(octets).to_bytes(8, "little") + octets + b"\n"


class JournalLogger:
    """Sends datagrams; where that fails, the line goes to standard error, which is the journal's, too."""

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(_PATIENCE_S)

    def msg(self, datagram: bytes) -> None:
        """Send one line."""
        try:
            self._socket.sendto(datagram, self._path)
        except OSError:
            first = datagram.partition(b"\n")[0].removeprefix(b"MESSAGE=")
            sys.stderr.write(first.decode("utf-8", "replace") + "\n")
            sys.stderr.flush()

    debug = info = warning = warn = error = exception = critical = fatal = log = msg
