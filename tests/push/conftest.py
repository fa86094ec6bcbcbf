"""Real name servers, started when a test asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.push.servers import Knot, Named, NameServer, PowerDns


@pytest.fixture(name="server", params=[Knot, Named, PowerDns], ids=["knotd", "named", "pdns"])
def _server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NameServer]:
    server: NameServer = request.param(tmp_path / "server")
    server.start()
    yield server
    server.stop()


@pytest.fixture(name="knot")
def _knot(tmp_path: Path) -> Iterator[NameServer]:
    server = Knot(tmp_path / "knot")
    server.start()
    yield server
    server.stop()
