"""Exec probes run what the local configuration names, and nothing of it is left behind."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from node.health.service import Check
from node.probe.checks import run
from node.probe.toolbox import Toolbox
from node.zone.name import from_text
from tests.probe.gallery import descriptors, eventually

FQDN = from_text("db.example.test")
CHECK = Check("exec", 0, command="it")


def shell(text):
    return ("/bin/sh", "-c", text, "it", "{}")


def probe(argv, timeout_s=3.0):
    async def play():
        toolbox = Toolbox(exec_checks={"it": argv} if argv else {})
        return await run(CHECK, FQDN, "192.0.2.1", timeout_s, toolbox)

    return asyncio.run(play())


CASES = {
    "good and silent": (shell("exit 0"), True, "exit 0"),
    "good with words": (shell("echo lag 3 s; echo more"), True, "lag 3 s"),
    "bad": (shell("echo behind; exit 2"), False, "exit 2: behind"),
    "bad and silent": (shell("echo no >&2; exit 1"), False, "exit 1"),
    "killed": (shell("kill -9 $$"), False, "killed by signal 9"),
    "the address as a word": (
        shell('echo "$1 $QDNS_ADDRESS $QDNS_NAME"'),
        True,
        "192.0.2.1 192.0.2.1 db.example.test",
    ),
    "control characters": (shell(r"printf 'a\033[31mb\n'"), True, "a [31mb"),
    "much output": (shell("yes x | head -c 1000000; exit 0"), True, "x"),
    "a long line": (shell("yes x | tr -d '\\n' | head -c 100000; exit 0"), True, "x" * 200),
    "a secret of ours": (shell('echo "[$SECRET]"'), True, "[]"),
}


@pytest.mark.parametrize("name", CASES)
def test_exec(name, monkeypatch):
    """Exit 0 is up; the first line of output is the evidence; the environment is not handed on."""
    monkeypatch.setenv("SECRET", "hidden")
    argv, up, evidence = CASES[name]
    result = probe(argv)
    assert (up, evidence, True) == (result.up, result.evidence, result.tried)


def test_a_name_that_is_not_configured_is_evidence_of_nothing():
    """A node without the program has no opinion."""
    result = probe(None)
    assert (False, False, "this node has no exec check it") == (result.up, result.tried, result.evidence)


def test_a_program_that_is_not_there_is_evidence_of_nothing():
    """A program that cannot be started says nothing of the endpoint."""
    result = probe(("/nowhere/at/all",))
    assert (False, False) == (result.up, result.tried)
    assert "/nowhere/at/all cannot be run" in result.evidence


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("how", ["deadline", "given up"])
def test_the_whole_group_is_killed(how, tmp_path):
    """At the deadline, and when the probe is given up, the program and its children end."""
    note = tmp_path / "pids"
    argv = shell(f"echo $$ >{note}; sleep 60 & echo $! >>{note}; trap '' TERM; wait; sleep 60")

    async def play():
        toolbox = Toolbox(exec_checks={"it": argv})
        task = asyncio.create_task(run(CHECK, FQDN, "192.0.2.1", 0.5 if how == "deadline" else 60, toolbox))
        await eventually(lambda: note.exists() and len(note.read_text().split()) == 2)
        if how == "deadline":
            result = await task
            assert (False, "no end within 500 ms", True) == (result.up, result.evidence, result.tried)
        else:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        pids = note.read_text().split()
        await eventually(lambda: not any(is_alive(pid) for pid in pids))

    before = descriptors()
    asyncio.run(play())
    assert descriptors() <= before


def test_a_probe_given_up_while_it_starts_leaves_nothing(tmp_path):
    """Whenever the probe is given up, also before the program is known to run, its group is killed."""
    note = tmp_path / "pids"
    argv = shell(f"echo $$ >>{note}; sleep 60 & echo $! >>{note}; wait")

    async def play():
        toolbox = Toolbox(exec_checks={"it": argv})
        for turns in range(12):
            task = asyncio.create_task(run(CHECK, FQDN, "192.0.2.1", 60, toolbox))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        pids = note.read_text().split() if note.exists() else []
        await eventually(lambda: not any(is_alive(pid) for pid in pids))

    before = descriptors()
    asyncio.run(play())
    assert descriptors() <= before


def test_children_left_behind_are_killed(tmp_path):
    """A program that ends well but leaves a child does not keep it."""
    note = tmp_path / "pid"
    result = probe(shell(f"sleep 60 >/dev/null & echo $! >{note}; echo fine"))
    assert (True, "fine") == (result.up, result.evidence)
    asyncio.run(eventually(lambda: not is_alive(note.read_text().strip())))


def test_no_file_of_ours_is_inherited():
    """The program gets no descriptor but its standard ones."""
    with Path(os.devnull).open():
        code = "import os; print(sorted(int(x) for x in os.listdir('/proc/self/fd'))[:4])"
        result = probe((sys.executable, "-c", code))
    assert (True, "[0, 1, 2, 3]") == (result.up, result.evidence)
