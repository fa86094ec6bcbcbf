"""etcd as ``bench_raft.py`` measures it: three members with their defaults, which wait for the disk."""

import asyncio
import base64
import itertools
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import etcd_client
import http_client
from loops import closed_loop, first_success
from raft_cluster import NODES, READY_S, Cluster, Load, free_ports, http_loop


class Etcd(Cluster):
    """etcd as its package installs it, its clients on one gRPC connection with the leader."""

    name = "etcd"

    def __init__(self, folder: Path, snapshot_entries: int | None = None) -> None:
        super().__init__(folder, snapshot_entries)
        ports = free_ports(2 * NODES)
        self._peers, self.ports = ports[:NODES], ports[NODES:]
        self._number = 0
        self._connection: tuple[int, etcd_client.EtcdConnection] | None = None

    async def write(self, writers: int, seconds: float, records: int = 1) -> Load:
        """Put records, many of them in one transaction."""
        connection = await self._connected()
        if records == 1:
            return await self._loaded(lambda: closed_loop(writers, seconds, lambda: self._put(connection)))
        return await self._loaded(
            lambda: closed_loop(writers, seconds, lambda: self._puts(connection, records))
        )

    async def read(self, readers: int, seconds: float) -> Load:
        """Let readers get one key, linearizably."""
        connection = await self._connected()
        message = etcd_client.linearizable_range(b"h1.bench.test.")

        async def get() -> None:
            await connection.call(etcd_client.RANGE, message)

        return await self._loaded(lambda: closed_loop(readers, seconds, get))

    async def write_http(self, connections: int, seconds: float) -> Load:
        """Put records through the leader's JSON gateway."""
        port = self.ports[await self.leader()]

        async def put(client: http_client.HttpConnection) -> None:
            key, value = self._next_pair()
            body = {"key": base64.b64encode(key).decode(), "value": base64.b64encode(value).decode()}
            await client.request("POST", "/v3/kv/put", json.dumps(body).encode())

        return await self._loaded(lambda: http_loop("127.0.0.1", port, connections, seconds, put))

    async def fill(self, records: int) -> None:
        """Put so many records."""
        connection = await self._connected()
        rest = iter(range(records // 1000))

        async def work() -> None:
            for _ in rest:
                await self._puts(connection, 1000)

        await asyncio.gather(*(work() for _ in range(4)))

    async def snapshots(self) -> list[int]:
        """Return how far each member's snapshot goes: the second number in the name of its file."""
        folders = [self._folder / f"e{number}" / "member" / "snap" for number in range(NODES)]
        return [
            max((int(path.stem.partition("-")[2], 16) for path in folder.glob("*.snap")), default=0)
            for folder in folders
        ]

    async def leader(self) -> int:
        """Return who leads: the member whose own identity its status names as the leader's."""
        until_s = time.monotonic() + READY_S
        while time.monotonic() < until_s:
            for number in range(NODES):
                status = await self._status(number)
                if status is not None and status.get("leader", "0") == status["header"]["member_id"]:
                    return number
            await asyncio.sleep(0.05)
        raise TimeoutError("no member of etcd leads")

    async def _connected(self) -> etcd_client.EtcdConnection:
        leader = await self.leader()
        if self._connection is None or self._connection[0] != leader:
            if self._connection is not None:
                self._connection[1].close()
            self._connection = leader, await etcd_client.connect(self.ports[leader])
        return self._connection[1]

    async def _status(self, number: int) -> dict[str, Any] | None:
        client = http_client.HttpConnection("127.0.0.1", self.ports[number])
        try:
            answer = await client.request("POST", "/v3/maintenance/status", b"{}")
            found: dict[str, Any] = json.loads(answer)
            return found
        except (OSError, http_client.RequestFailed):
            return None
        finally:
            client.close()

    def _launch(self, number: int) -> None:
        if self._connection is not None and self._connection[0] == number:
            self._connection = None
        name = [f"e{each}" for each in range(NODES)]
        peer, client = (f"http://127.0.0.1:{ports[number]}" for ports in (self._peers, self.ports))
        options = {
            "name": name[number],
            "data-dir": str(self._folder / name[number]),
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "initial-cluster": ",".join(
                f"{name[each]}=http://127.0.0.1:{port}" for each, port in enumerate(self._peers)
            ),
            "max-txn-ops": "1000",
            "log-level": "error",
        }
        if self._snapshot_entries is not None:
            options["snapshot-count"] = str(self._snapshot_entries)
        words = [word for option, value in options.items() for word in (f"--{option}", value)]
        self._processes[number] = subprocess.Popen(
            ["etcd", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
        )

    async def _wait_ready(self, number: int) -> None:
        client = http_client.HttpConnection("127.0.0.1", self.ports[number])
        until_s = time.monotonic() + READY_S
        while time.monotonic() < until_s:
            try:
                await client.request("GET", "/health", b"")
            except (OSError, http_client.RequestFailed):
                client.close()
                client = http_client.HttpConnection("127.0.0.1", self.ports[number])
                await asyncio.sleep(0.01)
            else:
                client.close()
                return
        raise TimeoutError(f"e{number} is not healthy")

    async def _first_write(self, numbers: list[int]) -> float:
        connections = [await etcd_client.connect(self.ports[number]) for number in numbers]

        turns = itertools.cycle(connections)
        at_s = await first_success(lambda: self._put(next(turns)))
        for connection in connections:
            connection.close()
        return at_s

    def _next_pair(self) -> tuple[bytes, bytes]:
        self._number += 1
        return b"h%d.bench.test." % self._number, self._number.to_bytes(4, "big")

    async def _put(self, connection: etcd_client.EtcdConnection) -> None:
        await connection.call(etcd_client.PUT, etcd_client.put(*self._next_pair()))

    async def _puts(self, connection: etcd_client.EtcdConnection, records: int) -> None:
        pairs = [self._next_pair() for _ in range(records)]
        await connection.call(etcd_client.TXN, etcd_client.txn_of_puts(pairs))
