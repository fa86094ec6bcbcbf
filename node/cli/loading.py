"""Reading the configuration for commands that need all of it; faults become one failure, exit code 3."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from node.cli.faults import ConfigFailure

if TYPE_CHECKING:
    from node.config import Config


def load_config(
    path: Path | None, environ: Mapping[str, str], node: str | None, *, needs_node: bool = True
) -> "Config":
    """Load and check the configuration, as ``node.config.load`` does. Raises ``ConfigFailure`` with every fault."""
    from node.config import ConfigError, load

    try:
        return load(path, environ, node, needs_node=needs_node)
    except ConfigError as error:
        raise ConfigFailure(error.render()) from None
