"""Write docs/configuration.md: every table and key of cluster.toml, from the schema that reads it.

python scripts/make_reference.py          # writes the page
python scripts/make_reference.py --check  # exits 1 when the page is out of date
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from node.config.json_schema import AsWritten
from node.config.schema import Root
from scripts.reference_texts import TEXTS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
HEAD = """# Configuration

One file, `cluster.toml`, the same on every node: `--config`, else `CONF`, `./cluster.toml`, `/etc/quorumdns/cluster.toml`.
It seeds an empty cluster; later the log owns zones, services and push targets (`qdns plan`, `qdns apply`). `qdns config check`
tells every fault at once with its line and column, `qdns config schema` prints the schema for editors, and this page is made
of it (`scripts/make_reference.py`).

Durations are `"250ms"`, `"5s"`, `"2m"`, `"1h"`, `"7d"`. Secrets are references: `"file:/path"` (mode 0600),
`"env:NAME"`, `"credential:NAME"` (systemd). Paths are relative to the file. Keys without a default in the table are needed
where it says so, and otherwise off.
"""
ORDER = (
    ("ClusterTable", "[cluster]"), ("ClusterTlsTable", "[cluster] tls"), ("NodeTable", "[[nodes]]"),
    ("RaftTable", "[raft]"), ("DnsTable", "[dns]"), ("CertificateTable", "[dns] tls"),
    ("RateLimitTable", "[dns] rate_limit"), ("ZoneTable", "[[zones]]"), ("HealthTable", "[health]"),
    ("FlapLimitTable", "flap_limit"), ("ServiceTable", "[[services]]"), ("EndpointTable", "endpoints of a service"),
    ("CheckTable", "healthcheck of a service"), ("PartTable", "parts of a healthcheck"),
    ("TlsCheckTable", "tls of a healthcheck"), ("ChecksTable", "[checks]"), ("ExecTable", "[checks.exec.NAME]"),
    ("PushTable", "[[push]]"), ("TsigTable", "[[tsig]]"), ("ApiTable", "[api]"), ("ApiTlsTable", "[api] tls"),
    ("TokenTable", "[[api.tokens]]"), ("NotifyTable", "[[notify]]"), ("StatsdTable", "[statsd]"),
    ("LogTable", "[log]"),
)  # fmt: skip


def page() -> str:
    """Return the page; ends with what is missing when a table or key has no words."""
    tables = schema()
    check_words(tables)
    parts = [HEAD]
    for name, title in ORDER:
        rows = [row(name, key, tables[name], value) for key, value in own(name, tables).items()]
        inherited = "\nThe keys of a healthcheck, and:\n" if name == "PartTable" else ""
        parts.append(
            f"## `{title}`\n{inherited}\n| key | value | default | meaning |\n|---|---|---|---|\n"
            + "\n".join(rows)
            + "\n"
        )
    return "\n".join(parts)


def schema() -> dict[str, Any]:
    """Return the tables by the names of their classes; those that a validator hides are added."""
    tables: dict[str, Any] = {}
    collect(Root, tables)
    return tables


def collect(model: Any, tables: dict[str, Any]) -> None:
    """Add a table, and those that its keys hold."""
    if model.__name__ in tables:
        return
    made = model.model_json_schema(schema_generator=AsWritten)
    tables[model.__name__] = (
        made if "properties" in made else made["$defs"][model.__name__]
    )  # one that holds itself
    for field in model.model_fields.values():
        for inner in models_in(field.annotation):
            collect(inner, tables)


def models_in(annotation: Any) -> list[Any]:
    """Return the tables that stand in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in models_in(part)]


def own(name: str, tables: dict[str, Any]) -> dict[str, Any]:
    """Return a table's keys; of a part those alone that a whole check has not."""
    keys: dict[str, Any] = tables[name]["properties"]
    if name != "PartTable":
        return keys
    return {key: value for key, value in keys.items() if key not in tables["CheckTable"]["properties"]}


def check_words(tables: dict[str, Any]) -> None:
    """End when a key lacks words, or words lack their key."""
    found = {(name, key) for name in tables if name != "Root" for key in own(name, tables)}
    written = {(name, key) for name, keys in TEXTS.items() for key in keys}
    placed = {name for name, _ in ORDER}
    faults = [
        f"scripts/reference_texts.py: no words for {key} of {name}" for name, key in sorted(found - written)
    ]
    faults += [f"scripts/reference_texts.py: {name} has no key {key}" for name, key in sorted(written - found)]
    faults += [
        f"scripts/make_reference.py: ORDER lacks {name}" for name, _ in sorted(found) if name not in placed
    ]
    if faults:
        sys.exit("\n".join(faults))


def row(name: str, key: str, table: dict[str, Any], value: dict[str, Any]) -> str:
    """Return a key's line."""
    default = value.get("default")
    if key in table.get("required", ()):
        shown = "needed"
    else:
        shown = "" if default in (None, "", {}, []) else f"`{json.dumps(default, ensure_ascii=False)}`"
    return f"| `{key}` | {kind(value)} | {shown} | {TEXTS[name][key]} |"


def kind(value: dict[str, Any]) -> str:
    """Say what a key may hold."""
    options = [
        each for each in value.get("anyOf") or value.get("oneOf") or [value] if each.get("type") != "null"
    ]
    return " or ".join(dict.fromkeys(one(each) for each in options))


def one(value: dict[str, Any]) -> str:
    """Say what one form of a value is."""
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if "$ref" in value or value.get("default") == {}:
        return "table"
    words = {
        "string": "text",
        "integer": "number",
        "boolean": "`true`, `false`",
        "array": "list",
        "object": "table",
    }
    word = words.get(value.get("type", ""), "list" if "maxItems" in value or "minItems" in value else "")
    low, high = value.get("minimum"), value.get("maximum", value.get("exclusiveMaximum"))
    return f"{low} to {high}" if low is not None and high is not None else word or "list"


if __name__ == "__main__":
    text = page()
    if "--check" in sys.argv[1:]:
        sys.exit(
            0
            if PAGE.read_text() == text
            else "docs/configuration.md is out of date: python scripts/make_reference.py"
        )
    PAGE.write_text(text)
