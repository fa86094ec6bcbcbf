"""``/openapi.json``: the API described from the table of routes and the models of the bodies (OpenAPI 3.1)."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from node.api.answers.table import answer_schema, answer_types
from node.api.idempotency import KEY_CHARACTERS_MAX, takes_key
from node.api.message import PROBLEM
from node.api.problem import tell
from node.api.questions import parameters_of
from node.api.routes import Route

Schema = dict[str, Any]

_VARIABLE = re.compile(r"\{([a-z]+)(?:\.\.\.)?\}")
_EXAMPLES = {
    "zone": "example.org",
    "name": "www.example.org.",
    "type": "A",
    "fqdn": "www.example.org",
    "address": "192.0.2.1",
    "index": "48190",
}
_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS_MAX + 2},
    "description": "sent again with the same key, on any node, the request gets its first answer and does nothing more",
}
_TEXT_PATHS = ("/", "/healthz", "/readyz", "/health", "/metrics")
_OCTETS_PATHS = ("/v1/backup",)
_FILE_PATH = "/v1/zones/{zone}/file"
_POWERDNS_ZONES = "/api/v1/servers/localhost/zones"
_POWERDNS_ZONE = f"{_POWERDNS_ZONES}/{{id}}"
_OWN_BODIES = {"/v1/plan": "application/json", "/v1/apply": "application/json", _FILE_PATH: "text/dns"}
"""Bodies that are no model of ours, by the kind of content."""
_PROBLEM: Schema = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "one word for programs"},
        "detail": {"type": "string", "description": "a sentence for people"},
        "hint": {"type": "string", "description": "what to do next"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def document(routes: Iterable[Route], version: str) -> Schema:
    """Return the description of these routes."""
    documented = [route for route in routes if route.documented]
    paths: dict[str, Schema] = {}
    for route in documented:
        path = _VARIABLE.sub(r"{\1}", route.pattern)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "quorumdns", "version": version, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": _schemas(documented) | answer_types() | {"Problem": _PROBLEM},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route) -> Schema:
    operation: Schema = {
        "summary": route.summary,
        "operationId": f"{route.method.lower()}{re.sub(r'[^a-z0-9]+', '_', route.pattern.lower()).rstrip('_')}",
        "parameters": _parameters(route),
        "responses": _successes(route),
    }
    operation["responses"]["default"] = {
        "description": "a problem, with a sentence and a next step",
        "content": _refusals(route),
    }
    if route.scope is not None:
        operation["security"] = [{"token": []}, {}]
        operation["description"] = f"Scope: `{route.scope}`."
    if route.body is not None:
        schema = {"$ref": f"#/components/schemas/{route.body.__name__}"}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    elif route.method != "GET" and route.pattern in _OWN_BODIES:
        kind = _OWN_BODIES[route.pattern]
        plain: Schema = {"type": "object" if kind == "application/json" else "string"}
        operation["requestBody"] = {"required": True, "content": {kind: {"schema": plain}}}
    return operation


def _refusals(route: Route) -> Schema:
    """Return how a door tells of problems: ours by RFC 9457, the others as their programs expect it."""
    problems: Schema = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    if route.refuse is tell:
        return problems
    return problems | {"application/json": {"schema": {}}, "text/plain": {"schema": {"type": "string"}}}


def _parameters(route: Route) -> list[Schema]:
    parameters: list[Schema] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1} | _example(name),
        }
        for name in _VARIABLE.findall(route.pattern)
    ]
    if route.method == "GET" and route.pattern.startswith("/v1/"):
        parameters += [
            {"name": each.name, "in": "query", "schema": each.schema, "description": each.text}
            for each in parameters_of(route.pattern)
        ]
    elif takes_key(route):
        parameters.append(_KEY)
    return parameters


def _example(name: str) -> Schema:
    return {"examples": [_EXAMPLES[name]]} if name in _EXAMPLES else {}


def _successes(route: Route) -> Schema:
    """Return how a route says by its status that it is done; the other doors do as their programs expect it."""
    if route.pattern == _POWERDNS_ZONE and route.method != "GET":
        return {"204": {"description": "done"}}
    if route.pattern == _POWERDNS_ZONES and route.method == "POST":
        return {"201": _success(route)}
    done: Schema = {"200": _success(route)}
    if route.pattern.startswith("/v2/") and route.method in ("PUT", "POST"):
        done["201"] = _success(route)
    return done


def _success(route: Route) -> Schema:
    if route.pattern in _TEXT_PATHS:
        content = {"text/html" if route.pattern == "/" else "text/plain": {"schema": {"type": "string"}}}
    elif route.pattern in _OCTETS_PATHS:
        content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    elif route.method == "GET" and route.pattern == _FILE_PATH:
        content = {"text/dns": {"schema": {"type": "string"}}}
    elif not route.pattern.startswith("/v1/"):
        content = {kind: {"schema": {}} for kind in ("application/json", "text/plain", "text/html")}
    else:
        content = {"application/json": {"schema": answer_schema(f"{route.method} {route.pattern}")}}
        if route.pattern == "/v1/events":
            content["text/event-stream"] = {"schema": {"type": "string"}}
    return {"description": "done", "content": content}


def _schemas(routes: list[Route]) -> Schema:
    models: dict[str, type[BaseModel]] = {
        route.body.__name__: route.body for route in routes if route.body is not None
    }
    pairs = [(model, "validation") for model in models.values()]
    _, schema = models_json_schema(pairs, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    found: Schema = schema.get("$defs", {})
    return found
