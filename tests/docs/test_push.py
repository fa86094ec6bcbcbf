"""The page on publishing is run: every type of target, the servers' side, and the commands."""

import asyncio
import contextlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from node.config import Config
from node.plan import plan_of
from node.push.carriers import carrier_for
from node.push.delivery import Terms, deliver
from node.push.orders import Order, ZonePlan
from node.push.providers import hetzner
from node.push.settings import PusherSettings
from node.state.pushes import Target
from tests.cluster.servers import wait_until
from tests.config.helpers import LONE, accepted
from tests.docs.test_readme import QDNS, ROOT
from tests.process import Process
from tests.push.fakes import FAKES, Fake
from tests.push.lab import WWW, ZONE, A, addresses
from tests.push.servers import SECRET, Knot, Named, NameServer, PowerDns

PAGE = (ROOT / "docs" / "push.md").read_text()
SERVICE = '[[services]]\nfqdn = "www.example.org"\nzone = "example.org"\nhealthcheck = "push://1h"\nendpoints = ["192.0.2.1", "192.0.2.2"]\n'


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def configured(folder: Path, text: str) -> Config:
    """Load a block with every secret that it names."""
    for name in re.findall(r'"file:([^"]+)"', text):
        kind = name.partition("-")[0]
        secret = FAKES[kind].token if kind in FAKES and name != "pdns-key" else "a-token-for-tests"
        (folder / name).write_text(SECRET if name == "push-key" else secret)
        (folder / name).chmod(0o600)
    return accepted(LONE + SERVICE + text, base=folder)


def push(target: Target, settings: PusherSettings) -> int:
    """Push one RRset; return how many were replaced."""

    async def no_guard() -> None:
        pass

    async def main() -> int:
        order = Order(WWW, A, 5, addresses("192.0.2.1", "192.0.2.2"), addresses("192.0.2.1", "192.0.2.2"))
        with contextlib.closing(carrier_for(target, settings)) as carrier:
            terms = Terms(7, target.own, target.fence)
            return len(await deliver(carrier, ZonePlan(ZONE, (order,)), terms, no_guard))

    return asyncio.run(main())


def test_every_service_of_the_page_takes_a_push(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each example, with the token that its file holds, against a service that behaves as documented."""
    monkeypatch.setattr(hetzner, "ACTION_POLL_S", 0.001)
    config = configured(tmp_path, blocks("toml")[1])
    plan = plan_of(config, {})
    assert sorted(FAKES) == sorted(target.kind for target in config.targets)
    for target in config.targets:
        fake: Fake = FAKES[target.kind]()
        with fake.running() as url:
            there = msgspec.structs.replace(target, url=url)
            assert 1 == push(there, PusherSettings(tokens=plan.push_tokens)), target.kind
        assert ["192.0.2.1", "192.0.2.2"] == sorted(fake.rrsets["www.example.org", "A"][1])
    named = set(re.findall(r"`(\w+)`", PAGE.partition("| type | changes |")[2].partition("\n\n")[0]))
    assert set(FAKES) == named


class PagedNamed(Named):
    """BIND with the block of the page."""

    def write(self) -> None:
        super().write()
        text = (self.folder / "named.conf").read_text().partition("key push")[0]
        (block,) = blocks("named")
        block = block.replace("SECRET", SECRET).replace("example.org.zone", str(self.folder / "zone"))
        (self.folder / "named.conf").write_text(text + block)


class PagedKnot(Knot):
    """Knot with the block of the page."""

    def write(self) -> None:
        super().write()
        text = (self.folder / "knot.conf").read_text().partition("key:\n")[0]
        (block,) = blocks("knot")
        block = block.replace("SECRET", SECRET).replace(
            "example.org.zone", str(self.folder / "zones" / "example.org.zone")
        )
        (self.folder / "knot.conf").write_text(text + block)


class PagedPowerDns(PowerDns):
    """PowerDNS prepared with the commands of the page."""

    def _tool(self, *words: str) -> None:
        if words[0] == "load-zone":
            super()._tool(*words)
            for line in blocks("sh")[0].replace("SECRET", SECRET).splitlines():
                super()._tool(*line.split()[1:])


@pytest.fixture(name="server", params=[PagedNamed, PagedKnot, PagedPowerDns])
def _server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NameServer]:
    server: NameServer = request.param(tmp_path / "server")
    server.start()
    yield server
    server.stop()


@pytest.mark.real
@pytest.mark.parametrize("method", ["native", "nsupdate", "knsupdate"])
def test_the_servers_of_the_page_take_a_push(server: NameServer, tmp_path: Path, method: str) -> None:
    """As configured there, by each of the three methods; fenced by the one that can."""
    config = configured(tmp_path, blocks("toml")[0])
    plan = plan_of(config, {})
    (target,) = config.targets
    fence = method == "native"
    there = msgspec.structs.replace(target, server=server.address, method=method, fence=fence)
    assert push(there, PusherSettings(tsig=plan.tsig)) >= 1
    assert ["192.0.2.1", "192.0.2.2"] == server.ask("www.example.org")
    assert (['"plan=7"'] if fence else []) == server.ask("_quorumdns.example.org", "TXT")


@pytest.mark.real
@pytest.mark.skipif(not QDNS.exists(), reason="the command qdns is not installed in this environment")
def test_the_commands_of_the_page_steer_a_real_target(tmp_path: Path) -> None:
    """Each runs as printed; what it did shows in the target's row and on the server."""
    server = PagedKnot(tmp_path / "knot")
    server.start()
    (tmp_path / "push-key").write_text(SECRET)
    (tmp_path / "push-key").chmod(0o600)
    more = "[dns]\nlisten = []\n" + SERVICE + blocks("toml")[0].replace("192.0.2.53:53", server.address)
    try:
        with Process(tmp_path, more) as node:
            base = f"http://127.0.0.1:{node.api}"

            def qdns(line: str) -> str:
                done = subprocess.run(
                    line.split(),
                    env={"PATH": f"{QDNS.parent}:/usr/bin:/bin", "QDNS_API": base},
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=60,
                )
                assert done.returncode in (0, 12), f"{line}\n{done.stdout}{done.stderr}"
                return done.stdout

            def row() -> dict[str, Any]:
                found: dict[str, Any] = json.loads(qdns("qdns push show knot-eu --json"))
                return found

            wait_until(lambda: requests.get(f"{base}/v1/push/knot-eu", timeout=5).ok, "the target is known")
            wait_until(lambda: row()["state"] == "synced", "the target is in step")
            assert ["192.0.2.1", "192.0.2.2"] == server.ask("www.example.org")
            said = {line.split()[2]: qdns(line) for line in blocks("sh")[1].splitlines()[:4]}
            assert "knot-eu" in said["list"]
            assert "knot-eu is as it should be" in said["diff"]
            assert "paused" == row()["state"]
            path = f"{base}/v1/services/www.example.org/endpoints/192.0.2.2/force"
            requests.put(path, json={"verdict": "down"}, timeout=10).raise_for_status()
            diff = json.loads(qdns("qdns push diff knot-eu --json"))
            assert ["192.0.2.1"] == diff[0]["after"]["records"]
            assert ["192.0.2.1", "192.0.2.2"] == server.ask("www.example.org")
            for line in blocks("sh")[1].splitlines()[4:]:
                qdns(line)
            wait_until(lambda: server.ask("www.example.org") == ["192.0.2.1"], "it got what had changed")
            kinds = {event["kind"] for event in requests.get(f"{base}/v1/events", timeout=10).json()["items"]}
            assert {"push.paused", "push.resumed", "push.refreshed", "push.done"} <= kinds
    finally:
        server.stop()
