"""From a target's definition and this node's secrets to what carries pushes there."""

from collections.abc import Callable

from node.push.delivery import Carrier
from node.push.errors import PushError
from node.push.programs import Program
from node.push.providers.cloudflare import Cloudflare
from node.push.providers.desec import DeSec
from node.push.providers.digitalocean import DigitalOcean
from node.push.providers.dynu import Dynu
from node.push.providers.gandi import Gandi
from node.push.providers.hetzner import Hetzner
from node.push.providers.powerdns import PowerDns
from node.push.providers.route53 import Route53
from node.push.rfc2136 import Rfc2136, Server
from node.push.settings import PusherSettings, TsigSecret
from node.state.pushes import Target

_PROVIDERS: dict[str, Callable[[str, str], Carrier]] = {
    "powerdns": PowerDns,
    "desec": DeSec,
    "gandi": Gandi,
    "hetzner": Hetzner,
    "digitalocean": DigitalOcean,
    "cloudflare": Cloudflare,
    "dynu": Dynu,
    "route53": Route53,
}
KINDS = ("rfc2136", *_PROVIDERS)
"""The kinds of targets that can be pushed to."""


def carrier_for(target: Target, settings: PusherSettings) -> Carrier:
    """Return what can reach the target. Raises ``PushError`` when a secret is missing on this node."""
    if target.kind == "rfc2136":
        return _updater(target, settings)
    if target.kind in _PROVIDERS:
        return _PROVIDERS[target.kind](target.url, _token(target, settings))
    raise PushError("permanent", "kind", f'this version does not know push targets of type "{target.kind}"')


def _updater(target: Target, settings: PusherSettings) -> Carrier:
    server = Server(target.server, target.tsig, _key(target, settings))
    if target.method == "native":
        return Rfc2136(server)
    if target.method in ("nsupdate", "knsupdate"):
        return Program(target.method, server)
    raise PushError("permanent", "method", f'this version does not know the method "{target.method}"')


def _key(target: Target, settings: PusherSettings) -> TsigSecret | None:
    if not target.tsig:
        return None
    key = settings.tsig.get(target.tsig.lower().rstrip("."))
    if key is None:
        text = f'this node has no TSIG key "{target.tsig}"; add it as [[tsig]] to its cluster.toml'
        raise PushError("permanent", "no-key", text)
    return key


def _token(target: Target, settings: PusherSettings) -> str:
    if target.kind == "powerdns" and not target.url:
        raise PushError("permanent", "url", "a powerdns target needs the url of the server's API")
    token = settings.tokens.get(target.token)
    if not token:
        text = f'this node has no token "{target.token}"; add it to its cluster.toml'
        raise PushError("permanent", "no-token", text)
    return token
