"""[[notify]]: from its tables to the receivers of this node, with references in the place of secrets."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from node.config.addresses import is_loopback, parse_url
from node.config.findings import Findings
from node.config.messages import did_you_mean
from node.config.model import NotifyEntry
from node.config.notify_schema import MAIL_PORTS, NotifyTable
from node.config.positions import Path as KeyPath
from node.config.secret import References, Secret, mode_problem
from node.config.validate import Validated
from node.notify.settings import Wish

RECEIVERS_MAX = 32
_NEEDS: dict[str, tuple[str, ...]] = {
    "webhook": ("url",),
    "script": ("argv",),
    "mail": ("server", "sender", "to"),
}
_TAKES: dict[str, tuple[str, ...]] = {"webhook": ("secret",), "script": (), "mail": ("tls", "user", "password")}
_SPECIAL = ("url", "secret", "argv", "server", "tls", "user", "password", "sender", "to")
_HINTS = {
    "url": 'add: url = "https://hooks.example.net/dns"; also "env:NAME", "file:/path" and "credential:NAME"',
    "argv": 'add: argv = ["/usr/local/bin/tell"]',
    "server": 'add: server = "mail.example.net:587"',
    "sender": 'add: sender = "dns@example.net"',
    "to": 'add: to = ["ops@example.net"]',
}


def build_notify(valid: Validated, references: References, findings: Findings) -> tuple[NotifyEntry, ...]:
    """Return the receivers; every fault becomes a finding."""
    tables = valid.root.notify
    places = [(table.name, valid.path("notify", number, "name")) for number, table in enumerate(tables)]
    findings.twice(places, "another receiver has this name already")
    if len(tables) > RECEIVERS_MAX:
        findings.error(("notify",), f"there can be {RECEIVERS_MAX} receivers", code="too-many")
    entries = []
    for number, table in enumerate(tables):
        path = valid.path("notify", number)
        if _is_complete(table, path, valid, findings):
            entries.append(_entry(table, path, references, findings))
    return tuple(entries)


def judge_secrets(
    entries: tuple[NotifyEntry, ...], valid: Validated, environ: Mapping[str, str], findings: Findings
) -> None:
    """Look at every secret; one that is not there yet is a warning only."""
    for entry in entries:
        number = next(n for n, table in enumerate(valid.root.notify) if table.name == entry.name)
        for key, secret in entry.secrets:
            problem = mode_problem(secret, environ)
            if problem:
                findings.error(valid.path("notify", number, key), problem, code="open-secret")


def _is_complete(table: NotifyTable, path: KeyPath, valid: Validated, findings: Findings) -> bool:
    needs, takes = _NEEDS[table.type], _TAKES[table.type]
    missing = [key for key in needs if getattr(table, key) is None and valid.is_whole(*path, key)]
    for key in missing:
        message = f'a receiver of type "{table.type}" needs the key "{key}"'
        findings.error((*path, "type"), message, code="missing-key", suggestion=_HINTS[key])
    for key in _SPECIAL:
        if key in table.model_fields_set and key not in (*needs, *takes):
            message = f'a receiver of type "{table.type}" has no use for the key "{key}"'
            suggestion = did_you_mean(key, (*needs, *takes))
            findings.error((*path, key), message, code="unused-key", suggestion=suggestion)
    if table.type == "mail" and (table.user is None) != (table.password is None):
        findings.error((*path, "type"), "user and password belong together", code="missing-key")
    return all(getattr(table, key) is not None for key in needs)


def _entry(table: NotifyTable, path: KeyPath, references: References, findings: Findings) -> NotifyEntry:
    host, port = _host_and_port(table)
    if table.type == "mail" and table.tls == "none" and not is_loopback(host):
        findings.warning(
            (*path, "tls"), "everybody on the way can read this mail and its password", code="clear-mail"
        )
    return NotifyEntry(
        name=table.name,
        type=table.type,
        wish=Wish(tuple(table.events), tuple(table.services), table.severity),
        url=_url(table, path, references, findings),
        secret=_secret(table.secret, (*path, "secret"), references, findings),
        argv=tuple(table.argv or ()),
        server=(host, port),
        tls=table.tls,
        user=table.user or "",
        password=_secret(table.password, (*path, "password"), references, findings),
        sender=table.sender or "",
        to=tuple(table.to or ()),
    )


def _host_and_port(table: NotifyTable) -> tuple[str, int]:
    parts = urlsplit(f"//{table.server or ''}")
    return parts.hostname or "", parts.port or MAIL_PORTS[table.tls]


def _url(table: NotifyTable, path: KeyPath, references: References, findings: Findings) -> "str | Secret":
    """Read a URL, or a reference to one that holds a secret itself."""
    text = table.url or ""
    if not text.startswith(("http://", "https://")):
        return _secret(table.url, (*path, "url"), references, findings) or ""
    try:
        return parse_url(text)
    except ValueError as error:
        suggestion = 'keep a URL that holds a secret in a file: url = "file:/etc/quorumdns/secrets/hook"'
        findings.error((*path, "url"), str(error), code="invalid-value", suggestion=suggestion)
        return ""


def _secret(text: str | None, path: KeyPath, references: References, findings: Findings) -> Secret | None:
    if text is None:
        return None
    try:
        return references.secret(text)
    except ValueError as error:
        findings.error(path, str(error), code="bad-secret")
        return None
