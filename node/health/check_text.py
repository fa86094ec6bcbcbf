"""Checks as one line of text: ``https://{}:443/health``, ``{}:5432``, ``dns://{}:53/www.example.org?type=AAAA``. Pure.

``{}`` stands for the endpoint's address and must be the whole host; everything else of the text is fixed,
so that two endpoints differ in their address only. This is the one reader of such texts, for the file, the
API and the command line alike.
"""

import re
from collections.abc import Callable

from node.health.service import PORTLESS_KINDS, Check, CheckKind
from node.zone.name import BadName, Name, from_text, to_text
from node.zone.rrset import BadRdata, type_from_text, type_to_text

_TEXT = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?(?P<host>\[[^\]]*\]|[^/?#:]*)(?::(?P<port>[^/?#]*))?(?P<rest>[/?#].*)?"
)
_COMMAND = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_PORTS = {"http": 80, "https": 443, "dns": 53}
SCHEMES: dict[str, CheckKind] = {
    "http": "http",
    "https": "https",
    "tcp": "tcp",
    "tls": "tls",
    "dns": "dns",
    "udp": "udp",
    "icmp": "icmp",
    "grpc": "grpc",
    "grpcs": "grpc",
    "exec": "exec",
    "push": "push",
}
EXAMPLES = 'write it like "http://{}:80/health" or "tcp://{}:5432"'


class BadCheck(ValueError):
    """The check cannot be used; ``key`` names the field of ``Check`` that is wrong, ``suggestion`` may help."""

    def __init__(self, message: str, key: str = "", suggestion: str = "") -> None:
        self.key = key
        self.suggestion = suggestion
        super().__init__(message)


def read_check(text: str, kind: str = "tcp") -> Check:
    """Read a check from its one-line form; ``kind`` is the scheme where the text has none. Raises ``BadCheck``."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise BadCheck(f'"{text}" is not a check', suggestion=EXAMPLES)
    scheme = (match["scheme"] or kind).lower()
    if scheme not in SCHEMES:
        known = ", ".join(SCHEMES)
        raise BadCheck(f'"{scheme}" is not a scheme of a check', suggestion=f"one of: {known}")
    rest = match["rest"] or ""
    if scheme == "exec":
        return _exec_check(text, match["host"], match["port"], rest)
    if scheme == "push":
        return _push_check(text, match["host"], match["port"], rest)
    _require_placeholder(text, match["host"], rest)
    if any(not 33 <= ord(char) <= 126 for char in rest):
        raise BadCheck(f'"{text}" holds a character that a URL cannot hold; write it as %XX')
    return _READERS.get(scheme, _plain)(scheme, _port(text, scheme, match["port"]), rest, text)


def write_check(check: Check) -> str:
    """Write a check in its one-line form; what only the long form can say is left out."""
    if check.kind == "composite":
        needed = check.needed or sum(not part.observe_only for part in check.parts)
        return f"{needed} of: {', '.join(write_check(part.check) for part in check.parts)}"
    if check.kind == "exec":
        return f"exec://{check.command}"
    if check.kind == "push":
        return f"push://{check.lease_s}s"
    if check.kind in PORTLESS_KINDS:
        return f"{check.kind}://{{}}"
    scheme = "grpcs" if check.kind == "grpc" and check.tls else check.kind
    return f"{scheme}://{{}}:{check.port}{_path(check)}"


def _path(check: Check) -> str:
    if check.kind in ("http", "https"):
        return check.path
    if check.kind == "grpc" and check.grpc_service:
        return f"/{check.grpc_service}"
    if check.kind == "dns":
        name = to_text(check.query_name).removesuffix(".") if check.query_name != Name(b"") else ""
        return f"/{name}?type={type_to_text(check.query_type)}"
    return ""


def _exec_check(text: str, command: str, port: str | None, rest: str) -> Check:
    if port is not None or rest not in ("", "/") or not _COMMAND.fullmatch(command):
        raise BadCheck(f'"{text}" does not name a command', suggestion='write it like "exec://mail-queue"')
    return Check("exec", 0, command=command)


def _push_check(text: str, lease: str, port: str | None, rest: str) -> Check:
    """Read ``push://60s``: the endpoint reports, and one report counts for so long."""
    unit_s = {"s": 1, "m": 60, "h": 3600}.get(lease[-1:], 0)
    digits = lease[:-1]
    if port is not None or rest not in ("", "/") or not unit_s or not digits.isascii() or not digits.isdigit():
        raise BadCheck(
            f'"{text}" does not say for how long a heartbeat counts', suggestion='write it like "push://60s"'
        )
    return Check("push", 0, lease_s=int(digits[:6]) * unit_s)


def _require_placeholder(text: str, host: str, rest: str) -> None:
    if host == "[{}]":
        raise BadCheck(f'"{text}": write {{}} without brackets, IPv6 addresses get them by themselves')
    if "{}" not in host:
        suggestion = text.replace(host, "{}", 1) if host else EXAMPLES
        shown = host or "nothing"
        raise BadCheck(
            f'"{text}" would probe {shown} for every endpoint: {{}} must be the host', suggestion=suggestion
        )
    if host != "{}" or "{}" in rest:
        raise BadCheck(f'"{text}": {{}} must be the host, whole and alone')


def _port(text: str, scheme: str, digits: str | None) -> int:
    if SCHEMES[scheme] in PORTLESS_KINDS:
        if digits is not None:
            raise BadCheck(f'"{text}": a check of kind {scheme} has no port')
        return 0
    if digits is None:
        if scheme in _PORTS:
            return _PORTS[scheme]
        raise BadCheck(f'"{text}" has no port', suggestion=EXAMPLES)
    if not digits.isascii() or not digits.isdigit() or not 1 <= int(digits[:6]) <= 65_535:
        raise BadCheck(f'"{text}": a port is a number from 1 to 65535')
    return int(digits)


def _plain(scheme: str, port: int, rest: str, text: str) -> Check:
    if rest not in ("", "/"):
        raise BadCheck(f'"{text}": a {scheme} check has no path')
    return Check(SCHEMES[scheme], port)


def _http(scheme: str, port: int, rest: str, text: str) -> Check:
    if "#" in rest:
        raise BadCheck(f'"{text}": what comes after # is never sent')
    return Check(SCHEMES[scheme], port, rest if rest.startswith("/") else f"/{rest}")


def _grpc(scheme: str, port: int, rest: str, _text: str) -> Check:
    return Check("grpc", port, grpc_service=rest.removeprefix("/"), tls=scheme == "grpcs")


def _dns(_scheme: str, port: int, rest: str, text: str) -> Check:
    """Read name and type as a dns URL has them (RFC 4501); without a name the service's own is asked for."""
    name, _, query = rest.removeprefix("/").partition("?")
    if query and not query.lower().startswith("type="):
        raise BadCheck(f'"{text}": a dns check asks like "dns://{{}}:53/www.example.org?type=AAAA"')
    try:
        found = from_text(name) if name else Name(b"")
        return Check("dns", port, query_name=found, query_type=type_from_text(query[5:]) if query else 1)
    except (BadName, BadRdata) as error:
        raise BadCheck(f'"{text}": {error}') from None


_READERS: dict[str, Callable[[str, int, str, str], Check]] = {
    "http": _http,
    "https": _http,
    "grpc": _grpc,
    "grpcs": _grpc,
    "dns": _dns,
}
