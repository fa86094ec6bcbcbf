"""Checks as one line of text: ``https://{}:443/health``, ``tcp://{}:5432``; ``{}`` is the address."""

import re

from node.health.service import Check

_TEMPLATE = re.compile(
    r"(?:(?P<scheme>[a-zA-Z]+)://)?(?P<host>[^/?#:]*|\[[^\]]*\])(?::(?P<port>[^/?#]*))?(?P<path>[/?].*)?"
)
_PORTS = {"http": 80, "https": 443, "tcp": 0}
_EXAMPLES = 'write it like "http://{}:80/health" or "tcp://{}:5432"'


def read_check(text: str) -> Check:
    """Read a check from its one-line form. Raises ``ValueError`` with a sentence."""
    match = _TEMPLATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a check; {_EXAMPLES}")
    kind = (match["scheme"] or "tcp").lower()
    if kind not in _PORTS:
        raise ValueError(f"{kind} is not a kind of check: http, https or tcp")
    if match["host"] != "{}":
        raise ValueError(f"{text!r}: {{}} must be the host, whole and alone; {_EXAMPLES}")
    port, path = _port(text, kind, match["port"]), match["path"] or ""
    if kind == "tcp" and path not in ("", "/"):
        raise ValueError(f"{text!r}: a tcp check has no path")
    if any(not 33 <= ord(char) <= 126 for char in path) or "{}" in path:
        raise ValueError(f"{text!r}: the path holds characters that a URL cannot hold; write them as %XX")
    if kind == "tcp":
        return Check("tcp", port)
    return Check("https" if kind == "https" else "http", port, path if path.startswith("/") else f"/{path}")


def check_text(check: Check) -> str:
    """Write a check in its one-line form; what only the long form can say is left out."""
    path = "" if check.kind == "tcp" else check.path
    return f"{check.kind}://{{}}:{check.port}{path}"


def _port(text: str, kind: str, digits: str | None) -> int:
    if digits is None and _PORTS[kind]:
        return _PORTS[kind]
    if digits is None:
        raise ValueError(f"{text!r} has no port; {_EXAMPLES}")
    if not digits.isascii() or not digits.isdigit() or not 1 <= int(digits[:6]) <= 65_535:
        raise ValueError(f"{text!r}: a port is a number from 1 to 65535")
    return int(digits)
