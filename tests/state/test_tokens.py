"""Tokens in the State: apply is total whatever a scope says, and what cannot be is never kept."""

from hypothesis import given
from hypothesis import strategies as st

from node.state.api_tokens import ApiToken, PutToken, RevokeToken
from node.state.command import Entry
from node.state.machine import apply_entry
from node.state.scopes import WORDS, BadScope, Need, allows, read_scope
from node.state.state import Accepted, Refused, State
from node.state.tokens import TOKENS_MAX
from node.zone.name import from_text

SCOPES = st.one_of(
    st.text(max_size=40),
    st.builds(
        lambda word, key, value: f"{word} {key}={value}",
        st.sampled_from((*WORDS, "")),
        st.sampled_from(("zone", "name", "type", "x")),
        st.text(max_size=12),
    ),
)


def done(state: State, command: PutToken | RevokeToken) -> tuple[State, Accepted | Refused]:
    """Apply one command."""
    applied = apply_entry(state, state.index + 1, Entry(command, 7, "admin"))
    return applied.state, applied.result


@given(st.text(max_size=70), st.binary(max_size=33), st.lists(SCOPES, max_size=18), st.integers())
def test_apply_is_total(name: str, digest: bytes, scopes: list[str], expires_ms: int) -> None:
    """Whatever a token says, it is kept or refused with a sentence; a kept one has scopes that can be read."""
    state, result = done(State(), PutToken(ApiToken(name, digest, tuple(scopes), expires_ms)))
    assert isinstance(result, Accepted) == bool(state.tokens)
    for scope in scopes if isinstance(result, Accepted) else ():
        read_scope(scope)


@given(SCOPES)
def test_a_scope_is_read_or_grants_nothing(text: str) -> None:
    """A text that cannot be read as a scope allows nothing, not even reading."""
    try:
        read_scope(text)
    except BadScope:
        assert not allows([text], Need("read"))
    else:
        assert allows([text], Need("read")) or "=" in text


def test_conditions() -> None:
    """A need without a name is about all of a zone, and a scope with a name is not enough for it."""
    zone, name = from_text("example.org"), from_text("a.example.org")
    narrow = ["records:write zone=example.org name=*.example.org type=A,TXT"]
    assert allows(narrow, Need("records:write", zone, name, 1))
    assert not allows(narrow, Need("records:write", zone, name, 28))
    assert not allows(narrow, Need("records:write", zone, name, 255))
    assert not allows(narrow, Need("records:write", zone))
    assert not allows(narrow, Need("records:write", from_text("example.net"), name, 1))
    assert allows(["records:write zone=example.org"], Need("records:write", zone))
    assert not allows(["records:write zone=example.org"], Need("records:write"))


def test_there_is_a_limit() -> None:
    """Tokens are so many; a further one is refused, and one that is there can still be changed."""
    state = State()
    for number in range(TOKENS_MAX):
        state, _ = done(state, PutToken(ApiToken(f"t{number}", number.to_bytes(32), ("read",))))
    state, result = done(state, PutToken(ApiToken("more", b"\xff" * 32, ("read",))))
    assert (TOKENS_MAX, "conflict") == (len(state.tokens), getattr(result, "code", None))
    state, result = done(state, PutToken(ApiToken("t1", (1).to_bytes(32), ("write",))))
    assert isinstance(result, Accepted)
    state, result = done(state, RevokeToken("t1"))
    assert isinstance(result, Accepted)
    assert "t1" not in state.tokens
