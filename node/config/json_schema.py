"""The JSON Schema of ``cluster.toml``, for editors (taplo, VS Code), with defaults as they would be written."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from node.config.schema import Root

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class AsWritten(GenerateJsonSchema):
    """Leaves defaults as the schema's own text has them; a table that is left out is one without keys."""

    def get_default_value(self, schema: core_schema.WithDefaultSchema) -> Any:
        """Return the default before it is read."""
        return schema.get("default", super().get_default_value({**schema, "validate_default": False}))

    def encode_default(self, dft: Any) -> Any:
        """Write a default as JSON."""
        return {} if isinstance(dft, BaseModel) else dft


def config_schema() -> dict[str, Any]:
    """Return the schema of the whole file."""
    return {"$schema": DIALECT, **Root.model_json_schema(schema_generator=AsWritten), "title": "cluster.toml"}
