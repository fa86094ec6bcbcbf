"""The routes of PowerDNS' API."""

from node.api.message import Handler
from node.api.powerdns import handlers, searching
from node.api.routes import Route

_SERVER = "/api/v1/servers/localhost"
_ZONE = f"{_SERVER}/zones/{{id}}"
_WRITE = "records:write"


def _route(method: str, pattern: str, handler: Handler, scope: str, summary: str) -> Route:
    return Route(method, pattern, handler, scope, f"PowerDNS: {summary}", refuse=handlers.tell)


ROUTES = (
    _route("GET", "/api", handlers.list_apis, "read", "the versions of the API"),
    _route("GET", "/api/v1/servers", handlers.list_servers, "read", "the servers"),
    _route("GET", _SERVER, handlers.get_server, "read", "the server"),
    _route("GET", f"{_SERVER}/config", handlers.list_nothing, "read", "settings, of which there are none"),
    _route("GET", f"{_SERVER}/statistics", handlers.list_statistics, "read", "the uptime"),
    _route("GET", f"{_SERVER}/search-data", searching.search, "read", "find records"),
    _route("GET", f"{_SERVER}/tsigkeys", handlers.list_nothing, "read", "keys, of which none are shown"),
    _route("GET", f"{_SERVER}/zones", handlers.list_zones, "read", "list the zones"),
    _route("POST", f"{_SERVER}/zones", handlers.post_zone, _WRITE, "create a zone"),
    _route("GET", _ZONE, handlers.get_zone, "read", "show a zone with its records"),
    _route("PATCH", _ZONE, handlers.patch_zone, _WRITE, "change records, all or nothing"),
    _route("PUT", _ZONE, handlers.put_zone, _WRITE, "settings that are not kept"),
    _route("DELETE", _ZONE, handlers.delete_zone, _WRITE, "delete a zone"),
    _route("PUT", f"{_ZONE}/notify", handlers.notify_zone, _WRITE, "tell secondaries, which happens anyway"),
    _route("PUT", f"{_ZONE}/rectify", handlers.rectify_zone, _WRITE, "put in order, which is never needed"),
    _route("GET", f"{_ZONE}/export", handlers.export_zone, "read", "a zone as a master file"),
    _route("GET", f"{_ZONE}/cryptokeys", handlers.list_nothing, "read", "keys, of which there are none"),
    _route("GET", f"{_ZONE}/metadata", handlers.list_nothing, "read", "metadata, of which there is none"),
)
