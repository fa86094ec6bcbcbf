"""Which path answers with what, and all of it as JSON Schema."""

from dataclasses import dataclass
from typing import Any

import msgspec

from node.api.answers import cluster, common, services, zones

Schema = dict[str, Any]
_REFERENCE = "#/components/schemas/{name}"


@dataclass(frozen=True, slots=True)
class Items:
    """A list in pages."""

    of: Any


@dataclass(frozen=True, slots=True)
class Either:
    """One of several, by what was asked."""

    of: tuple[Any, ...]


_SERVICE = "/v1/services/{fqdn}"
_ENDPOINT = f"{_SERVICE}/endpoints/{{address}}"
ANSWERS: dict[str, Any] = {
    "GET /v1/status": Either((cluster.Status, cluster.Node)),
    "GET /v1/nodes": Items(cluster.Node),
    "GET /v1/nodes/{name}": cluster.Node,
    **dict.fromkeys(
        (
            "PUT /v1/nodes/{name}",
            "DELETE /v1/nodes/{name}",
            "POST /v1/nodes/{name}/replace",
            "POST /v1/nodes/{name}/lead",
        ),
        common.NodesChanged,
    ),
    "GET /v1/course": cluster.Course,
    "GET /v1/zones": Items(zones.Zone),
    "GET /v1/zones/{zone}": zones.Zone,
    "GET /v1/zones/{zone}/check": zones.ZoneCheck,
    "PUT /v1/zones/{zone}/file": zones.Imported,
    "GET /v1/zones/{zone}/rrsets": Items(zones.RRset),
    "GET /v1/zones/{zone}/rrsets/{name}/{type}": zones.RRset,
    "GET /v1/services": Items(services.Service),
    f"GET {_SERVICE}": services.Service,
    f"GET {_SERVICE}/endpoints": Items(services.Endpoint),
    f"POST {_SERVICE}/whatif": services.WhatIf,
    f"POST {_SERVICE}/refresh": services.Refreshed,
    f"PUT {_SERVICE}/maintenance": services.Maintained,
    f"DELETE {_SERVICE}/maintenance": services.Maintained,
    **dict.fromkeys(
        (
            "POST /v1/overrides",
            f"PUT {_SERVICE}/failover",
            f"DELETE {_SERVICE}/failover",
            f"PUT {_ENDPOINT}/drain",
            f"DELETE {_ENDPOINT}/drain",
            f"PUT {_ENDPOINT}/force",
            f"DELETE {_ENDPOINT}/force",
        ),
        services.Operated,
    ),
    f"POST {_ENDPOINT}/heartbeat": services.Heard,
    "GET /v1/series": services.Series,
    "GET /v1/explain": zones.Explanation,
    "GET /v1/push": Items(zones.PushTarget),
    "GET /v1/push/{name}": zones.PushTarget,
    "GET /v1/push/{name}/diff": zones.PushDiff,
    "GET /v1/log": common.LogLevel,
    "PUT /v1/log": common.LogLevel,
    "GET /v1/notify": Items(common.Receiver),
    "POST /v1/notify/{name}/test": common.ReceiverTest,
    "POST /v1/plan": zones.Plan,
    "POST /v1/apply": zones.Applied,
    "GET /v1/tokens": Items(common.Token),
    "GET /v1/tokens/{name}": common.Token,
    "GET /v1/events": common.EventPage,
    "GET /v1/events/{index}": zones.Entry,
}
"""By method and path. A path of ``/v1`` that is not named is a write that answers with ``Written``."""


def answer_schema(key: str) -> Schema:
    """Return the schema of what a method on a path of ``/v1`` answers with; types in it are references."""
    answer = ANSWERS.get(key, common.Written)
    if isinstance(answer, Items):
        return _page(_named(answer.of))
    if isinstance(answer, Either):
        return {"anyOf": [_named(each) for each in answer.of]}
    return _named(answer)


def answer_types() -> Schema:
    """Return the schemas of all types, by name."""
    given = [common.Written]
    for answer in ANSWERS.values():
        given += answer.of if isinstance(answer, Either) else [getattr(answer, "of", answer)]
    _, found = msgspec.json.schema_components(dict.fromkeys(given), ref_template=_REFERENCE)
    return dict(found)


def _named(answer: Any) -> Schema:
    return {"$ref": _REFERENCE.format(name=answer.__name__)}


def _page(item: Schema) -> Schema:
    after: Schema = {"type": ["string", "null"], "description": "send it as after for the next page"}
    return {
        "type": "object",
        "required": ["items", "next"],
        "properties": {"items": {"type": "array", "items": item}, "next": after},
    }
