"""One run of the command line: what the common options and the environment say, and what follows."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from node.cli import terminal, times
from node.cli.faults import usage
from node.cli.output import FORMATS, Printer

if TYPE_CHECKING:
    from node.cli.client import Client
    from node.cli.event_stream import Wake

TIMEOUT_S = 5.0


@dataclass
class Settings:
    """The common options; None where nobody said anything."""

    config: Path | None = None
    api: str | None = None
    token_file: Path | None = None
    ca: Path | None = None
    timeout: float | None = None
    output: str | None = None
    no_headers: bool = False
    no_color: bool = False
    verbose: bool = False


@dataclass
class Session:
    """What every command gets: settings, the environment, a printer and a client."""

    settings: Settings = field(default_factory=Settings)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @cached_property
    def out(self) -> Printer:
        """Return the printer for standard output. Raises ``Failure`` when QDNS_OUTPUT is no format."""
        stream, _ = terminal.standard_streams()
        chosen = self.settings.output or self.environ.get("QDNS_OUTPUT") or "table"
        if chosen not in FORMATS:
            raise usage(f'QDNS_OUTPUT is "{chosen}"', f"one of: {', '.join(FORMATS)}")
        show = terminal.detect(stream, self.environ, no_color=self.settings.no_color)
        return Printer(show, chosen, headers=not self.settings.no_headers)

    @property
    def timeout_s(self) -> float:
        """Return how long to wait for a node. Raises ``Failure`` when QDNS_TIMEOUT is no duration."""
        if self.settings.timeout is not None:
            return self.settings.timeout
        try:
            return times.duration_s(self.environ.get("QDNS_TIMEOUT") or f"{TIMEOUT_S}s")
        except ValueError as error:
            raise usage(f"QDNS_TIMEOUT: {error}") from None

    @cached_property
    def client(self) -> "Client":
        """Return the client of the HTTP API. Raises ``Failure``."""
        return self.new_client()

    def new_client(self, *, timeout_s: float | None = None) -> "Client":
        """Return another one, which waits so long for a node. Raises ``Failure``."""
        from node.cli import addresses
        from node.cli.client import Client

        said = self.settings
        urls = addresses.api_urls(said.api, said.config, self.environ)
        token = addresses.token(said.token_file, self.environ)
        ca = addresses.authorities(said.ca, said.api, urls, said.config, self.environ)
        patience_s = self.timeout_s if timeout_s is None else timeout_s
        return Client(urls, token=token, timeout_s=patience_s, environ=self.environ, ca=ca)

    def wake(self) -> "Wake":
        """Return what tells a watch that something was committed."""
        from node.cli.event_stream import Wake

        return Wake(self.new_client())
