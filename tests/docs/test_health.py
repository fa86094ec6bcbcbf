"""The configuration in docs/health.md is accepted as it is printed."""

import re
from pathlib import Path

from tests.config.helpers import accepted

TEXT = (Path(__file__).parent.parent.parent / "docs/health.md").read_text("utf-8")


def test_the_example_is_accepted() -> None:
    """Both services come of it, with their checks."""
    (example,) = re.findall(r"^```toml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    config = accepted(example)
    assert ["https", "composite"] == [each.check.kind for each in config.services]
    assert {"queue"} == set(config.checks.exec_checks)
