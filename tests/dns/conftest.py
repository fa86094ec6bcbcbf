"""Tests of answerers run over both readers of the table."""

from collections.abc import Iterator

import pytest

from node.dns import native
from tests.dns import tables


@pytest.fixture(params=["python", "native"])
def reader(request: pytest.FixtureRequest) -> Iterator[str]:
    """Let tables be read by the Python reader, then by the compiled one with the Python one behind it."""
    if request.param == "native" and native.load() is None:
        pytest.skip("the compiled reader was not built: there is no C compiler")
    tables.use_reader(request.param)
    yield request.param
    tables.use_reader("python")
