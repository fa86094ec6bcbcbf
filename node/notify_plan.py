"""Who this node tells of events: the receivers of its configuration with their secrets, read once at start.

A receiver whose secret cannot be read here is left to the nodes that can; the log of this one says so.
"""

from collections.abc import Mapping

import structlog

from node.config import Config, Secret, SecretError
from node.config.addresses import parse_url
from node.config.model import NotifyEntry
from node.notify.settings import Mail, NotifierSettings, Receiver, Script, Webhook

logger = structlog.get_logger()


def notifier_settings(config: Config, environ: Mapping[str, str]) -> NotifierSettings:
    """Return what the notifier is told."""
    receivers = {}
    for entry in config.notify:
        try:
            receivers[entry.name] = Receiver(entry.name, _way(entry, environ), entry.wish)
        except SecretError as error:
            logger.warning("notify.secret_unreadable", receiver=entry.name, detail=str(error))
    return NotifierSettings(config.cluster.name, receivers)


def _way(entry: NotifyEntry, environ: Mapping[str, str]) -> Webhook | Script | Mail:
    """Raises ``SecretError``."""
    if entry.type == "webhook":
        secret = None if entry.secret is None else entry.secret.read(environ)
        return Webhook(_url(entry.url, environ), secret)
    if entry.type == "script":
        return Script(entry.argv)
    password = "" if entry.password is None else _text(entry.password, environ)
    host, port = entry.server
    return Mail(host, port, entry.tls, entry.sender, entry.to, entry.user, password)


def _url(url: str | Secret, environ: Mapping[str, str]) -> str:
    """Return a URL, also one with a query or a password, which only a secret may have."""
    if isinstance(url, str):
        return url
    text = _text(url, environ)
    try:
        parse_url(text.partition("?")[0].partition("#")[0])
    except ValueError:
        raise SecretError(f"the secret {url} is not an http or https URL") from None
    return text


def _text(secret: Secret, environ: Mapping[str, str]) -> str:
    try:
        return secret.read(environ).decode()
    except UnicodeDecodeError:
        raise SecretError(f"the secret {secret} is not text") from None
