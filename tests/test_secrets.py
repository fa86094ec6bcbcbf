"""No secret ever: not in a log, an answer of the API, the data directory, or the words of a process."""

import base64
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.cluster.servers import wait_until
from tests.config.helpers import write_certificate
from tests.ports import free_port
from tests.process import Process

pytestmark = pytest.mark.real
ROOT = Path(__file__).parent.parent

CONFIG = """level = "debug"

[cluster]
name = "one"
secret = "file:raft"

[dns]
listen = ["127.0.0.1:{port}"]
tls_listen = ["127.0.0.1:{tls_port}"]
tls = { cert = "cert.pem", key = "file:key.pem" }
cookie_secret = ["file:cookie"]
allow_transfer = ["key:push"]
also_notify = ["127.0.0.1:9 key:push"]

[health]
interval = "300ms"
timeout = "200ms"
recheck = "100ms"
fail_open = "0%"

[[services]]
fqdn = "www.example.org"
healthcheck = "http://{}:9/"
endpoints = ["127.0.0.1"]

[[tsig]]
name = "push"
secret = "file:tsig"
grant = ["dyn.example.org A"]

[[push]]
name = "native"
type = "rfc2136"
server = "127.0.0.1:9"
zones = ["example.org"]
tsig = "push"

[[push]]
name = "program"
type = "rfc2136"
method = "knsupdate"
server = "127.0.0.1:9"
zones = ["example.org"]
tsig = "push"

[[push]]
name = "pdns"
type = "powerdns"
url = "http://127.0.0.1:{refusing}"
token = "file:push-token"
zones = ["example.org"]

[[notify]]
name = "hook"
type = "webhook"
url = "file:hook"
secret = "file:hook-key"
severity = "info"

[[notify]]
name = "mail"
type = "mail"
server = "127.0.0.1:9"
tls = "none"
user = "dns"
password = "env:MAIL_PASSWORD"
sender = "a@b.test"
to = "c@d.test"
severity = "info"

[[api.tokens]]
name = "admin"
token = "file:api-token"
"""


def text_secret() -> str:
    return secrets.token_hex(16)


def test_no_secret_leaves_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node with every kind of secret, whose every way out fails, at the most talkative level."""
    write_certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    refusing = free_port()
    known = {name: text_secret() for name in ("raft", "push-token", "hook-key", "api-token", "cookie")}
    known["tsig"] = base64.b64encode(secrets.token_bytes(32)).decode()
    known["hook"] = f"http://user:{text_secret()}@127.0.0.1:{refusing}/{text_secret()}?key={text_secret()}"
    password = text_secret()
    monkeypatch.setenv("MAIL_PASSWORD", password)
    process = Process(tmp_path, CONFIG.replace("{refusing}", str(refusing)), known)
    with process:
        base = f"http://127.0.0.1:{process.api}"
        wrong = text_secret()
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {known['api-token']}"

        def read(path: str) -> str:
            return session.get(base + path, timeout=10).text

        def everything_failed() -> bool:
            receivers = json.loads(read("/v1/notify")).get("items", ())
            targets = json.loads(read("/v1/push")).get("items", ())
            return {row["state"] for row in receivers} == {"failing"} and all(row["tries"] for row in targets)

        wait_until(everything_failed, "every way out has failed", 60)
        requests.get(base + "/v1/status", headers={"Authorization": f"Bearer {wrong}"}, timeout=10)
        session.post(base + "/v1/notify/hook/test", timeout=20)
        words = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        paths = ("/", "/metrics", "/openapi.json", "/healthz", "/readyz", "/health", "/v1/status", "/v1/events")
        paths += ("/v1/push", "/v1/notify", "/v1/services", "/v1/nodes", "/v1/log")
        told = "".join(map(read, paths)) + session.get(base + "/v1/backup", timeout=10).content.decode(
            "latin-1"
        )
    kept = "".join(
        path.read_bytes().decode("latin-1") for path in (tmp_path / "data").rglob("*") if path.is_file()
    )
    log = (tmp_path / "log").read_text()
    assert '"level": "debug"' in log
    parts = {part for text in known.values() for part in (text, *text.split("/"), text.partition("?key=")[2])}
    hook = known["hook"]
    parts |= {
        password,
        wrong,
        hook.partition("user:")[2].partition("@")[0],
        base64.b64decode(known["tsig"]).hex(),
    }
    parts |= {line for line in (tmp_path / "key.pem").read_text().splitlines() if "-" not in line}
    for part in sorted(part for part in parts if len(part) >= 16 and "127.0.0.1" not in part):
        found = [
            name
            for name, text in (("log", log), ("API", told), ("data", kept), ("argv", words))
            if part in text
        ]
        assert [] == found, part


def test_a_configuration_with_a_bad_secret_does_not_tell_it(tmp_path: Path) -> None:
    """Neither a check nor a start shows what it could not use."""
    secret = text_secret()
    (tmp_path / "tsig").write_text(f"{secret}!not base64")
    (tmp_path / "tsig").chmod(0o600)
    (tmp_path / "cluster.toml").write_text(
        f'[[zones]]\nname = "example.org"\n[[tsig]]\nname = "push"\nsecret = "file:tsig"\n'
        f'[[api.tokens]]\nname = "a"\ntoken = "{secret}"\n'
        f'[[notify]]\nname = "a"\ntype = "webhook"\nurl = "https://u:{secret}@hooks.test"\n'
    )
    for words in (["config", "check"], ["run"], ["config", "show"]):
        done = subprocess.run(
            [sys.executable, "-m", "node", *words, "-c", str(tmp_path / "cluster.toml")],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            timeout=60,
        )
        assert secret not in done.stdout + done.stderr
