"""``/v1/backup``: the State as a file, for administrators, without holding anybody up."""

import asyncio
import hashlib
import io

import httpx

from node.api.app import ApiApp
from node.api.context import Token
from node.api.settings import ApiSettings
from node.state import snapshot
from node.state.backup import BackupReader
from raft.proposal import NotCommitted
from tests.api.conftest import SEED, Api, FakeCluster


def test_the_state_comes_as_a_file(api: Api) -> None:
    """What comes is a whole backup of the State, and its headers say of which index."""
    response = api.get("/v1/backup")
    assert 200 == response.status_code
    assert "application/octet-stream" == response.headers["content-type"]
    reader = BackupReader(io.BytesIO(response.content))
    assert api.cluster.state == snapshot.load(reader.pieces())
    assert ("prod", "ns1", "1.0.0") == (reader.header.cluster, reader.header.node, reader.header.version)
    assert str(reader.header.index) == response.headers["qdns-index"]
    assert 'attachment; filename="quorumdns-20231114T221320Z.qdns"' == response.headers["content-disposition"]


def test_head_sends_nothing(api: Api) -> None:
    """HEAD tells of the file without making it."""
    response = api.call("HEAD", "/v1/backup")
    assert (200, b"") == (response.status_code, response.content)


def test_only_administrators() -> None:
    """Who may read may not take everything at once."""
    cluster = FakeCluster()
    cluster.do(SEED)
    tokens = tuple(
        Token(scope, hashlib.sha256(scope.encode()).hexdigest(), (scope,))
        for scope in ("read", "write", "admin")
    )
    api = Api(cluster, tokens=tokens, trusted_loopback=False)
    for scope, status in (("read", 403), ("write", 403), ("admin", 200)):
        response = api.get("/v1/backup", headers={"Authorization": f"Bearer {scope}"})
        assert status == response.status_code
    assert 401 == api.get("/v1/backup").status_code


def test_without_a_quorum_only_what_is_here(api: Api) -> None:
    """Who asks for what the leader knows is refused without one; this node's own copy can be had."""
    api.cluster.refusal = NotCommitted("no-quorum", "1 of 3 nodes")
    refused = api.get("/v1/backup?consistency=leader")
    assert (503, "no_quorum") == (refused.status_code, refused.json()["code"])
    assert 200 == api.get("/v1/backup").status_code


def test_only_so_many_at_a_time(api: Api) -> None:
    """A backup too many is refused; when one has ended there is room again."""

    async def run() -> None:
        app = ApiApp(ApiSettings(downloads_max=1), api.context)
        going = asyncio.Event()
        sent: list[int] = []

        class Client:
            """Sends its request at once and stays."""

            asked = False

            async def receive(self) -> dict[str, object]:
                if self.asked:
                    await asyncio.Event().wait()
                self.asked = True
                return {"type": "http.request", "body": b"", "more_body": False}

        async def slow(message: object) -> None:
            going.set()
            await asyncio.Event().wait()

        async def send(message: dict[str, int]) -> None:
            sent.append(message.get("status", 0))

        scope = {"type": "http", "method": "GET", "path": "/v1/backup", "query_string": b"", "headers": []}
        scope |= {
            "client": ("127.0.0.1", 1),
            "http_version": "1.1",
            "scheme": "http",
            "server": ("127.0.0.1", 80),
        }
        first = asyncio.create_task(app(dict(scope), Client().receive, slow))  # type: ignore[arg-type]
        await going.wait()
        await app(dict(scope), Client().receive, send)  # type: ignore[arg-type]
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            sent.append((await client.get("/v1/backup")).status_code)
        app.close()
        assert [503, 200] == [each for each in sent if each]

    asyncio.run(run())
