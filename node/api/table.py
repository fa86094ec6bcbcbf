"""Every path of the API, in the order of the documentation."""

from node.api.context import ApiContext
from node.api.dash.table import ROUTES as DASHBOARD
from node.api.etcd import errors as etcd_errors
from node.api.etcd import reads as etcd_reads
from node.api.etcd import writes as etcd_writes
from node.api.handlers import (
    acme,
    backup,
    batch,
    course,
    events,
    explain,
    heartbeats,
    logs,
    metrics,
    nodes,
    notify,
    overrides,
    plan,
    push,
    rrsets,
    series,
    services,
    status,
    tokens,
    whatif,
    zone_files,
    zones,
)
from node.api.message import Proposal, Request, Response, shown
from node.api.models import (
    BatchBody,
    EndpointSettings,
    LogBody,
    NodeBody,
    ReplaceBody,
    RRsetBody,
    RRsetPatch,
    ServiceBody,
    TokenBody,
    ZoneBody,
)
from node.api.openapi import document
from node.api.operations import DrainBody, FailoverBody, ForceBody, MaintenanceBody, OverridesBody
from node.api.powerdns.table import ROUTES as POWERDNS
from node.api.problem import Problem
from node.api.routes import Route, Table
from node.api.zone_import import FILE_OCTETS_MAX

DESIRED_OCTETS_MAX = 32 * 1024 * 1024
"""A file with 100,000 records; what of it differs must fit into one entry."""
_RECORDS, _SERVICES, _OPERATE = "records:write", "services:write", "endpoints:operate"
_RRSET = "/v1/zones/{zone}/rrsets/{name}/{type}"
_PUSH = "/v1/push/{name}"
_NODE = "/v1/nodes/{name}"
_HOLDER = "/v1/tokens/{name}"
_SERVICE = "/v1/services/{fqdn}"
_ENDPOINT = "/v1/services/{fqdn}/endpoints/{address}"


def _gone(_context: ApiContext, _request: Request) -> Response:
    raise Problem(
        "gone",
        "the nodes of this cluster speak Raft on a port of their own; the quorum API has no successor here",
        "read /v1/status",
    )


def _to_page(_context: ApiContext, _request: Request) -> Response:
    return Response(308, headers=(("Location", "/"),))


def _post_batch(context: ApiContext, request: Request) -> Proposal:
    return batch.post_batch(context, request, TABLE.match)


_V1 = (
    Route(
        "GET",
        "/v1/status",
        status.get_status,
        "read",
        "The whole picture: nodes, services, problems",
        answers_early=True,
    ),
    Route("GET", "/v1/zones", zones.list_zones, "read", "List the zones"),
    Route("GET", "/v1/zones/{zone}", zones.get_zone, "read", "Show a zone"),
    Route(
        "PUT", "/v1/zones/{zone}", zones.put_zone, _RECORDS, "Create a zone or change its settings", ZoneBody
    ),
    Route("DELETE", "/v1/zones/{zone}", zones.delete_zone, _RECORDS, "Delete a zone with all its records"),
    Route("GET", "/v1/zones/{zone}/file", zone_files.get_file, "read", "A zone as a master file"),
    Route(
        "PUT",
        "/v1/zones/{zone}/file",
        zone_files.put_file,
        _RECORDS,
        "Make a zone what a master file says",
        before_body=zone_files.require_reach,
        body_octets_max=FILE_OCTETS_MAX,
        makes_entry=False,
    ),
    Route("GET", "/v1/zones/{zone}/check", zone_files.get_check, "read", "What is wrong with a zone"),
    Route("GET", "/v1/zones/{zone}/rrsets", rrsets.list_rrsets, "read", "List the RRsets of a zone"),
    Route("GET", _RRSET, rrsets.get_rrset, "read", "Show an RRset"),
    Route("PUT", _RRSET, rrsets.put_rrset, _RECORDS, "Make an RRset exactly this one", RRsetBody),
    Route("PATCH", _RRSET, rrsets.patch_rrset, _RECORDS, "Add and remove single records", RRsetPatch),
    Route("DELETE", _RRSET, rrsets.delete_rrset, _RECORDS, "Delete an RRset"),
    Route("POST", "/v1/acme/present", acme.present, _RECORDS, "Add a challenge's record", acme.ChallengeBody),
    Route(
        "POST", "/v1/acme/cleanup", acme.cleanup, _RECORDS, "Remove a challenge's record", acme.ChallengeBody
    ),
    Route("GET", "/v1/services", services.list_services, "read", "List the services"),
    Route("GET", _SERVICE, services.get_service, "read", "Show a service"),
    Route("PUT", _SERVICE, services.put_service, _SERVICES, "Make a service exactly this one", ServiceBody),
    Route("DELETE", _SERVICE, services.delete_service, _SERVICES, "Delete a service and its records"),
    Route("GET", f"{_SERVICE}/endpoints", services.list_endpoints, "read", "List a service's endpoints"),
    Route(
        "POST",
        f"{_SERVICE}/whatif",
        whatif.post_whatif,
        "read",
        "Which withdrawals would have come or gone under other settings",
        whatif.WhatIfBody,
        makes_entry=False,
    ),
    Route("PUT", _ENDPOINT, services.put_endpoint, _SERVICES, "Add or change an endpoint", EndpointSettings),
    Route("DELETE", _ENDPOINT, services.delete_endpoint, _SERVICES, "Remove an endpoint"),
    Route(
        "POST",
        f"{_ENDPOINT}/heartbeat",
        heartbeats.post_heartbeat,
        "heartbeat",
        "An endpoint says it is well",
        makes_entry=False,
    ),
    Route("GET", "/v1/explain", explain.get_explain, "read", "Why a name is answered as it is"),
    Route("GET", "/v1/series", series.get_series, "read", "What this node's own probes of a service came to"),
    Route("GET", course.PATH, course.get_course, "read", "How far this node saw the nodes behind, and who led"),
    Route("GET", "/v1/nodes", nodes.list_nodes, "read", "List the nodes"),
    Route("GET", _NODE, nodes.get_node, "read", "Show a node"),
    Route(
        "PUT",
        _NODE,
        nodes.put_node,
        "cluster:admin",
        "Let a node in, or change where it is reached",
        NodeBody,
        makes_entry=False,
    ),
    Route(
        "DELETE", _NODE, nodes.delete_node, "cluster:admin", "Take a node out of the cluster", makes_entry=False
    ),
    Route(
        "POST",
        f"{_NODE}/replace",
        nodes.replace_node,
        "cluster:admin",
        "Let a node begin anew",
        ReplaceBody,
        makes_entry=False,
    ),
    Route(
        "POST",
        f"{_NODE}/lead",
        nodes.lead,
        "cluster:admin",
        "Hand leadership over to a node",
        makes_entry=False,
    ),
    Route("GET", "/v1/push", push.list_push, "read", "List the push targets"),
    Route("GET", _PUSH, push.get_push, "read", "Show a push target"),
    Route("GET", f"{_PUSH}/diff", push.get_diff, "read", "What a push would replace on the target"),
    Route("POST", f"{_PUSH}/pause", push.steer("pause"), _SERVICES, "Push nothing to a target"),
    Route("POST", f"{_PUSH}/resume", push.steer("resume"), _SERVICES, "Push to a paused target again"),
    Route("POST", f"{_PUSH}/refresh", push.steer("refresh"), _SERVICES, "Read a whole target and repair it"),
    Route("POST", f"{_PUSH}/release", push.steer("release"), _SERVICES, "Push what a mass withdrawal held"),
    Route("GET", "/v1/log", logs.get_log, "read", "From which level on this node logs"),
    Route(
        "PUT",
        "/v1/log",
        logs.put_log,
        "cluster:admin",
        "Let this node log from a level on",
        LogBody,
        makes_entry=False,
    ),
    Route("GET", "/v1/notify", notify.list_notify, "read", "List who is told of events"),
    Route(
        "POST",
        "/v1/notify/{name}/test",
        notify.try_notify,
        _SERVICES,
        "Tell a receiver of a test",
        makes_entry=False,
    ),
    Route(
        "POST",
        "/v1/plan",
        plan.post_plan,
        "read",
        "What differs from what a file says, as qdns plan sends it",
        body_octets_max=DESIRED_OCTETS_MAX,
        makes_entry=False,
    ),
    Route(
        "POST",
        "/v1/apply",
        plan.post_apply,
        "read",
        "Make it so in one entry, as qdns apply sends it; takes what the single changes take",
        body_octets_max=DESIRED_OCTETS_MAX,
    ),
    Route("POST", "/v1/batch", _post_batch, "read", "Several writes as one entry, all or nothing", BatchBody),
    Route("GET", "/v1/tokens", tokens.list_tokens, "cluster:admin", "List the tokens, without their secrets"),
    Route("GET", _HOLDER, tokens.get_token, "cluster:admin", "Show a token"),
    Route(
        "PUT", _HOLDER, tokens.put_token, "cluster:admin", "Create a token or make it another one", TokenBody
    ),
    Route("DELETE", _HOLDER, tokens.delete_token, "cluster:admin", "Take a token back"),
    Route(
        "GET", "/v1/backup", backup.get_backup, "cluster:admin", "The whole state at one log index, as a file"
    ),
    Route(
        "GET", "/v1/events", events.list_events, "read", "What was committed; a stream where SSE is accepted"
    ),
    Route(
        "GET",
        "/v1/events/{index}",
        events.get_entry,
        "read",
        "What one log entry changed: its events, what was in DNS before and after, and why",
    ),
)

_OPERATIONS = (
    Route("PUT", f"{_ENDPOINT}/drain", overrides.put_drain, _OPERATE, "Take an endpoint out of DNS", DrainBody),
    Route("DELETE", f"{_ENDPOINT}/drain", overrides.delete_drain, _OPERATE, "Drain an endpoint no more"),
    Route(
        "PUT", f"{_ENDPOINT}/force", overrides.put_force, _OPERATE, "Take an endpoint for up or down", ForceBody
    ),
    Route("DELETE", f"{_ENDPOINT}/force", overrides.delete_force, _OPERATE, "Force an endpoint no more"),
    Route(
        "POST",
        "/v1/overrides",
        overrides.post_overrides,
        _OPERATE,
        "Drain, force or release many endpoints, all or nothing",
        OverridesBody,
    ),
    Route(
        "PUT",
        f"{_SERVICE}/maintenance",
        overrides.put_maintenance,
        _OPERATE,
        "Let a service stand still in DNS, now or later",
        MaintenanceBody,
    ),
    Route("DELETE", f"{_SERVICE}/maintenance", overrides.delete_maintenance, _OPERATE, "End a maintenance"),
    Route(
        "PUT",
        f"{_SERVICE}/failover",
        overrides.put_failover,
        _OPERATE,
        "Use some endpoints of a service alone",
        FailoverBody,
    ),
    Route("DELETE", f"{_SERVICE}/failover", overrides.delete_failover, _OPERATE, "Let the votes decide again"),
    Route(
        "POST",
        f"{_SERVICE}/refresh",
        overrides.post_refresh,
        _OPERATE,
        "Repair what differs on the push targets of a service",
        makes_entry=False,
    ),
)

_HEALTH = (
    Route("GET", "/healthz", status.get_healthz, None, "Whether the process answers"),
    Route("GET", "/readyz", status.get_readyz, None, "Whether this node can do its work, part by part"),
    Route("GET", "/health", status.get_health, None, "Whether DNS, the log and the probes go on"),
    Route("GET", "/metrics", metrics.get_metrics, "read", "What Prometheus scrapes", answers_early=True),
)

_KEYS = "/v2/keys/{key...}"
_ETCD = (
    Route("GET", _KEYS, etcd_reads.get_key, "read", "etcd v2: show or watch a key", refuse=etcd_errors.tell),
    Route("PUT", _KEYS, etcd_writes.put_key, _RECORDS, "etcd v2: set a key", refuse=etcd_errors.tell),
    Route("POST", _KEYS, etcd_writes.post_key, _RECORDS, "etcd v2: add a record", refuse=etcd_errors.tell),
    Route("DELETE", _KEYS, etcd_writes.delete_key, _RECORDS, "etcd v2: delete", refuse=etcd_errors.tell),
    Route("GET", "/v2/members", etcd_reads.list_members, "read", "etcd v2: the nodes"),
    Route("GET", "/version", etcd_reads.get_version, None, "etcd v2: the version it behaves like"),
)


def _describe(context: ApiContext, _request: Request) -> Response:
    return shown(document(TABLE.routes, context.version))


_DESCRIPTION = (Route("GET", "/openapi.json", _describe, None, "This description"),)

_OLD = (
    Route("GET", "/dash", _to_page, None, "The page has moved", documented=False),
    *(
        Route(method, "/quorum/v1/{rest...}", _gone, None, "Gone", documented=False)
        for method in ("GET", "POST", "PUT", "DELETE")
    ),
)

TABLE = Table((*_V1, *_OPERATIONS, *_HEALTH, *_ETCD, *POWERDNS, *_DESCRIPTION, *DASHBOARD, *_OLD))
