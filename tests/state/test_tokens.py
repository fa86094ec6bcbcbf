"""Tokens in the State: apply is total whatever a scope says, and what cannot be is never kept."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.state.api_tokens import ApiToken, NoteTokenUses, PutToken, RevokeToken
from node.state.command import Entry, encode, format_of
from node.state.machine import apply, apply_entry
from node.state.scopes import WORDS, BadScope, Need, allows, read_scope
from node.state.snapshot import digest, dump, load
from node.state.state import Accepted, Refused, State
from node.state.tokens import DAY_MAX, TOKENS_MAX
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


def done(state: State, command: PutToken | RevokeToken | NoteTokenUses) -> tuple[State, Accepted | Refused]:
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


ADMIN, READER = ("admin",), ("read",)


def state_of(**tokens: tuple[str, ...]) -> State:
    """Return a State with these tokens; a name that begins with "e" has an end."""
    state = State()
    for number, (name, scopes) in enumerate(tokens.items()):
        token = ApiToken(name, number.to_bytes(32), scopes, 9 if name.startswith("e") else 0)
        state, _ = done(state, PutToken(token))
    return state


def less(name: str) -> PutToken:
    """Return what makes a token one that reads."""
    return PutToken(ApiToken(name, b"\xff" * 32, READER), keeps_administrator=True)


def ending(name: str) -> PutToken:
    """Return what gives an administrator an end."""
    return PutToken(ApiToken(name, b"\xff" * 32, ADMIN, 9), keeps_administrator=True)


def gone(name: str) -> RevokeToken:
    """Return what takes a token back."""
    return RevokeToken(name, keeps_administrator=True)


@pytest.mark.parametrize(
    ("tokens", "command", "is_taken"),
    [
        ({}, less("a"), False),
        ({}, ending("a"), False),
        ({}, PutToken(ApiToken("a", b"\xff" * 32, ADMIN), keeps_administrator=True), True),
        ({"a": ADMIN}, gone("a"), True),
        ({"a": ADMIN}, less("a"), False),
        ({"a": ADMIN}, ending("a"), False),
        ({"a": ADMIN}, less("b"), True),
        ({"a": ADMIN, "b": READER}, gone("a"), False),
        ({"a": ADMIN, "b": READER}, gone("b"), True),
        ({"a": ADMIN, "e": ADMIN}, gone("a"), False),
        ({"a": ADMIN, "e": ADMIN}, gone("e"), True),
        ({"a": ADMIN, "b": ADMIN}, gone("a"), True),
        ({"e": ADMIN}, less("b"), True),
        ({"e": ADMIN}, gone("e"), True),
        ({"e": ADMIN, "b": READER}, gone("e"), True),
        ({"e": ADMIN, "e2": ADMIN}, gone("e"), True),
        ({"b": READER, "c": READER}, less("b"), True),
        ({"b": READER}, gone("b"), True),
    ],
)
def test_the_last_administrator_stays(
    tokens: dict[str, tuple[str, ...]], command: PutToken | RevokeToken, is_taken: bool
) -> None:
    """What would leave nobody who can make tokens is refused with what to do, unless another way in is known."""
    before = state_of(**tokens)
    after, result = done(before, command)
    assert is_taken == isinstance(result, Accepted)
    if isinstance(result, Refused):
        assert ("conflict", before.tokens) == (result.code, after.tokens)
        assert "qdns token create" in result.hint
    _, other = done(before, msgspec.structs.replace(command, keeps_administrator=False))
    assert [2, 1] == [
        format_of(msgspec.structs.replace(command, keeps_administrator=keeps)) for keeps in (True, False)
    ]
    assert isinstance(other, Accepted)


def test_two_at_once_leave_one() -> None:
    """Two administrators who take one another back, each having seen the other, leave the one that came first."""
    state, first = done(state_of(a=ADMIN, b=ADMIN, c=READER), gone("a"))
    state, second = done(state, gone("b"))
    assert (Accepted, Refused) == (type(first), type(second))
    assert ["b", "c"] == sorted(state.tokens)


def test_the_last_two_at_once() -> None:
    """Whoever opens loopback again by revoking the last token leaves no token that came meanwhile alone there."""
    state, _ = done(state_of(a=ADMIN), less("b"))
    state, result = done(state, gone("a"))
    assert (Refused, 2) == (type(result), len(state.tokens))
    state, _ = done(state_of(a=ADMIN), gone("a"))
    state, result = done(state, less("b"))
    assert (Refused, 0) == (type(result), len(state.tokens))


def test_the_last_use_is_the_latest_day() -> None:
    """An earlier day and a token that is gone change nothing; the rest of a token stays, and so does its index."""
    state, _ = done(State(), PutToken(ApiToken("ci", b"\x01" * 32, ("admin",))))
    before = state.tokens["ci"]
    state, result = done(state, NoteTokenUses(20_000, ("gone", "ci")))
    assert isinstance(result, Accepted)
    assert result.changed
    assert msgspec.structs.replace(before, used_day=20_000) == state.tokens["ci"]
    for day in (19_999, 20_000):
        later, result = done(state, NoteTokenUses(day, ("ci",)))
        assert (False, state.tokens) == (isinstance(result, Accepted) and result.changed, later.tokens)
    assert ["ci"] == list(state.tokens)


def test_a_day_to_come_is_corrected() -> None:
    """Who is told to correct puts an earlier day in the place of one that is later by more than a day, and of no other."""
    state, _ = done(State(), PutToken(ApiToken("ci", b"\x01" * 32, ("admin",))))
    state, _ = done(state, NoteTokenUses(30_000, ("ci",)))
    for day, corrects, expected in (
        (20_000, False, 30_000),
        (29_999, True, 30_000),
        (20_000, True, 20_000),
        (20_001, True, 20_001),
    ):
        state, _ = done(state, NoteTokenUses(day, ("ci",), corrects))
        assert expected == state.tokens["ci"].used_day


def test_another_secret_was_never_used() -> None:
    """A token that is given other scopes keeps its last use; one that is given another secret begins anew."""
    state, _ = done(State(), PutToken(ApiToken("ci", b"\x01" * 32, ("admin",))))
    state, _ = done(state, NoteTokenUses(20_000, ("ci",)))
    state, _ = done(state, PutToken(ApiToken("ci", b"\x01" * 32, ("read",))))
    assert 20_000 == state.tokens["ci"].used_day
    state, _ = done(state, PutToken(ApiToken("ci", b"\x02" * 32, ("read",))))
    assert 0 == state.tokens["ci"].used_day


@given(st.integers(-(2**63), 2**63 - 1), st.lists(st.text(max_size=5), max_size=5))
def test_noting_is_total(day: int, names: list[str]) -> None:
    """Whatever day and names, it is kept or refused, and what was noted survives a snapshot with its digest."""
    state, _ = done(State(), PutToken(ApiToken("ci", b"\x01" * 32, ("admin",))))
    state, result = done(state, NoteTokenUses(day, ("ci", *names)))
    assert isinstance(result, Accepted) == (0 < day <= DAY_MAX)
    read = load(dump(state))
    assert (state.tokens, digest(state)) == (read.tokens, digest(read))


def test_only_where_all_nodes_read_it() -> None:
    """A cluster with nodes that do not know of it takes no note."""
    state, _ = done(State(), PutToken(ApiToken("ci", b"\x01" * 32, ("admin",))))
    note = encode(Entry(NoteTokenUses(20_000, ("ci",)), 7))
    assert isinstance(apply(state, 2, note).result, Refused)
    assert isinstance(apply(msgspec.structs.replace(state, format=2), 2, note).result, Accepted)
