"""The server itself, over real sockets: binding, limits, stopping, streams and blocking queries."""

import asyncio
import contextlib
import hashlib
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from node.api.context import Token
from node.api.server import ApiError, ApiServer, ApiSettings
from node.api.stream import BATCH_EVENTS_MAX
from node.state.api_tokens import ApiToken, PutToken, RevokeToken
from node.state.command import Ballot, CastVotes, Command, DeleteEndpoint, Member, PutService, PutZone
from node.zone.name import from_text
from node.zone.rrset import TXT, make
from raft.proposal import Outcome
from tests.api.conftest import SETTINGS as ZONE_SETTINGS
from tests.api.conftest import WWW, FakeCluster, service

SETTINGS = ApiSettings(listen=("127.0.0.1:0",), body_octets_max=10_000, stop_s=1)


def serve(
    cluster: FakeCluster,
    work: Callable[[ApiServer, httpx.AsyncClient], Awaitable[Any]],
    settings: ApiSettings = SETTINGS,
    limit_s: float = 20,
    **fields: Any,
) -> Any:
    """Run work against a started server and stop it, within a time."""

    async def go() -> Any:
        server = ApiServer(settings, cluster.context(**fields))
        await server.start()
        try:
            async with (
                asyncio.timeout(limit_s),
                httpx.AsyncClient(base_url=f"http://{server.addresses[0]}") as client,
            ):
                return await work(server, client)
        finally:
            await server.stop()

    return asyncio.run(go())


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so, at most 20 s."""
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def exchange(address: str, octets: bytes) -> bytes:
    """Send octets and read until the server closes."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(octets)
    try:
        return await reader.read()
    finally:
        writer.close()


def test_serves_and_stops(cluster: FakeCluster) -> None:
    """A started server answers; after stop its port is free again."""

    async def go() -> int:
        server = ApiServer(SETTINGS, cluster.context())
        await server.start()
        address = server.addresses[0]
        async with httpx.AsyncClient() as client:
            code = (await client.get(f"http://{address}/healthz")).status_code
        await server.stop()
        again = ApiServer(replace(SETTINGS, listen=(address,)), cluster.context())
        await again.start()
        await again.stop()
        return code

    assert 200 == asyncio.run(go())


def test_taken_address(cluster: FakeCluster) -> None:
    """An address that is taken or nobody's is a sentence, and no socket stays open."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for listen, why in ((f"127.0.0.1:{port}", "already in use"), ("192.0.2.1:80", "cannot assign")):
            server = ApiServer(ApiSettings(listen=("127.0.0.1:0", listen)), cluster.context())
            with pytest.raises(ApiError, match=f"cannot listen on {listen}: .*{why}"):
                asyncio.run(server.start())
            assert () == server.addresses


def test_unix_socket(cluster: FakeCluster, tmp_path: Path) -> None:
    """A Unix socket serves this machine's users; one left behind by a crash is replaced."""
    path = tmp_path / "api.sock"
    leftover = socket.socket(socket.AF_UNIX)
    leftover.bind(str(path))
    leftover.close()

    async def go() -> int:
        server = ApiServer(ApiSettings(listen=(f"unix:{path}",)), cluster.context())
        await server.start()
        assert 0o660 == path.stat().st_mode & 0o777
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(transport=transport, base_url="http://qdns") as client:
            code = (await client.get("/v1/status")).status_code
        await server.stop()
        return code

    assert 200 == asyncio.run(go())
    assert not path.exists()


def test_unix_socket_in_use(cluster: FakeCluster, tmp_path: Path) -> None:
    """A Unix socket that somebody listens on is left alone."""
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(ApiError, match="already in use"):
            asyncio.run(ApiServer(ApiSettings(listen=(f"unix:{path}",)), cluster.context()).start())
    assert path.exists()


def test_body_limit(cluster: FakeCluster) -> None:
    """A body beyond the limit is refused and the connection stays usable for others."""

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        path = "/v1/zones/example.org/rrsets/a.example.org/TXT"
        refused = await client.put(path, content=b" " * 20_000)
        assert (413, "too_large") == (refused.status_code, refused.json()["code"])
        assert 200 == (await client.put(path, json={"rdatas": ['"x"']})).status_code

    serve(cluster, work)


def test_header_limits(cluster: FakeCluster) -> None:
    """Endless headers, a request line without end, and octets that are no HTTP are cut off."""

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        endless = b"GET / HTTP/1.1\r\n" + b"X-A: " + b"a" * 100_000
        assert b"431" in (await exchange(server.addresses[0], endless))[:20]
        assert b"431" in (await exchange(server.addresses[0], b"GET /" + b"a" * 100_000))[:20]
        assert b"400" in (await exchange(server.addresses[0], b"\x00\x01\x02 nonsense\r\n\r\n"))[:20]
        assert 200 == (await client.get("/healthz")).status_code

    serve(cluster, work)


def test_silent_clients(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that does not finish its headers in time is disconnected, also on a used connection."""
    monkeypatch.setattr("node.api.protocol.LimitedProtocol.header_time_s", 0.2)

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        assert b"" == await exchange(server.addresses[0], b"GET / HT")
        assert b"" == await exchange(server.addresses[0], b"")
        answered = await exchange(
            server.addresses[0], b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT"
        )
        assert answered.endswith(b"ok\n")

    serve(cluster, work)


def connections(server: ApiServer) -> int:
    """Return how many connections are open."""
    return 0 if server._server is None else len(server._server.server_state.connections)


def test_too_many_connections(cluster: FakeCluster) -> None:
    """A connection beyond those that are being served is told to come back; those go on."""

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        accept = {"Accept": "text/event-stream"}
        async with (
            client.stream("GET", "/v1/events", headers=accept) as first,
            client.stream("GET", "/v1/events", headers=accept) as second,
        ):
            lines = [each.aiter_lines() for each in (first, second)]
            assert [{"retry": "2000"}] * 2 == [await next_block(each) for each in lines]
            ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
            assert b"503" in (await exchange(server.addresses[0], ask))[:20]
            cluster.do(DeleteEndpoint(WWW, "192.0.2.10"))
            assert ["change"] * 2 == [(await next_block(each))["event"] for each in lines]

    serve(cluster, work, replace(SETTINGS, connections_max=2))


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_silent_strangers_lock_nobody_out(cluster: FakeCluster, tmp_path: Path, sent: bytes) -> None:
    """The connection that is idle for longest makes place for a new one, and none keeps the Unix socket busy."""
    path = str(tmp_path / "api.sock")

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        host, _, port = server.addresses[0].rpartition(":")
        strangers = []
        for number in range(3):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(sent)
            if sent.endswith(b"\r\n\r\n"):
                await reader.readuntil(b"ok\n")
            strangers.append((reader, writer))
            await until(lambda count=number + 1: connections(server) == count)  # type: ignore[misc]
        assert 200 == (await client.get("/healthz")).status_code
        with contextlib.suppress(ConnectionError):
            await strangers[0][0].read()  # to its end
        assert 3 == connections(server)
        async with httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=path), base_url="http://x"
        ) as local:
            assert 200 == (await local.get("/healthz")).status_code
        assert 200 == (await client.get("/healthz")).status_code
        for _, writer in strangers:
            writer.close()

    settings = replace(SETTINGS, listen=("127.0.0.1:0", f"unix:{path}"), connections_max=3)
    serve(cluster, work, settings, limit_s=8)


def test_blocking_query(cluster: FakeCluster) -> None:
    """A read with ?index= returns when the answer is newer, at the deadline with the same index."""

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        path = "/v1/services/www.example.org"
        known = (await client.get(path)).headers["qdns-index"]
        same = await client.get(f"{path}?index={known}&wait=50ms")
        assert (200, known) == (same.status_code, same.headers["qdns-index"])
        waiting = asyncio.create_task(client.get(f"{path}?index={known}&wait=10s"))
        await until(lambda: server._app is not None and server._app._waiting == 1)
        cluster.do(DeleteEndpoint(WWW, "192.0.2.10"))
        assert int(known) < int((await waiting).headers["qdns-index"])
        known = (await client.get(path)).headers["qdns-index"]
        waiting = asyncio.create_task(client.get(f"{path}?index={known}&wait=10s"))
        await until(lambda: server._app is not None and server._app._waiting == 1)
        cluster.vote("192.0.2.11", False)
        assert "down" in {each["verdict"] for each in (await waiting).json()["endpoints"]}
        assert 400 == (await client.get(f"{path}?index={known}&wait=forever")).status_code

    serve(cluster, work)


async def next_block(lines: Any) -> dict[str, str]:
    """Read one block of an event stream; comments are left out."""
    block: dict[str, str] = {}
    async for line in lines:
        if not line and block:
            return block
        key, _, value = line.partition(": ")
        if key:
            block[key] = value
    raise AssertionError("the stream ended")


def test_stream(cluster: FakeCluster) -> None:
    """A stream carries each change; whoever comes back behind an event gets the next one, also of the same index."""

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        accept = {"Accept": "text/event-stream"}
        async with client.stream("GET", "/v1/events", headers=accept) as stream:
            lines = stream.aiter_lines()
            assert {"retry": "2000"} == await next_block(lines)
            cluster.do(DeleteEndpoint(WWW, "192.0.2.10"))
            first = await next_block(lines)
            assert ("change", "service.changed") == (first["event"], json.loads(first["data"])["kind"])
            assert f"{cluster.state.index}.0" == first["id"]
            assert "service.published" == json.loads((await next_block(lines))["data"])["kind"]
            last = await next_block(lines)
            assert (str(cluster.state.index), "zone.changed") == (last["id"], json.loads(last["data"])["kind"])
        again = accept | {"Last-Event-ID": first["id"]}
        async with client.stream("GET", "/v1/events", headers=again) as stream:
            lines = stream.aiter_lines()
            await next_block(lines)
            assert "service.published" == json.loads((await next_block(lines))["data"])["kind"]
            assert last == await next_block(lines)
        cluster.do(DeleteEndpoint(WWW, "192.0.2.11"))
        resume = accept | {"Last-Event-ID": last["id"]}
        async with client.stream("GET", "/v1/events", headers=resume) as stream:
            lines = stream.aiter_lines()
            await next_block(lines)
            missed = json.loads((await next_block(lines))["data"])
            assert (int(last["id"]) + 1, "service.changed") == (missed["index"], missed["kind"])

    serve(cluster, work)


@pytest.mark.parametrize("ends", ["taken back", "ended", "made less"])
def test_a_stream_and_waits_end_with_their_token(cluster: FakeCluster, ends: str) -> None:
    """Nothing is told any more to whoever showed a token that is no longer good."""
    digest = hashlib.sha256(b"secret").digest()
    cluster.do(PutToken(ApiToken("ci", digest, ("read",), cluster.now_ms + 60_000)))
    cluster.do(PutToken(ApiToken("admin", bytes(32), ("admin",))))
    headers = {"Authorization": "Bearer secret"}

    def end() -> None:
        if ends == "taken back":
            cluster.do(RevokeToken("ci"))
        elif ends == "made less":
            cluster.do(PutToken(ApiToken("ci", digest, ("heartbeat",))))
        else:
            cluster.now_ms += 60_000
        cluster.do(DeleteEndpoint(WWW, "192.0.2.10"))

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        known = cluster.state.index
        waits = [
            asyncio.create_task(client.get(path, headers=headers))
            for path in (f"/v1/zones?index={known}&wait=10s", "/v2/keys/helix/?wait=true&recursive=true")
        ]
        await until(lambda: server._app is not None and server._app._waiting == 2)
        accept = headers | {"Accept": "text/event-stream"}
        async with client.stream("GET", "/v1/events", headers=accept) as stream:
            lines = stream.aiter_lines()
            assert {"retry": "2000"} == await next_block(lines)
            end()
            assert [] == [line async for line in lines]
        refusal = 403 if ends == "made less" else 401
        assert [refusal] == [(await waits[0]).status_code]
        assert "192.0.2.10" not in (await waits[1]).text
        assert (await waits[1]).status_code in (401, 403)

    serve(cluster, work)


def test_stream_of_a_late_reader(cluster: FakeCluster) -> None:
    """A reader whose place was forgotten is told to start over."""
    forgotten = cluster.state.events.mutate()
    del forgotten[0]
    cluster.state = _with_events(cluster, forgotten.finish())

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": "0"}
        async with client.stream("GET", "/v1/events", headers=headers) as stream:
            lines = stream.aiter_lines()
            await next_block(lines)
            assert {"event": "reset", "id": "1", "data": "{}"} == await next_block(lines)

    serve(cluster, work)


def _with_events(cluster: FakeCluster, events: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(cluster.state, events=events)


def test_stream_of_an_entry_with_many_events(cluster: FakeCluster) -> None:
    """An entry with more events than a batch is told whole: hundreds of verdicts can change at once."""
    count = 3 * BATCH_EVENTS_MAX
    names = [from_text(f"s{each}.example.org") for each in range(count)]
    for name in names:
        cluster.do(PutService(service("192.0.2.1", fqdn=name)))
    before = cluster.state.index
    cluster.do(CastVotes("ns1", tuple(Ballot(name, "192.0.2.1", up=True) for name in names)))
    cluster.do(PutZone(from_text("last.org"), ZONE_SETTINGS))

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        kinds: list[str] = []
        accept = {"Accept": "text/event-stream"}
        async with client.stream("GET", f"/v1/events?after={before}", headers=accept) as stream:
            lines = stream.aiter_lines()
            while not kinds or kinds[-1] != "zone.created":
                block = await next_block(lines)
                kinds += [json.loads(block["data"])["kind"]] if "data" in block else []
        assert [*["vote.cast"] * count, "zone.created"] == kinds

    serve(cluster, work)


def test_streams_are_bounded(cluster: FakeCluster) -> None:
    """A stream too many is refused; a closed one makes room."""

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        accept = {"Accept": "text/event-stream"}
        async with client.stream("GET", "/v1/events", headers=accept) as stream:
            await next_block(stream.aiter_lines())
            assert 503 == (await client.get("/v1/events", headers=accept)).status_code
        deadline = asyncio.get_running_loop().time() + 5
        code = 503
        while code == 503 and asyncio.get_running_loop().time() < deadline:
            async with client.stream("GET", "/v1/events", headers=accept) as again:
                code = again.status_code
        assert 200 == code

    serve(cluster, work, replace(SETTINGS, streams_max=1))


def test_stop_ends_streams_and_waits(cluster: FakeCluster) -> None:
    """Stopping does not wait for readers that would stay for ever."""

    async def go() -> float:
        server = ApiServer(SETTINGS, cluster.context())
        await server.start()
        loop = asyncio.get_running_loop()
        async with httpx.AsyncClient(base_url=f"http://{server.addresses[0]}") as client:
            accept = {"Accept": "text/event-stream"}
            async with client.stream("GET", "/v1/events", headers=accept) as stream:
                await next_block(stream.aiter_lines())
                waiting = asyncio.create_task(client.get("/v1/zones?index=99&wait=60s"))
                await until(lambda: server._app is not None and server._app._waiting == 1)
                began = loop.time()
                await server.stop()
                await waiting
        return loop.time() - began

    assert 3 > asyncio.run(go())


def test_a_write_in_flight_when_the_node_stops(cluster: FakeCluster, capfd: pytest.CaptureFixture[str]) -> None:
    """It is answered, by a sentence that does not claim that nothing was changed, and the log has no trace."""

    async def never(command: Command, **circumstances: object) -> Outcome:
        proposed.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def go() -> httpx.Response:
        server = ApiServer(SETTINGS, cluster.context(propose=never))
        await server.start()
        async with httpx.AsyncClient(base_url=f"http://{server.addresses[0]}") as client:
            write = asyncio.create_task(client.put("/v1/zones/a.org", json={"nameservers": ["ns.a.org"]}))
            await proposed.wait()
            await server.stop()
            return await write

    proposed = asyncio.Event()
    answer = asyncio.run(go())
    assert (503, "outcome_unknown") == (answer.status_code, answer.json()["code"])
    captured = capfd.readouterr()
    assert "Traceback" not in captured.err + captured.out
    assert "Cancel" not in captured.err


def test_a_request_that_comes_while_the_node_stops(cluster: FakeCluster) -> None:
    """On a connection that is still there it is told that the node stops."""

    async def go() -> tuple[bytes, bytes]:
        server = ApiServer(SETTINGS, cluster.context(peer_urls={"ns2": "http://127.0.0.1:1"}))
        await server.start()
        host, _, port = server.addresses[0].rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        ask = b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n"
        writer.write(ask)
        first = await reader.readuntil(b"\n")
        await reader.readuntil(b"}\n")
        stop = asyncio.create_task(server.stop())
        await asyncio.sleep(0)
        writer.write(ask)
        second = await reader.read()
        await stop
        writer.close()
        return first, second

    first, second = asyncio.run(go())
    assert b"200" in first
    assert second == b"" or (b"503" in second and b'"stopped"' in second)


@pytest.mark.parametrize("ask", [b"", b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n"])
def test_a_connection_accepted_while_the_node_stops_ends_too(cluster: FakeCluster, ask: bytes) -> None:
    """One that came after the others were told to close outlives neither its one answer nor the server."""

    async def go() -> bytes:
        server = ApiServer(SETTINGS, cluster.context())
        await server.start()
        uvicorn = server._server
        assert uvicorn is not None
        stop = asyncio.create_task(server.stop())
        await until(lambda: not uvicorn.servers[0].is_serving())
        ours, theirs = socket.socketpair()
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: uvicorn.config.http_protocol_class(  # type: ignore[operator]
                config=uvicorn.config, server_state=uvicorn.server_state, app_state={}
            ),
            theirs,
        )
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(ask)
        await stop
        async with asyncio.timeout(20):
            told = await _all_that_came(reader)
        writer.close()
        return told

    told = asyncio.run(go())
    assert told == b"" if not ask else b"503" in told and b'"stopped"' in told


async def _all_that_came(reader: asyncio.StreamReader) -> bytes:
    told = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := await reader.read(4096):
            told += piece
    return told


def test_a_connection_that_was_reset_is_nobody(cluster: FakeCluster) -> None:
    """A client that resets its connection before it is accepted does not pass for a trusted Unix socket."""
    body = b'{"nameservers":["a."]}'
    head = f"PUT /v1/zones/evil.org HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        host, _, port = server.addresses[0].rpartition(":")
        for _ in range(5):
            with socket.create_connection((host, int(port))) as attack:  # the loop cannot accept meanwhile
                attack.sendall(head.encode() + body)
                attack.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert 200 == (await client.get("/healthz")).status_code
        assert from_text("evil.org") not in cluster.state.zones

    serve(cluster, work)


def test_a_body_is_read_for_those_who_may_send_it(cluster: FakeCluster) -> None:
    """Who is refused is refused before a body is taken in, and a log-in form is small."""
    token = Token("ops", hashlib.sha256(b"qdns_right").hexdigest(), ("admin",))
    context = cluster.context(tokens=(token,), trusted_loopback=False)

    async def go() -> None:
        server = ApiServer(SETTINGS, context)
        await server.start()
        head = "{} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n{}\r\n"
        host, _, port = server.addresses[0].rpartition(":")
        for line, body, expected in (
            ("PUT /v1/zones/a.org", b"", b"401"),
            ("POST /login", b"a" * 5_000, b"413"),
        ):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(head.format(line, "").encode() + body)
            async with asyncio.timeout(20):
                assert expected in await reader.readuntil(b"\n")
            writer.close()
        await server.stop()

    asyncio.run(go())


def test_a_file_for_a_zone_out_of_reach_is_not_read(cluster: FakeCluster) -> None:
    """Whose token can change nothing in a zone is told before a file for it is taken in."""
    scopes = ("acme zone=example.net", "records:write zone=example.com name=*")
    token = Token("ci", hashlib.sha256(b"qdns_right").hexdigest(), scopes)
    head = (
        "PUT /v1/zones/{}/file HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer qdns_right\r\n{}: 100-continue\r\n"
    )

    async def status(server: ApiServer, zone: str) -> bytes:
        host, _, port = server.addresses[0].rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(head.format(zone, "Expect").encode() + b"Content-Length: 9000\r\n\r\n")
        line = await reader.readuntil(b"\n")
        writer.close()
        return line.split()[1]

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        assert b"403" == await status(server, "example.org")
        assert [b"100"] * 2 == [await status(server, each) for each in ("example.net", "example.com")]

    serve(cluster, work, limit_s=5, tokens=(token,), trusted_loopback=False)


def test_long_bodies_share_what_they_may_hold(cluster: FakeCluster) -> None:
    """Bodies that wait together hold no more than their share of memory; short ones go on, as do long ones later."""
    path = "/v1/zones/example.org/file"
    settings = replace(SETTINGS, bodies_octets_max=300_000)

    async def slowly(go_on: asyncio.Event) -> Any:
        yield b"; " + b"x" * 299_998
        await go_on.wait()
        yield b"; no more"

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        go_on = asyncio.Event()
        first = asyncio.create_task(client.put(path, content=slowly(go_on)))
        await until(lambda: server._app is not None and server._app._bodies._octets > 200_000)
        busy = await client.put(path, content=b";" * 200_000)
        assert (503, "busy") == (busy.status_code, busy.json()["code"])
        short = "/v1/zones/example.org/rrsets/a.example.org/A"
        assert 200 == (await client.put(short, json={"rdatas": ["192.0.2.1"]})).status_code
        go_on.set()
        assert 200 == (await first).status_code
        assert 200 == (await client.put(path, content=b";" * 200_000)).status_code
        assert server._app is not None
        assert 0 == server._app._bodies._octets

    serve(cluster, work, settings)


def test_a_request_has_a_time(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that drips on behind an answer that came early does not hold its connection."""
    monkeypatch.setattr("node.api.protocol.LimitedProtocol.request_time_s", 0.2)

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        head = b"PUT /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\nx"
        assert b"404" in (await exchange(server.addresses[0], head))[:20]

    serve(cluster, work)


def test_a_reader_that_takes_nothing(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that does not take its answer is dropped, and the answer with it."""
    monkeypatch.setattr("node.api.protocol.LimitedProtocol.send_time_s", 0.2)
    text = (b"\xff" + b"a" * 255) * 20
    rrsets = tuple(make(from_text(f"t{each}.big.org"), TXT, 5, [text]) for each in range(2_500))
    cluster.do(PutZone(from_text("big.org"), ZONE_SETTINGS, rrsets))

    async def work(server: ApiServer, client: httpx.AsyncClient) -> None:
        host, _, port = server.addresses[0].rpartition(":")
        ask = b"GET /api/v1/servers/localhost/zones/big.org/export HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect((host, int(port)))
            reader.sendall(ask)
            assert server._server is not None
            connections = server._server.server_state.connections
            await until(lambda: bool(connections))
            await until(lambda: not connections)

    serve(cluster, work)


def test_peers_rows(cluster: FakeCluster) -> None:
    """Each node fetches the others' rows; one that is down, slow or talks nonsense is a row too."""
    other = FakeCluster()
    other.state = cluster.state

    async def go() -> list[dict[str, Any]]:
        second = ApiServer(SETTINGS, other.context(node="ns2"))
        await second.start()
        silent = socket.create_server(("127.0.0.1", 0))
        urls = {"ns2": f"http://{second.addresses[0]}", "ns3": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        cluster.state = msgspec.structs.replace(
            cluster.state, members=(*cluster.state.members, Member("ns4", api="http://127.0.0.1:1"))
        )
        first = ApiServer(SETTINGS, cluster.context(peer_urls=urls | {"ns5": "http://127.0.0.1:1"}))
        await first.start()
        async with httpx.AsyncClient() as client:
            status = (await client.get(f"http://{first.addresses[0]}/v1/status", timeout=5)).json()
        await first.stop()
        await second.stop()
        silent.close()
        return status["nodes"]

    rows = {row["name"]: row for row in asyncio.run(go())}
    assert ["ns1", "ns2", "ns3", "ns4"] == list(rows)
    assert ("ready", None) == (rows["ns2"]["state"], rows["ns2"]["error"])
    assert "unreachable" == rows["ns3"]["state"] == rows["ns4"]["state"]
    assert "connection refused 127.0.0.1:1" in rows["ns4"]["error"]
    assert "no answer within" in rows["ns3"]["error"] or "timed out" in rows["ns3"]["error"]
