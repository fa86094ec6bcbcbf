"""From a target's definition and this node's secrets to what carries pushes there."""

from node.push.delivery import Carrier
from node.push.errors import PushError
from node.push.programs import Program
from node.push.rfc2136 import Rfc2136, Server
from node.push.settings import PusherSettings, TsigSecret
from node.state.command import Target


def carrier_for(target: Target, settings: PusherSettings) -> Carrier:
    """Return what can reach the target. Raises ``PushError`` when a secret is missing on this node."""
    if target.kind == "rfc2136":
        return _updater(target, settings)
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
