"""Where every value came from: default, file, environment or flag."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from node.config import rrdnsd
from node.config.messages import path_text
from node.config.model import Config, Node
from node.config.positions import Index
from node.config.positions import Path as KeyPath
from node.config.schema import Root
from node.config.source import Source, parse_toml
from node.config.toml_text import toml_value
from node.config.validate import models_in

_LOG_VARIABLES: dict[KeyPath, str] = {("log", "level"): "QDNS_LOG_LEVEL", ("log", "format"): "QDNS_LOG_FORMAT"}


@dataclass(frozen=True, slots=True)
class Origin:
    """A value as it would be written in the file, and where it came from."""

    path: str
    value: str
    source: Literal["default", "file", "environment", "flag"]
    where: str = ""
    """``file:line``, or the name of the variable or flag."""


def dump_with_origin(config: Config, environ: Mapping[str, str]) -> tuple[Origin, ...]:
    """Return every value that is in force, in the order of the schema, this node first.

    Secrets are shown as the references that they are.
    """
    name, text = next(iter(config.sources.items()))
    source = Source(name, text, config.base, is_json=config.is_rrdnsd)
    data = rrdnsd.read(source).data if source.is_json else parse_toml(source)
    index = Index(text, is_json=source.is_json)
    return (_node(config), *_Dump(config, environ, name, index).table(Root, data, ()))


def _node(config: Config) -> Origin:
    value = toml_value(config.node.name)
    match config.node_source:
        case "flag":
            return Origin("node", value, "flag", "--node")
        case "environment":
            return Origin("node", value, "environment", "LOCAL_NODE")
        case "file":
            return Origin("node", value, "file", "local_node")
        case "only":
            return Origin("node", value, "default", "the only node")
        case "address":
            return Origin("node", value, "default", "by its address")
    return Origin("node", value, "default", "this machine is no node")


class _Dump:
    """One walk over the schema beside the data that was given."""

    def __init__(self, config: Config, environ: Mapping[str, str], file: str, index: Index) -> None:
        self.config = config
        self.environ = environ
        self.file = file
        self.index = index

    def table(self, model: type[BaseModel], given: Mapping[str, Any], path: KeyPath) -> Iterator[Origin]:
        for key, field in model.model_fields.items():
            yield from self._key(field, given.get(key), (*path, key))

    def _key(self, field: FieldInfo, value: Any, path: KeyPath) -> Iterator[Origin]:
        inner = next(models_in(field.annotation), None)
        variable = _LOG_VARIABLES.get(path, "")
        if variable and self.environ.get(variable):
            yield Origin(path_text(path), toml_value(self.environ[variable]), "environment", variable)
        elif inner is not None and isinstance(value, dict):
            yield from self.table(inner, value, path)
        elif inner is not None and isinstance(value, list) and value:
            for number, each in enumerate(value):
                yield from self._element(inner, each, (*path, number))
        elif value is not None:
            yield Origin(path_text(path), toml_value(_without_secret(path, value)), "file", self._place(path))
        elif inner is not None and isinstance(field.default, BaseModel):
            yield from self.table(inner, {}, path)
        elif not field.is_required():
            yield from self._default(field, path)

    def _element(self, model: type[BaseModel], value: Any, path: KeyPath) -> Iterator[Origin]:
        if isinstance(value, dict):
            yield from self.table(model, value, path)
        else:
            yield Origin(path_text(path), toml_value(value), "file", self._place(path))

    def _default(self, field: FieldInfo, path: KeyPath) -> Iterator[Origin]:
        """Tell a default; one that is worked out from other values is told as it came out."""
        value = (
            _worked_out(self.config, path)
            if field.default is None
            else field.get_default(call_default_factory=True)
        )
        if value is not None:
            yield Origin(path_text(path), toml_value(value), "default")

    def _place(self, path: KeyPath) -> str:
        span = self.index.value_span(rrdnsd.json_path(path) if self.config.is_rrdnsd else path)
        return f"{self.file}:{self.index.place(span.start)[0]}" if span else self.file


def _without_secret(path: KeyPath, value: Any) -> Any:
    """Leave only the server of a receiver's URL: at many services whoever knows the rest may write there."""
    match path:
        case ("notify", int(), "url") if isinstance(value, str) and "://" in value:
            parts = urlsplit(value)
            return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/..."
    return value


def _worked_out(config: Config, path: KeyPath) -> Any:
    match path:
        case ("raft", "data_dir"):
            return str(config.raft.data_dir)
        case ("dns", "listen"):
            return list(config.dns.listen)
        case ("api", "listen"):
            return config.api.listen
        case ("nodes", int(number), "api" | "bind" as key):
            node: Node = config.nodes[number]
            return node.api if key == "api" else node.bind
    return None
