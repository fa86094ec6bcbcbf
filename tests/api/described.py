"""Whether an answer is as ``/openapi.json`` says, to the last key."""

from typing import Any

import jsonschema_rs

JSON = "application/json"


def strict(value: Any) -> Any:
    """Return a description that allows no key which it does not name."""
    if isinstance(value, list):
        return [strict(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {key: strict(each) for key, each in value.items()}
    if isinstance(value.get("properties"), dict) and value.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


class Description:
    """A description of the API, and the judgement on answers by it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.paths: dict[str, Any] = document["paths"]
        self._components = {"schemas": strict(document["components"]["schemas"])}

    def gets(self) -> list[str]:
        """Return the paths of ``/v1`` that can be read."""
        return [path for path, each in self.paths.items() if path.startswith("/v1/") and "get" in each]

    def faults(self, method: str, path: str, answer: object) -> list[str]:
        """Return what is otherwise in a JSON answer than described."""
        content = self.paths[path][method]["responses"]["200"]["content"]
        schema = strict(content[JSON]["schema"]) | {"components": self._components}
        found = jsonschema_rs.validator_for(schema).iter_errors(answer)
        return [f"{'/'.join(map(str, each.instance_path))}: {each.message[:300]}" for each in found]
