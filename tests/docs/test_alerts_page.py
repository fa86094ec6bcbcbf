"""Every alert that there is has a line that says what to do, and none is made up; links lead somewhere."""

import re

from tests.docs.commands import PAGES, ROOT

ROWS = [line for line in (ROOT / "docs" / "alerts.md").read_text().split("\n") if line.startswith("| `")]


def test_every_alert_is_explained() -> None:
    """The first column names them; each line has something in all three."""
    named = {name for row in ROWS for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert set(re.findall(r"alert: (\w+)", (ROOT / "deploy" / "alerts.yml").read_text())) == named
    for row in ROWS:
        assert 3 == len([cell for cell in row.strip("|").split("|") if cell.strip()]), row


def test_the_pages_that_are_linked_exist() -> None:
    """No link of any page leads to a file or a picture that is missing."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), (page.name, target)
