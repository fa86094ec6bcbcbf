"""Who may ask for what. Pure: the caller brings the request and says what became of failures.

A browser on this machine is a client on loopback too, and any page it shows can make it send
requests here. So a client without a token must name this server by address or as localhost (DNS
rebinding), and a write must not come from a foreign page.

The order: a secret that is shown decides alone. Without one, whom the kernel lets write to the Unix socket
is an administrator, and so are this machine's clients as long as there is no token at all, in the log or in
this node's file. What each threat comes to stands in ``docs/security.md``.
"""

import base64
import hashlib
import hmac
import ipaddress
from urllib.parse import urlsplit

from node.api.context import ApiContext, Token
from node.api.listening import UNIX
from node.api.message import LOCAL, SAFE, Identity, Request
from node.api.problem import Problem
from node.state.scopes import includes

EARLY = Identity("local", ("read",), is_by_log=True)
"""The same before this node has caught up: what it has not read yet may hold the first token."""
WRITES = ("records:write", "services:write", "endpoints:operate", "cluster:admin")
"""The scopes that bring anything into the log, each with or without conditions."""
COOKIE = "qdns_token"
"""Where the pages keep a token; it lets read, and send the pages' own forms, nothing else."""
_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="quorumdns"'),)


class BadToken(Problem):
    """The request shows a secret that is not known; the caller counts these."""


def identify(
    context: ApiContext, request: Request, *, form: bool = False, has_caught_up: bool = False
) -> Identity:
    """Return who asks. Raises ``Problem``; ``BadToken`` when a secret was shown and is wrong.

    For a form of the pages, which proves where it comes from by itself, the cookie serves too. Where no tokens
    are configured, this machine's clients may show any: many cannot leave it out. Who knows that the node has
    caught up, whatever it says of itself, says so with ``has_caught_up``.
    """
    secret = shown_secret(request) or (page_secret(request) if form else None)
    is_open = is_trusted(context, request)
    if secret is not None and not is_open:
        return _bearer(context, secret)
    if is_unix(request.client):
        return Identity(f"local:{request.client.removeprefix(UNIX)}", ("admin",))
    if not is_loopback(request.client):
        raise _unknown_client(context, request)
    if not is_open:
        raise Problem("unauthorized", "this node asks for a token", _token_hint(), headers=_CHALLENGE)
    if not is_local_host(request.headers.get("host", "localhost")):
        host = request.headers.get("host", "")
        raise Problem(
            "forbidden",
            f"without a token this node must be called by its address or as localhost, not as {host!r}",
            _token_hint(),
        )
    return LOCAL if has_caught_up or context.replica().ready else EARLY


def require_same_site(request: Request) -> None:
    """Refuse a write that a browser sends for another site's page. Raises ``Problem``."""
    if request.method in SAFE:
        return
    origin = request.headers.get("origin")
    host = request.headers.get("host", "").lower()
    is_foreign = origin is not None and _host_of(origin) != host
    if is_foreign or request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise Problem("forbidden", "a page of another site cannot change anything here; nothing was changed")


def _host_of(origin: str) -> str | None:
    """Return the host and port of an Origin header, None where it is no URL."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def grants(identity: Identity, scope: str) -> bool:
    """Say whether one of the identity's scopes includes this one, under whatever conditions."""
    return includes(identity.scopes, scope)


def require_scope(identity: Identity, scope: str) -> None:
    """Refuse what none of the identity's scopes includes, under whatever conditions. Raises ``Problem``.

    Conditions are judged when it is known what is to be changed: ``node.api.allowance``.
    """
    if not grants(identity, scope):
        if identity == EARLY:
            raise Problem(
                "not_ready",
                "this node has not caught up since its start, so it cannot know whether there are tokens by now; "
                "nothing was changed",
                "ask another node, or come over the Unix socket",
            )
        raise Problem("forbidden", f"the token {identity.name} lacks the scope {scope}")


def may_still(context: ApiContext, request: Request, scope: str) -> bool:
    """Say whether the request would be let in now, as it was before."""
    try:
        require_scope(identify(context, request), scope)
    except Problem:
        return False
    return True


def shown_secret(request: Request) -> str | None:
    """Return the secret of ``Authorization``, ``X-API-Key`` or, for reading, the page's cookie.

    ``Bearer`` holds it, or ``Basic`` (RFC 7617) as the password of any user: all that some programs can send.
    """
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        return _password(secret)
    if scheme:
        return secret.strip() if scheme.lower() == "bearer" else ""
    if "x-api-key" in request.headers:
        return request.headers["x-api-key"]
    return page_secret(request) if request.method in SAFE else None


def _password(credentials: str) -> str:
    """Return the password of Basic credentials, empty when they cannot be read."""
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def page_secret(request: Request) -> str | None:
    """Return the secret that the page's cookie holds, None without one."""
    pairs = (part.strip().partition("=") for part in request.headers.get("cookie", "").split(";"))
    return next((value for key, _, value in pairs if key == COOKIE), None)


def token_for(context: ApiContext, secret: str) -> Token | None:
    """Return the token with this secret, of this node's file or of the log and not expired; None without one.

    Takes as long whichever it is: all hashes are compared, each in constant time.
    """
    digest = hashlib.sha256(secret.encode()).digest()
    found, now_ms = None, context.now_ms()
    for token in context.tokens:
        if hmac.compare_digest(digest.hex(), token.sha256.lower()):
            found = token
    for known in context.state().tokens.values():
        each = known.token
        if hmac.compare_digest(digest, each.sha256) and (not each.expires_ms or now_ms < each.expires_ms):
            found = Token(each.name, digest.hex(), each.scopes)
    return found


def has_tokens(context: ApiContext) -> bool:
    """Say whether there is any token, be it expired: from then on clients on loopback need one, too."""
    return bool(context.tokens or context.state().tokens)


def is_trusted(context: ApiContext, request: Request) -> bool:
    """Say whether the client is let in for being on this machine, whatever secret it shows."""
    return context.trusted_loopback and is_loopback(request.client) and not has_tokens(context)


def is_unix(client: str) -> bool:
    """Say whether the client came over the Unix socket: ``unix:`` and who the kernel says it is."""
    return client.startswith(UNIX)


def is_loopback(client: str) -> bool:
    """Say whether the client's address is of this machine."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def is_local_host(host: str) -> bool:
    """Say whether a Host header names an address or localhost, which no foreign DNS name can stand for."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    name = name.removeprefix("[").removesuffix("]").lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _bearer(context: ApiContext, secret: str) -> Identity:
    if context.node_token and hmac.compare_digest(secret.encode(), context.node_token.encode()):
        return Identity("node", ("read",))
    token = token_for(context, secret)
    if token is None:
        raise BadToken("unauthorized", "the token is not known here", _token_hint(), headers=_CHALLENGE)
    return Identity(token.name, token.scopes, is_by_log=token not in context.tokens)


def _unknown_client(context: ApiContext, request: Request) -> Problem:
    if has_tokens(context):
        return Problem("unauthorized", "this node asks for a token", _token_hint(), headers=_CHALLENGE)
    return Problem(
        "forbidden",
        f"no tokens are configured, so only clients on this machine are served, not {request.client}",
        "on that machine: qdns token create admin --scope admin; or add [[api.tokens]] to the configuration",
    )


def _token_hint() -> str:
    return "send: Authorization: Bearer qdns_..."
