"""Every way of telling: what is sent, when it counts as taken, and what a bad receiver cannot do."""

import asyncio
import dataclasses
import email
import email.policy
import hashlib
import hmac
import json
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from node.notify import mail, script, webhook
from node.notify.mail import message_of, send_mail
from node.notify.notice import NotAccepted, Notice, of_our_own
from node.notify.script import run_script
from node.notify.settings import Mail, Script, Webhook
from node.notify.webhook import send_webhook
from node.state.state import Event
from tests.cluster.servers import wait_until

DOWN = Event(
    48_190,
    2,
    1_700_000_000_000,
    "verdict.changed",
    "www.example.com 192.0.2.10",
    "up -> down (2 of 3)",
    data={"service": "www.example.com.", "endpoint": "192.0.2.10", "before": "up", "after": "down"},
)
NOTICE = Notice("prod", DOWN)
SECRET = b"a secret that nobody knows"


# --- webhook --------------------------------------------------------------------------------------


class Hook:
    """A web server that answers as it is told."""

    def __init__(self, status: int = 204, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                octets = self.rfile.read(int(self.headers["Content-Length"]))
                hook.requests.append(({key.lower(): value for key, value in self.headers.items()}, octets))
                self.send_response(status)
                for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook?key=hidden"


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_webhook_is_json_signed_and_known_by_its_key() -> None:
    """The signature is over time and body; the body says all that the event does."""
    hook = Hook()
    with serving(hook.server):
        for _ in range(2):
            asyncio.run(send_webhook(Webhook(hook.url, SECRET), NOTICE, "ns1", lambda: 1_700_000_007.9))
    (headers, body), (again, repeated) = hook.requests
    assert ("48190-2", "endpoint.down", "ns1") == tuple(
        headers[key] for key in ("idempotency-key", "qdns-event", "qdns-node")
    )
    digest = hmac.new(SECRET, b"1700000007." + body, hashlib.sha256).hexdigest()
    assert f"t=1700000007,v1={digest}" == headers["qdns-signature"]
    said = json.loads(body)
    assert (48190, "endpoint.down", "warning", "problem", "2023-11-14T22:13:20.000+00:00") == tuple(
        said[key] for key in ("index", "event", "severity", "phase", "at")
    )
    assert DOWN.data == said["data"]
    assert (body, headers["idempotency-key"]) == (repeated, again["idempotency-key"])


@pytest.mark.parametrize(
    ("status", "is_its_fault"),
    [(400, True), (404, False), (422, True), (429, False), (500, False), (302, False)],
)
def test_only_2xx_is_taken(status: int, is_its_fault: bool) -> None:
    """Some statuses say that this very notice will never be taken; none are followed elsewhere."""
    elsewhere = Hook()
    hook = Hook(status, {"Location": elsewhere.url}, b"because\x1b[31m of\nthis")
    with serving(elsewhere.server), serving(hook.server), pytest.raises(NotAccepted) as caught:
        asyncio.run(send_webhook(Webhook(hook.url), NOTICE, "ns1"))
    assert (is_its_fault, []) == (caught.value.is_its_fault, elsewhere.requests)
    assert f"the receiver answered HTTP {status}: because [31m of this" == str(caught.value)
    assert "hidden" not in str(caught.value)


def test_a_receiver_that_is_not_there_or_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of the failure holds nothing of the URL, which may be secret."""
    monkeypatch.setattr(webhook, "READ_TIMEOUT_S", 0.1)

    class Silent(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            done.wait(5)

    done = threading.Event()
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Silent)
    address = f"http://127.0.0.1:{server.server_address[1]}/hidden"
    with serving(server):
        with pytest.raises(NotAccepted, match="does not answer in time") as silent:
            asyncio.run(send_webhook(Webhook(address), NOTICE, "ns1"))
        done.set()
    with pytest.raises(NotAccepted, match="cannot be reached") as gone:
        asyncio.run(send_webhook(Webhook(address), NOTICE, "ns1"))
    assert "hidden" not in str(silent.value) + str(gone.value)


# --- script ---------------------------------------------------------------------------------------


def python(code: str, *words: str) -> Script:
    return Script((sys.executable, "-c", code, *words))


def test_a_script_gets_the_notice_and_little_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON on standard input, the most important in the environment, nothing of ours, no shell."""
    monkeypatch.setenv("OUR_SECRET", "hunter2")
    out = tmp_path / "out"
    code = "import os,sys,json; json.dump([dict(os.environ), json.load(sys.stdin), sys.argv[1:]], open(sys.argv[1],'w'))"
    assert "exit 0" == asyncio.run(run_script(python(code, str(out), "$(touch x); *"), NOTICE))
    environment, body, words = json.loads(out.read_text())
    assert "OUR_SECRET" not in environment
    expected = ("endpoint.down", "warning", "problem", "48190-2", "192.0.2.10")
    keys = ("QDNS_EVENT", "QDNS_SEVERITY", "QDNS_PHASE", "QDNS_ID", "QDNS_ENDPOINT")
    assert expected == tuple(environment[key] for key in keys)
    assert (NOTICE.body(), [str(out), "$(touch x); *"]) == (body, words)


def test_a_script_that_fails_says_why() -> None:
    """Its exit code refuses, its output is evidence; one that reads nothing is none the worse for it."""
    with pytest.raises(NotAccepted, match="ended with 3: no way out"):
        asyncio.run(run_script(python("print('no way\\n out' + ' '*100000); raise SystemExit(3)"), NOTICE))
    with pytest.raises(NotAccepted, match="cannot be run: No such file"):
        asyncio.run(run_script(Script(("/nowhere/at/all",)), NOTICE))


def test_a_script_that_does_not_end_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it started goes, too."""
    monkeypatch.setattr(script, "DEADLINE_S", 1.0)
    out = tmp_path / "pid"
    code = f"""import subprocess,sys
child = subprocess.Popen(['sleep', '60'])
open({str(out)!r}, 'w').write(str(child.pid))
child.wait()"""
    with pytest.raises(NotAccepted, match="did not end within 1 s"):
        asyncio.run(run_script(python(code), NOTICE))
    stat = Path(f"/proc/{out.read_text()}/stat")
    wait_until(lambda: not stat.exists() or stat.read_text().split()[2] == "Z", "the child is killed")


# --- mail -----------------------------------------------------------------------------------------


class MailServer(socketserver.ThreadingTCPServer):
    """A server that takes mail, or refuses at one of the steps."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, refuse: str = "", extension: str = "") -> None:
        self.messages: list[bytes] = []
        self.lines: list[bytes] = []
        owner = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.say("220 here" if refuse != "GREETING" else "421 4.3.2 closing\x1b[0m")
                while line := self.rfile.readline():
                    owner.lines.append(line)
                    word = line.split()[0].upper().decode()
                    if word == refuse:
                        self.say("550 5.7.1 not you")
                    elif word == "EHLO":
                        self.say(f"250-here\r\n250-{extension}\r\n250 SIZE" if extension else "250 here")
                    elif word == "DATA":
                        self.say("354 go on")
                        self.take()
                        self.say("250 taken")
                    elif word == "AUTH":
                        self.say("235 hello")
                    elif word == "HANG":
                        return
                    else:
                        self.say("250 ok" if word != "QUIT" else "221 bye")

            def take(self) -> None:
                octets = b""
                while (line := self.rfile.readline()) != b".\r\n":
                    octets += line
                owner.messages.append(octets)

            def say(self, text: str) -> None:
                self.wfile.write(text.encode() + b"\r\n")

        super().__init__(("127.0.0.1", 0), Handler)

    def way(self, **fields: Any) -> Mail:
        port = self.server_address[1]
        return Mail(
            "127.0.0.1", port, "none", "dns@example.net", ("ops@example.net", "b@example.net"), **fields
        )


def test_a_mail_says_all_and_is_the_same_when_it_comes_twice() -> None:
    """Several notices are one message; nothing of an event can add a header."""
    evil = Notice(
        "prod", of_our_own("notice.test", 7, 1_700_000_000_000, "x\r\nBcc: evil@test", "a\n\n.\nb", "k")
    )
    with serving(server := MailServer()):
        assert "2 in a mail" == asyncio.run(send_mail(server.way(), [evil, NOTICE]))
        asyncio.run(send_mail(server.way(), [evil, NOTICE]))
    first, second = server.messages
    assert first == second
    message = email.message_from_bytes(first, policy=email.policy.default)
    assert "[prod] notice.test x Bcc: evil@test: a . b and 1 more" == message["Subject"]
    assert None is message["Bcc"]
    assert ("dns@example.net", "ops@example.net, b@example.net", "auto-generated") == (
        message["From"],
        message["To"],
        message["Auto-Submitted"],
    )
    lines = message.get_content().splitlines()
    assert 2 == len(lines)
    assert "endpoint.down www.example.com 192.0.2.10: up -> down (2 of 3)" in lines[1]
    assert sorted([b"rcpt TO:<ops@example.net>\r\n", b"rcpt TO:<b@example.net>\r\n"] * 2) == sorted(
        line for line in server.lines if line.startswith(b"rcpt")
    )


@pytest.mark.parametrize(
    ("refuse", "text"),
    [
        ("GREETING", "the mail server said 421: 4.3.2 closing [0m"),
        ("MAIL", "the mail server said 550: 5.7.1 not you"),
        ("RCPT", "the mail server refuses ops@example.net, b@example.net"),
        ("DATA", "the mail server said 550: 5.7.1 not you"),
        ("AUTH", "the mail server said 550: 5.7.1 not you"),
    ],
)
def test_a_refused_mail_is_no_mail(refuse: str, text: str) -> None:
    """Whatever step is refused; what the server says is told, the password never."""
    fields = {"user": "u", "password": "hunter2hunter2"} if refuse == "AUTH" else {}
    with serving(server := MailServer(refuse, "AUTH PLAIN")), pytest.raises(NotAccepted) as caught:
        asyncio.run(send_mail(server.way(**fields), [NOTICE]))
    assert text == str(caught.value)


def test_a_mail_server_without_tls_gets_no_password() -> None:
    """STARTTLS is asked for by default; a server that has none gets nothing."""
    server = MailServer()
    way = dataclasses.replace(server.way(user="u", password="hunter2hunter2"), tls="starttls")
    with serving(server), pytest.raises(NotAccepted, match="cannot be used"):
        asyncio.run(send_mail(way, [NOTICE]))
    assert not any(b"AUTH" in line for line in server.lines)


def test_a_mail_server_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line a moment keeps no thread for ever."""
    monkeypatch.setattr(mail, "DEADLINE_S", 0.5)
    ended = threading.Event()

    class Drip(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                while not ended.wait(0.05):
                    self.wfile.write(b"220-more\r\n")
            except OSError:
                ended.set()

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Drip)
    server.daemon_threads = True
    way = Mail("127.0.0.1", server.server_address[1], "none", "a@b", ("c@d",))
    with serving(server), pytest.raises(NotAccepted, match="does not answer in time"):
        asyncio.run(send_mail(way, [NOTICE]))
    assert ended.wait(5)


def test_a_message_needs_no_server_to_be_made() -> None:
    """One notice has no word of more."""
    way = Mail("127.0.0.1", 25, "none", "a@b", ("c@d",))
    assert message_of(way, [NOTICE])["Subject"].endswith("(2 of 3)")
