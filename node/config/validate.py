"""From parsed data to the checked tables, with a finding for every fault and not only the first.

What pydantic refuses is noted, taken out, and the rest is tried again, so that the rules can judge
what is left and a person sees everything at once.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from node.config.fields import kind_of
from node.config.findings import Finding, Findings
from node.config.messages import did_you_mean, path_text
from node.config.positions import Path
from node.config.schema import Root

ROUNDS_MAX = 50
_KINDS = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list in brackets",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}


@dataclass(frozen=True, slots=True)
class Validated:
    """The tables made of what is valid, and how they relate to what was given."""

    root: Root
    dropped: frozenset[Path]
    """What was taken out: a section, a key, an element, a key of an element, or a service's endpoint."""
    numbers: Mapping[str, list[int]]
    """For each list of tables: the original positions of the elements that are left."""

    def is_whole(self, *where: str | int) -> bool:
        """Say whether nothing was taken out at, around or below a path."""
        return not any(path[: len(where)] == where[: len(path)] for path in self.dropped)

    def path(self, section: str, number: int, *rest: str | int) -> Path:
        """Return the original path of something in an element that is left."""
        return (section, self.numbers[section][number], *rest)


def validate(data: Mapping[str, Any], findings: Findings) -> Validated:
    """Check the data against the schema; every fault becomes a finding."""
    rest: dict[str, Any] = {key: copy.deepcopy(value) for key, value in data.items()}
    numbers = {key: list(range(len(value))) for key, value in rest.items() if isinstance(value, list)}
    dropped: set[Path] = set()
    for _ in range(ROUNDS_MAX):
        try:
            return Validated(Root.model_validate(rest), frozenset(dropped), numbers)
        except ValidationError as error:
            bad = [describe(detail, rest, Root) for detail in error.errors(include_url=False)]
        if not dropped:
            findings.items += bad
        removals = {_removable(item) for item in bad}
        for path in sorted(removals, key=_removal_order):
            dropped.add(_original(path, numbers))
            _remove(rest, path, numbers)
    return Validated(Root(), frozenset((key,) for key in data), {})


def describe(detail: Any, data: Any, root: type[BaseModel]) -> Finding:
    """Turn one of pydantic's error details about ``data`` into a finding with a sentence."""
    path = _real_path(detail["loc"], data)
    kind, given, where = detail["type"], detail["input"], path_text(path)
    if kind == "extra_forbidden":
        return _unknown_key(path, root)
    if kind == "missing":
        key, table = str(path[-1]), path_text(path[:-1])
        message = f'missing required key "{key}"' + (f" in {table}" if table else "")
        return Finding(path, message, "missing-key", f"add: {key} = ...", at="key")
    if kind == "literal_error":
        words = detail["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        shown = f'"{given}"' if isinstance(given, str) else given if type(given) is int else kind_of(given)
        return Finding(
            path, f"{where}: {shown} is not possible here", "invalid-value", did_you_mean(str(given), words)
        )
    if kind in _KINDS:
        return Finding(path, f"{where}: must be {_KINDS[kind]}, not {kind_of(given)}", "wrong-type")
    if kind == "value_error":
        return Finding(path, f"{where}: {detail['ctx']['error']}", "invalid-value")
    return Finding(path, f"{where}: {detail['msg'][:1].lower()}{detail['msg'][1:]}", "invalid-value")


def _unknown_key(path: Path, root: type[BaseModel]) -> Finding:
    key, known = str(path[-1]), list(_keys_at(path[:-1], root))
    suggestion = did_you_mean(key, known)
    if suggestion.startswith("one of"):
        suggestion = f"known keys here: {suggestion.removeprefix('one of: ')}"
    elsewhere = f" in {path_text(path[:-1])}" if len(path) > 1 else ""
    return Finding(path, f'unknown key "{key}"{elsewhere}', "unknown-key", suggestion, at="key")


def _keys_at(path: Path, root: type[BaseModel]) -> Iterator[str]:
    """Yield the keys that the table at a path may have."""
    model: type[BaseModel] | None = root
    for part in path:
        if isinstance(part, str) and model is not None:
            field = model.model_fields.get(part)
            model = None if field is None else next(models_in(field.annotation), None)
    yield from () if model is None else model.model_fields


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the tables that an annotation speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)


def _real_path(location: tuple[str | int, ...], data: Any) -> Path:
    """Follow pydantic's location through the data as far as both agree; short forms end early."""
    path: Path = ()
    for position, part in enumerate(location):
        is_last = position == len(location) - 1
        if isinstance(data, dict) and isinstance(part, str) and (part in data or is_last):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        elif isinstance(data, dict) and not is_last:
            continue  # pydantic's name for one of several forms
        else:
            break
        path = (*path, part)
    return path


def _removable(item: Finding) -> Path:
    """Return what to take out so that the rest may be valid: an optional key, an element, or a table."""
    path = item.path
    if len(path) > 3 and path[0] == "services" and path[2] == "endpoints":
        return path[:4]
    depth = 3 if len(path) > 1 and isinstance(path[1], int) else 2
    key_path = path[:depth]
    if len(key_path) == depth and isinstance(key_path[-1], str) and _is_optional(key_path):
        return key_path
    return path[: depth - 1]


def _is_optional(path: Path) -> bool:
    """Say whether a key may be left out: it has a default, or nobody knows it."""
    model: type[BaseModel] | None = Root
    field = None
    for part in path:
        if isinstance(part, str) and model is not None:
            field = model.model_fields.get(part)
            model = None if field is None else next(models_in(field.annotation), None)
    return field is None or not field.is_required()


def _removal_order(path: Path) -> tuple[int, int]:
    """Sort keys of elements first, then elements from the last to the first, then the rest."""
    number = path[-1] if isinstance(path[-1], int) else 0
    return (-len(path), -number)


def _original(path: Path, numbers: Mapping[str, list[int]]) -> Path:
    if len(path) > 1 and isinstance(path[1], int) and path[0] in numbers:
        return (path[0], numbers[str(path[0])][path[1]], *path[2:])
    return path


def _remove(data: Any, path: Path, numbers: Mapping[str, list[int]]) -> None:
    """Take a key, an element or a whole table out of the data."""
    for part in path[:-1]:
        data = data[part]
    last = path[-1]
    if isinstance(data, dict):
        data.pop(last, None)
    elif isinstance(last, int):
        del data[last]
        if len(path) == 2:
            del numbers[str(path[0])][last]
