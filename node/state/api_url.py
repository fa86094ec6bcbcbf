"""Where a node's HTTP API is, as nodes keep and show it: ``http://`` or ``https://``, host and port, no path. Pure."""

import re
from urllib.parse import urlsplit

CHARACTERS_MAX = 300
"""Of the whole URL; a host name has 253 at most."""
_HOST = re.compile(r"[0-9A-Za-z._:-]{1,253}")
_SHOWN_CHARACTERS = 80


def parse_api_url(text: str, default_scheme: str | None = "http") -> str:
    """Read ``http://10.0.0.1:7380``, and ``10.0.0.1:7380`` where there is a default scheme, as a URL without path.

    Raises ``ValueError`` with a sentence that shows how to write it.
    """
    wrong = f'{text[:_SHOWN_CHARACTERS]!r} is not an API address; write "http://10.0.0.1:7380"'
    given = text if "://" in text or default_scheme is None else f"{default_scheme}://{text}"
    if len(given) > CHARACTERS_MAX:
        raise ValueError(wrong)
    try:
        parts = urlsplit(given)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(wrong) from None
    extra = parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password
    if parts.scheme not in ("http", "https") or not host or not port or extra:
        raise ValueError(wrong)
    if not _HOST.fullmatch(host):
        raise ValueError(wrong)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"
