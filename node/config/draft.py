"""The parts of a configuration between the schema and the program, for the rules to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

from node.config.model import Node, Token
from node.config.positions import Path as KeyPath
from node.config.validate import Validated
from node.config.zones import BuiltZone
from node.health.service import Service
from node.state.pushes import Target


@dataclass(frozen=True, slots=True)
class Draft:
    """The parts of a configuration before anything stands between them and the program."""

    valid: Validated
    nodes: tuple[Node, ...]
    zones: Sequence[BuiltZone]
    services: Sequence[tuple[Service, KeyPath]]
    targets: Sequence[tuple[Target, KeyPath]]
    tokens: Sequence[Token]
