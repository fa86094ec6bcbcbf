"""The healthcheck templates of services: ``https://{}:443/health`` and ``{}:5432``.

``{}`` stands for the endpoint's address and must be the whole host; everything else of the text is
fixed, so that two endpoints differ in their address only.
"""

import re

from node.config.schema import CheckTable
from node.health.service import Check, CheckKind

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>[^/?#]*)(?P<path>[^#]*)")
_TCP = re.compile(r"(?:tcp://)?(?P<host>.*?):(?P<port>[0-9]{1,5})/?")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HTTP_ONLY = ("method", "host", "expect_status", "expect_body", "headers", "tls")
_TCP_ONLY = ("send", "expect")


class BadTemplate(ValueError):
    """The healthcheck cannot be used; ``key`` is the key that is wrong, ``suggestion`` may help."""

    def __init__(self, message: str, key: str = "", suggestion: str = "") -> None:
        self.key = key
        self.suggestion = suggestion
        super().__init__(message)


def build_check(table: CheckTable) -> Check:
    """Make the check that the table describes. Raises ``BadTemplate``."""
    kinds = [key for key in ("url", "tcp") if getattr(table, key) is not None]
    if len(kinds) != 1:
        wrong = "says both url and tcp" if kinds else "does not say what to probe"
        raise BadTemplate(
            f"the healthcheck {wrong}", suggestion='add: url = "http://{}:80/" or tcp = "{}:5432"'
        )
    foreign = _HTTP_ONLY if kinds == ["tcp"] else _TCP_ONLY
    for key in foreign:
        if key in table.model_fields_set:
            raise BadTemplate(f"{key} has no meaning in a {kinds[0]} healthcheck", key)
    return _tcp_check(table, table.tcp) if table.tcp is not None else _http_check(table, table.url or "")


def _http_check(table: CheckTable, template: str) -> Check:
    match = _URL.fullmatch(template)
    if match is None:
        raise BadTemplate(f'"{template}" is not a URL', "url", 'write it like "http://{}:80/health"')
    scheme = match["scheme"].lower()
    if scheme not in _DEFAULT_PORTS:
        raise BadTemplate(f'"{scheme}" is not a scheme of a healthcheck', "url", "http, https or tcp")
    host, colon, port_text = match["host"].partition(":")
    _require_placeholder(template, host, match["path"])
    port = _port(template, port_text) if colon else _DEFAULT_PORTS[scheme]
    path = match["path"] or "/"
    if any(ord(char) <= 32 or ord(char) > 126 for char in path):
        raise BadTemplate(f'"{template}" holds a character that a URL cannot hold; write it as %XX', "url")
    kind: CheckKind = "https" if scheme == "https" else "http"
    return Check(
        kind=kind,
        port=port,
        path=path if path.startswith("/") else f"/{path}",
        method=table.method,
        host=table.host,
        expect_status=tuple(table.expect_status),
        expect_body=_pattern(table.expect_body),
        headers=tuple(table.headers.items()),
        verify=table.tls.verify,
    )


def _tcp_check(table: CheckTable, template: str) -> Check:
    match = _TCP.fullmatch(template)
    if match is None:
        raise BadTemplate(f'"{template}" has no port', "tcp", 'write it like "{}:5432"')
    _require_placeholder(template, match["host"], "")
    return Check(kind="tcp", port=_port(template, match["port"]), send=table.send, expect=table.expect)


def _require_placeholder(template: str, host: str, path: str) -> None:
    if host == "[{}]":
        raise BadTemplate(f'"{template}": write {{}} without brackets, IPv6 addresses get them by themselves')
    if host != "{}" and "{}" not in host:
        shown = host or "nothing"
        raise BadTemplate(
            f'"{template}" would probe {shown} for every endpoint: {{}} must stand for the host',
            suggestion=template.replace(host, "{}", 1) if host else "",
        )
    if host != "{}" or "{}" in path:
        raise BadTemplate(f'"{template}": {{}} must be the host, whole and alone')


def _port(template: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= 65_535:
        raise BadTemplate(f'"{template}": a port is a number from 1 to 65535')
    return int(text)


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise BadTemplate(f"expect_body is not a regular expression: {error}", "expect_body") from None
    return text
