"""A pusher that stood still while the cluster went on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.push.servers import NameServer
from tests.push.test_rfc2136 import carrier, order, push

pytestmark = pytest.mark.real
ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("newer", ["192.0.2.1", "192.0.2.2"])
def test_a_stopped_pusher_changes_nothing_when_it_goes_on(server: NameServer, newer: str) -> None:
    """SIGSTOP before sending plan 7, plan 8 goes out, SIGCONT: plan 7 fails at the server.

    Also when plan 8 asks for just what stood there before, so that only the sentinel tells of it.
    """
    known = ("192.0.2.1", "192.0.2.2", "192.0.2.9")
    push(carrier(server), order("192.0.2.1", known=known), plan=6, fence=True)
    words = [sys.executable, "-m", "tests.push.late_pusher", server.address, "7", "192.0.2.9", "192.0.2.1"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as late:
        try:
            _, status = os.waitpid(late.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            push(carrier(server), order(newer, known=known), plan=8, fence=True)
            late.send_signal(signal.SIGCONT)
            output, _ = late.communicate(timeout=20)
        finally:
            late.kill()
    assert "stale" == output.strip()
    assert [newer] == server.ask("www.example.org")
    assert ['"plan=8"'] == server.ask("_quorumdns.example.org", "TXT")
