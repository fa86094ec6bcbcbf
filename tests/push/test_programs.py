"""Pushes by the programs nsupdate and knsupdate."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from node.push import programs
from node.push.delivery import Terms, deliver
from node.push.errors import PushError
from node.push.orders import Order, Replacement, ZonePlan
from node.push.programs import Program
from node.push.rfc2136 import Server
from node.push.settings import TsigSecret
from tests.ports import free_port
from tests.push.lab import WWW, ZONE, A, rrset
from tests.push.servers import KEY_NAME, SECRET, WRONG_SECRET, NameServer, found
from tests.push.test_rfc2136 import order, put


@pytest.fixture(name="program", params=["nsupdate", "knsupdate"])
def _program(request: pytest.FixtureRequest) -> str:
    found(request.param)
    return str(request.param)


def made(program: str, address: str, secret: str = SECRET, name: str = KEY_NAME) -> Program:
    return Program(program, Server(address, name, TsigSecret("hmac-sha256", secret)))


def push(carrier: Program, *orders: Order, **terms: Any) -> tuple[Replacement, ...]:
    async def no_guard() -> None:
        pass

    return asyncio.run(deliver(carrier, ZonePlan(ZONE, orders), Terms(**{"plan": 1, **terms}), no_guard))


@pytest.mark.real
def test_what_is_ordered_stands(server: NameServer, program: str) -> None:
    """A script makes the RRset exactly what was ordered, and leaves what is not ours."""
    put(server, rrset("www", "A", "198.51.100.7"))
    carrier = made(program, server.address)
    push(carrier, order("192.0.2.1", "192.0.2.2"))
    assert ["192.0.2.1", "192.0.2.2", "198.51.100.7"] == server.ask("www.example.org")
    push(carrier, order(known=("192.0.2.1", "192.0.2.2")))
    assert ["198.51.100.7"] == server.ask("www.example.org")
    assert () == push(carrier, order(known=("192.0.2.1",)))


@pytest.mark.real
def test_texts_and_large_scripts(server: NameServer, program: str) -> None:
    """Quotes, semicolons and backslashes in rdatas are data, and a hundred RRsets go in several scripts."""
    text = rrset("text", "TXT", r'"a \"b\" ; c \\ d" "e"', r'"\010send"')
    given = [Order(text.name, text.type, text.ttl, text.rdatas, text.rdatas)]
    given += [order(f"192.0.2.{number}", name=f"host{number}") for number in range(60)]
    assert 61 == len(push(made(program, server.address), *given))
    assert () == push(made(program, server.address), *given)


@pytest.mark.real
def test_a_concurrent_writer_and_a_wildcard(server: NameServer, program: str) -> None:
    """Failed prerequisites are told by the programs' words and lead to reading again."""
    stale = Replacement(WWW, A, rrset("www", "A", "198.51.100.9"), rrset("www", "A", "192.0.2.1"))
    with pytest.raises(PushError) as caught:
        asyncio.run(made(program, server.address).replace(ZONE, [stale]))
    assert "conflict" == caught.value.kind
    push(made(program, server.address), order("192.0.2.1", name="a.wild"))
    assert ["192.0.2.1"] == server.ask("a.wild.example.org")


@pytest.mark.real
def test_a_fence(server: NameServer, program: str) -> None:
    """The sentinel rises with each plan, and an older plan is stale."""
    push(made(program, server.address), order("192.0.2.1"), plan=7, fence=True)
    with pytest.raises(PushError, match="plan 7 stands there"):
        push(made(program, server.address), order("192.0.2.2"), plan=6, fence=True)


@pytest.mark.real
@pytest.mark.parametrize(
    ("secret", "name", "code"), [(WRONG_SECRET, KEY_NAME, "bad-signature"), (SECRET, "nobody", "bad-key")]
)
def test_a_wrong_key_is_permanent(server: NameServer, program: str, secret: str, name: str, code: str) -> None:
    """The programs' exit codes and words for a refused signature are understood."""
    change = Replacement(WWW, A, None, rrset("www", "A", "192.0.2.1"))
    with pytest.raises(PushError) as caught:
        asyncio.run(made(program, server.address, secret, name).replace(ZONE, [change]))
    assert ("permanent", True) == (caught.value.kind, caught.value.code in (code, "refused"))


@pytest.mark.real
def test_no_key_and_no_server(server: NameServer, program: str) -> None:
    """A refused update is permanent, a server that is not there is tried again."""
    change = Replacement(WWW, A, None, rrset("www", "A", "192.0.2.1"))
    with pytest.raises(PushError) as caught:
        asyncio.run(Program(program, Server(server.address)).replace(ZONE, [change]))
    assert ("permanent", True) == (caught.value.kind, caught.value.code in ("refused", "not-auth"))
    with pytest.raises(PushError) as caught:
        asyncio.run(made(program, f"127.0.0.1:{free_port()}").replace(ZONE, [change]))
    assert ("retryable", True) == (caught.value.kind, caught.value.code in ("closed", "silent"))


def fake(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Put a program of ours in the place of nsupdate."""
    path = folder / "nsupdate"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def replace() -> None:
    change = Replacement(WWW, A, rrset("www", "A", "192.0.2.9"), rrset("www", "A", "192.0.2.1", ttl=5))
    asyncio.run(made("nsupdate", "192.0.2.53:5353").replace(ZONE, [change]))


def test_the_secret_goes_in_by_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments hold options alone; the script holds the key, the prerequisites, the changes, and ends with send."""
    fake(tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/words; cat > {tmp_path}/script')
    replace()
    assert "-t 3 -u 1 -r 1\n" == (tmp_path / "words").read_text()
    assert [
        "server 192.0.2.53 5353",
        "zone example.org.",
        f"key hmac-sha256:push. {SECRET}",
        "prereq yxrrset www.example.org. IN A 192.0.2.9",
        "update delete www.example.org. A",
        "update add www.example.org. 5 IN A 192.0.2.1",
        "send",
    ] == (tmp_path / "script").read_text().splitlines()


def test_a_program_that_hangs_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deadline ends the whole process group."""
    monkeypatch.setattr(programs, "DEADLINE_S", 0.3)
    fake(tmp_path, monkeypatch, f"sleep 600 & echo $! > {tmp_path}/child; wait")
    with pytest.raises(PushError, match="did not end"):
        replace()
    child = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
    assert not child.exists() or child.read_text().split()[2] == "Z"


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("echo 'update failed: REFUSED' >&2; exit 2", "permanent", "refused"),
        ("echo 'update failed: SERVFAIL' >&2; exit 2", "retryable", "server-failure"),
        ("echo 'update failed: NXRRSET' >&2; exit 2", "conflict", "conflict"),
        ("echo 'syntax error' >&2; exit 1", "retryable", "program"),
        ("echo '; Communication with 192.0.2.53#5353 failed: timed out' >&2; exit 2", "retryable", "silent"),
        ("kill -SEGV $$", "retryable", "program"),
        ("exit 7", "retryable", "program"),
    ],
)
def test_what_a_program_says_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, kind: str, code: str
) -> None:
    """Exit codes and words become kinds of errors; no secret is in a text."""
    fake(tmp_path, monkeypatch, f"cat > /dev/null; {text}")
    with pytest.raises(PushError) as caught:
        replace()
    assert (kind, code) == (caught.value.kind, caught.value.code)
    assert SECRET not in str(caught.value)


def test_a_program_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A missing program is told by its name."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "_PLACES", str(tmp_path))
    with pytest.raises(PushError, match="nsupdate is not installed"):
        replace()
