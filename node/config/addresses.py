"""IP addresses with ports, as text and back, and the question whether they stay on this machine."""

import ipaddress
import re
from urllib.parse import urlsplit

_BRACKETED = re.compile(r"\[([^\]]*)\](?::([0-9]{1,5}))?")
_PLAIN = re.compile(r"([^:\[\]]*)(?::([0-9]{1,5}))?")


def parse_endpoint(text: str, default_port: int | None = None) -> tuple[str, int]:
    """Read ``192.0.2.1:53`` or ``[2001:db8::1]:53`` as canonical address and port.

    Raises ``ValueError`` with a sentence that shows how to write it.
    """
    match = _BRACKETED.fullmatch(text) or _PLAIN.fullmatch(text)
    if match is None and default_port is not None and _is_address(text):
        return str(ipaddress.ip_address(text)), default_port
    if match is None or not _is_address(match[1]):
        raise ValueError(f'{text!r} is not an address; write "192.0.2.1:53" or "[2001:db8::1]:53"')
    if match[2] is None and default_port is None:
        raise ValueError(f"{text!r} has no port; write {join(match[1], 1234)!r} with the right number")
    port = int(match[2]) if match[2] is not None else default_port or 0
    if not 1 <= port <= 65_535:
        raise ValueError(f"{text!r}: a port is a number from 1 to 65535")
    return str(ipaddress.ip_address(match[1])), port


def join(host: str, port: int) -> str:
    """Write address and port, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def host_of(endpoint: str) -> str:
    """Return the address of a canonical ``address:port`` text."""
    return endpoint.rpartition(":")[0].strip("[]")


def port_of(endpoint: str) -> int:
    """Return the port of a canonical ``address:port`` text."""
    return int(endpoint.rpartition(":")[2])


def parse_url(text: str) -> str:
    """Read ``https://pdns.example.net:8081/base`` as a URL without a final slash. Raises ``ValueError``."""
    wrong = f'{text!r} is not a URL; write "https://host.example.net:8081"'
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(wrong) from None
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("a URL with a password, a query or a fragment is not possible here")
    if parts.scheme not in ("http", "https") or not host or not re.fullmatch(r"[!-~]+", text):
        raise ValueError(wrong)
    return text.rstrip("/")


def is_loopback(host: str) -> bool:
    """Say whether an address, or the name ``localhost``, can be reached from this machine only."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def is_any(host: str) -> bool:
    """Say whether the address stands for every address of the machine (``0.0.0.0`` or ``::``)."""
    return _is_address(host) and ipaddress.ip_address(host).is_unspecified


def _is_address(text: str) -> bool:
    try:
        return not getattr(ipaddress.ip_address(text), "scope_id", None)
    except ValueError:
        return False
