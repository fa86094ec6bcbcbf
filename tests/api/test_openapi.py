"""The description of the API is complete, and every reference in it leads somewhere."""

from typing import Any

from node.api.table import TABLE
from tests.api.conftest import Api


def walk(value: Any) -> list[str]:
    """Return every ``$ref`` below a value."""
    if isinstance(value, dict):
        found = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return found + [each for part in value.values() for each in walk(part)]
    return [each for part in value for each in walk(part)] if isinstance(value, list) else []


def test_complete(api: Api) -> None:
    """Every documented route is described, with a unique id, its scope and its body."""
    described = api.get("/openapi.json").json()
    assert "3.1.0" == described["openapi"]
    operations = [
        (method, path, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
    assert len([route for route in TABLE.routes if route.documented]) == len(operations)
    assert len(operations) == len({operation["operationId"] for _, _, operation in operations})
    put = described["paths"]["/v1/services/{fqdn}"]["put"]
    assert "Scope: `services:write`." == put["description"]
    schemas = described["components"]["schemas"]
    check = schemas["ServiceBody"]["properties"]["check"]
    assert [{"type": "string"}, {"$ref": "#/components/schemas/CheckBody"}] == check["anyOf"]


def test_references(api: Api) -> None:
    """No reference is broken."""
    described = api.get("/openapi.json").json()
    references = walk(described)
    assert references
    for reference in references:
        target = described
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
