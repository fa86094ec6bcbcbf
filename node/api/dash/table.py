"""The paths of the dashboard."""

from node.api.dash import actions, cluster, events, login, overview, push, query, services, zones
from node.api.message import Handler
from node.api.routes import Route


def _page(pattern: str, handler: Handler, summary: str) -> Route:
    return Route("GET", pattern, handler, "read", summary, refuse=login.tell, documented=False)


def _form(pattern: str, handler: Handler, scope: str, summary: str) -> Route:
    return Route("POST", pattern, handler, scope, summary, refuse=login.tell, documented=False, is_form=True)


ROUTES = (
    _page("/", overview.get_overview, "The whole picture"),
    _page("/services", services.list_services, "The services"),
    _page("/services/{fqdn}", services.get_service, "A service as every node sees it"),
    _form("/services/{fqdn}", actions.post_action, "endpoints:operate", "Drain, force, fail over, maintain"),
    _page("/zones", zones.list_zones, "The zones"),
    _page("/zones/{zone}", zones.get_zone, "The records of a zone"),
    _form("/zones/{zone}", zones.post_record, "records:write", "Change a record"),
    _page("/events", events.list_events, "The journal"),
    _page("/push", push.list_push, "The push targets"),
    _page("/push/{name}/diff", push.get_diff, "What a push would replace"),
    _form("/push/{name}", push.post_action, "services:write", "Steer a push target"),
    _page("/cluster", cluster.get_cluster, "The nodes"),
    _form("/cluster", cluster.post_lead, "cluster:admin", "Move leadership"),
    _page("/query", query.get_query, "A question and why it is answered so"),
    Route("GET", "/static/{name}", login.get_static, None, "The pages' files", documented=False),
    Route(
        "POST",
        "/login",
        login.log_in,
        None,
        "Log in to the pages",
        refuse=login.tell,
        documented=False,
    ),
    Route("POST", "/logout", login.log_out, None, "Log out", refuse=login.tell, documented=False),
)
