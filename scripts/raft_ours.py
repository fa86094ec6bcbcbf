"""Our nodes as ``bench_raft.py`` measures them: the log with its state alone, and whole nodes."""

import asyncio
import ipaddress
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import http_client
from raft_cluster import NODES, READY_S, Cluster, Load, free_ports, http_loop

ROOT = Path(__file__).resolve().parent.parent
ADDRESSES = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
CONFIG = """
[cluster]
name   = "bench"
secret = "file:{folder}/secret"
{nodes}
[raft]
data_dir = "{folder}/{{node}}"
[dns]
listen = ["{{address}}:{dns_port}"]
[[zones]]
name        = "bench.test"
nameservers = ["ns1.bench.test"]
records     = "ns1 300 A 192.0.2.53"
"""


class Ours(Cluster):
    """The log with the state it drives; writers run in the leader's process."""

    name = "ours"
    script = "raft_member.py"

    def __init__(self, folder: Path, snapshot_entries: int | None = None) -> None:
        super().__init__(folder, snapshot_entries)
        self._members = {f"n{number}": f"127.0.0.1:{port}" for number, port in enumerate(free_ports(NODES))}

    async def start(self) -> None:
        """Start all nodes and make the zone: they are ready when they hold something."""
        self._folder.mkdir(parents=True)
        for number in range(NODES):
            self._launch(number)
        for number in range(NODES):
            await self._answer(number)
        await self._ask(await self.leader(), do="seed")
        for number in range(NODES):
            await self._until_ready(number)

    async def write(self, writers: int, seconds: float, records: int = 1) -> Load:
        """Let writers in the leader's process put records."""
        leader = await self.leader()
        order = {"do": "write", "writers": writers, "seconds": seconds, "records": records}
        return await self._loaded(lambda: self._ask(leader, **order))

    async def read(self, readers: int, seconds: float) -> Load:
        """Let readers in the leader's process wait for read barriers."""
        leader = await self.leader()
        return await self._loaded(lambda: self._ask(leader, do="read", readers=readers, seconds=seconds))

    async def fill(self, records: int) -> None:
        """Put so many records."""
        await self._ask(await self.leader(), do="fill", records=records)

    async def gap_ms(self, number: int) -> float:
        """Return how long the log's thread of a node was away at most, since this was asked last."""
        return float((await self._ask(number, do="gap"))["ms"])

    async def snapshots(self) -> list[int]:
        """Return how far each node's snapshot goes."""
        return [(await self._ask(number, do="status"))["snapshot"] for number in range(NODES)]

    async def receive_snapshot(self, entries: int) -> float:
        """Let a follower miss so many entries; return the longest turn of its log while it takes a snapshot, in ms."""
        number = (await self.leader() + 1) % NODES
        self._kill(number)
        leader = await self.leader(number)
        done = 0
        while done < entries:
            load = await self._ask(leader, do="write", writers=64, seconds=1.0)
            done += load["count"]
        self._launch(number)
        await self._wait_ready(number)
        return await self.gap_ms(number)

    async def leader(self, without: int | None = None) -> int:
        """Return who leads."""
        numbers = [number for number in range(NODES) if number != without]
        until_s = time.monotonic() + READY_S
        while time.monotonic() < until_s:
            for number in numbers:
                if (await self._ask(number, do="status"))["leads"]:
                    return number
        raise TimeoutError("no node of ours leads")

    def _launch(self, number: int) -> None:
        order = {"node": f"n{number}", "members": self._members, "folder": str(self._folder / f"n{number}")}
        if self._snapshot_entries is not None:
            order["snapshot_entries"] = self._snapshot_entries
        script = Path(__file__).with_name(self.script)
        self._processes[number] = subprocess.Popen(
            [sys.executable, str(script), json.dumps(order)],
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{script.parent}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def _wait_ready(self, number: int) -> None:
        await self._answer(number)
        await self._until_ready(number)

    async def _until_ready(self, number: int) -> None:
        until_s = time.monotonic() + READY_S
        while time.monotonic() < until_s:
            if (await self._ask(number, do="status"))["is_ready"]:
                return
        raise TimeoutError(f"n{number} is not ready")

    async def _first_write(self, numbers: list[int]) -> float:
        answers = await asyncio.gather(*(self._ask(number, do="first") for number in numbers))
        return min(float(answer["at_s"]) for answer in answers)

    async def _ask(self, number: int, **order: Any) -> dict[str, Any]:
        stdin = self._processes[number].stdin
        assert stdin is not None
        stdin.write(json.dumps(order) + "\n")
        stdin.flush()
        return await self._answer(number)

    async def _answer(self, number: int) -> dict[str, Any]:
        stdout = self._processes[number].stdout
        assert stdout is not None
        line = await asyncio.to_thread(stdout.readline)
        if not line:
            raise RuntimeError(f"n{number} has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


class OursOctets(Ours):
    """The log alone: its machine keeps octets, as etcd does."""

    script = "raft_octets.py"

    async def start(self) -> None:
        """Start all nodes."""
        await Cluster.start(self)


class OursHttp(Cluster):
    """Whole nodes of ours, written to through their HTTP API."""

    name = "ours"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._log, self._api, self._dns = free_ports(3)
        self._number = 0

    async def start(self) -> None:
        """Write their configuration and start them."""
        self._folder.mkdir(parents=True)
        secret = self._folder / "secret"
        secret.write_text("a secret of the benchmark, for loopback only")
        secret.chmod(0o600)
        nodes = "".join(
            f'[[nodes]]\nname = "n{number}"\nraft = "{address}:{self._log}"\napi = "http://{address}:{self._api}"\n'
            for number, address in enumerate(ADDRESSES)
        )
        text = CONFIG.format(folder=self._folder, nodes=nodes, dns_port=self._dns)
        (self._folder / "cluster.toml").write_text(text)
        await self._start_all()
        for number in range(NODES):
            await self._wait_zone(number)

    async def write_http(self, connections: int, seconds: float) -> Load:
        """Put records through the leader's HTTP API."""
        address = ADDRESSES[await self.leader()]

        async def put(client: http_client.HttpConnection) -> None:
            self._number += 1
            path = f"/v1/zones/bench.test/rrsets/h{self._number}.bench.test/A"
            body = {"ttl": 300, "rdatas": [str(ipaddress.IPv4Address(self._number))]}
            await client.request("PUT", path, json.dumps(body).encode())

        return await self._loaded(lambda: http_loop(address, self._api, connections, seconds, put))

    async def leader(self) -> int:
        """Return who leads."""
        until_s = time.monotonic() + READY_S
        while time.monotonic() < until_s:
            for number in range(NODES):
                status = await self._status(number)
                if status is not None and status["leader"] is not None:
                    return int(status["leader"].removeprefix("n"))
            await asyncio.sleep(0.05)
        raise TimeoutError("no node leads")

    def _launch(self, number: int) -> None:
        config = str(self._folder / "cluster.toml")
        self._processes[number] = subprocess.Popen(
            [sys.executable, "-m", "node", "run", "-c", config, "--node", f"n{number}"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    async def _wait_ready(self, number: int) -> None:
        until_s = time.monotonic() + READY_S
        while time.monotonic() < until_s:
            status = await self._status(number)
            if status is not None and any(
                each["name"] == f"n{number}" and each["state"] == "ready" for each in status["nodes"]
            ):
                return
            await asyncio.sleep(0.05)
        raise TimeoutError(f"n{number} is not ready")

    async def _wait_zone(self, number: int) -> None:
        """Wait until the node knows of the zone that the file seeds."""
        until_s = time.monotonic() + READY_S
        while time.monotonic() < until_s:
            if await self._get(number, "/v1/zones/bench.test") is not None:
                return
            await asyncio.sleep(0.05)
        raise TimeoutError(f"n{number} has no zone")

    async def _status(self, number: int) -> dict[str, Any] | None:
        return await self._get(number, "/v1/status")

    async def _get(self, number: int, path: str) -> dict[str, Any] | None:
        client = http_client.HttpConnection(ADDRESSES[number], self._api)
        try:
            found: dict[str, Any] = json.loads(await client.request("GET", path, b""))
            return found
        except (OSError, http_client.RequestFailed):
            return None
        finally:
            client.close()
