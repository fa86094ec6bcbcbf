"""Who administers a cluster for a time only is told before that time is over."""

import pytest

from node.api.context import Token
from node.api.status import build
from node.api.token_problems import LEFT_DAYS, find_token_problems
from node.api.views import DAY_MS
from node.state.api_tokens import ApiToken, PutToken
from tests.api.conftest import NOW_MS, FakeCluster

READER, ADMIN = ("read",), ("admin",)


@pytest.mark.parametrize(
    ("tokens", "in_file", "found"),
    [
        ([], [], []),
        ([(READER, 0)], [], []),
        ([(ADMIN, 0)], [], []),
        ([(ADMIN, 0), (ADMIN, NOW_MS + DAY_MS)], [], []),
        ([(ADMIN, NOW_MS + DAY_MS)], [ADMIN], []),
        ([(ADMIN, NOW_MS + DAY_MS)], [READER], [("administrator_ends", "warning")]),
        ([(ADMIN, NOW_MS + (LEFT_DAYS + 1) * DAY_MS)], [], [("administrator_ends", "note")]),
        ([(ADMIN, NOW_MS), (READER, 0)], [], [("no_administrator", "warning")]),
    ],
)
def test_administrators_that_end(
    cluster: FakeCluster,
    tokens: list[tuple[tuple[str, ...], int]],
    in_file: list[tuple[str, ...]],
    found: list[tuple[str, str]],
) -> None:
    """The last end that counts is told of, soon enough as a warning; no sentence names a token."""
    for number, (scopes, end_ms) in enumerate(tokens):
        cluster.do(PutToken(ApiToken(f"secret-{number}", number.to_bytes(32), scopes, end_ms)))
    file_tokens = [Token("file", "00" * 32, scopes) for scopes in in_file]
    told = list(find_token_problems(cluster.state, file_tokens, NOW_MS))
    assert found == [(code, severity) for code, severity, _, _ in told]
    assert not any("secret-" in text for _, _, text, _ in told)


def test_the_status_tells(cluster: FakeCluster) -> None:
    """It stands among the problems of the status, with what to do; the doctor passes these on."""
    cluster.do(PutToken(ApiToken("boss", b"\x01" * 32, ADMIN, NOW_MS + DAY_MS)))
    (problem,) = [
        each for each in build(cluster.context(), {})["problems"] if each["code"] == "administrator_ends"
    ]
    assert "ends on 2023-11-15" in problem["text"]
    assert ["qdns", "token", "create", "NAME", "--scope", "admin"] == problem["next"]
