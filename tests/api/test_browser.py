"""The dashboard in Debian's chromium: live, by keyboard alone, under its policy, at 360 px, and judged by axe."""

import asyncio
import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from node.api.context import Token
from node.api.server import ApiServer
from node.state.api_tokens import ApiToken, PutToken
from node.state.pushes import ReportPush
from tests.api.conftest import WWW, FakeCluster
from tests.api.test_dashboard import SERVICE
from tests.api.test_server import SETTINGS, serve, until
from tests.ports import free_ports

CHROMIUM = shutil.which("chromium")
PAGES = (
    "/",
    "/services",
    SERVICE,
    "/zones",
    "/zones/example.org",
    "/events",
    "/events?at=1",
    "/push",
    "/cluster",
    "/query?name=a.b",
)
AXE = Path(__file__).parent.parent.parent / ".ci" / "axe" / "axe.min.js"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is missing"),
]
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is missing")


@contextmanager
def page_of(server: ApiServer, faults: list[str], **options: Any) -> Iterator[Any]:
    """Open a page of its own browser; what its console complains of goes to ``faults``."""
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(base_url=f"http://{server.addresses[0]}", **options)
        page = context.new_page()
        page.on("console", lambda each: faults.append(each.text) if each.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        yield page
        browser.close()


def browse(cluster: FakeCluster, work: Callable[[ApiServer], None], **fields: Any) -> None:
    """Run synchronous work in a thread beside a served cluster."""

    async def go(server: ApiServer, _client: httpx.AsyncClient) -> None:
        await asyncio.to_thread(work, server)

    serve(cluster, go, limit_s=120, **fields)


def test_a_verdict_shows_within_a_second(cluster: FakeCluster) -> None:
    """The part of the page that changed is swapped, without a reload and without a word of the console."""
    for address in ("192.0.2.10", "192.0.2.11", "2001:db8::12"):
        cluster.vote(address, True)
    faults: list[str] = []

    async def work(server: ApiServer, _client: httpx.AsyncClient) -> None:
        loop = asyncio.get_running_loop()

        def look() -> float:
            with page_of(server, faults) as page:
                page.goto("/")
                page.get_by_text("● live, served by ns1").wait_for()
                page.evaluate("window.before = 1")
                asyncio.run_coroutine_threadsafe(streaming(), loop).result(10)
                began = loop.time()
                loop.call_soon_threadsafe(lambda: cluster.vote("192.0.2.11", False, evidence="refused"))
                page.get_by_text("down, withdrawn").wait_for(timeout=20_000)
                took_s = loop.time() - began
                assert 1 == page.evaluate("window.before")
                return took_s

        async def streaming() -> None:
            app = server._app
            await until(lambda: app is not None and app._streams == 1)

        assert 1 > await asyncio.to_thread(look)

    serve(cluster, work, limit_s=60)
    assert [] == faults


def test_draining_by_keyboard_alone(cluster: FakeCluster) -> None:
    """From the first Tab, which skips to the content, to the committed drain; focus is seen at each step."""
    faults: list[str] = []

    def work(server: ApiServer) -> None:
        with page_of(server, faults) as page:
            page.goto(SERVICE)
            page.keyboard.press("Tab")
            assert "Skip to the content" == page.evaluate("document.activeElement.textContent")
            tab_to(page, "SUMMARY")
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert "none" != outline
            page.keyboard.press("Enter")
            page.keyboard.press("Tab")
            page.keyboard.type("CHG-77")
            tab_to(page, "BUTTON")
            page.keyboard.press("Enter")
            page.get_by_text("Committed at index").wait_for()
            assert page.get_by_text("by local: CHG-77").first.is_visible()

    browse(cluster, work)
    assert "drain" == dict(cluster.state.services[WWW].overrides)["192.0.2.10"].kind
    assert [] == faults


def tab_to(page: Any, tag: str) -> None:
    """Press Tab until an element of this kind has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == tag:
            return
    raise AssertionError(f"no {tag} is reached by Tab")


def test_logging_in_and_out(cluster: FakeCluster) -> None:
    """A token in the form opens the pages; an operator's forms work by the cookie alone; then it is over."""
    secret = "qdns_operator_of_the_pages"
    tokens = (Token("ops", hashlib.sha256(secret.encode()).hexdigest(), ("endpoints:operate",)),)
    faults: list[str] = []

    def work(server: ApiServer) -> None:
        with page_of(server, faults) as page:
            page.goto("/")
            page.get_by_label("Token").fill(secret)
            page.keyboard.press("Enter")
            page.get_by_role("link", name="www.example.org").click()
            page.locator("summary").first.click()
            page.get_by_label("Reason").first.fill("CHG-79")
            page.get_by_role("button", name="Drain", exact=True).first.click()
            page.get_by_text("by ops: CHG-79").first.wait_for()
            page.get_by_role("button", name="log out").click()
            page.get_by_label("Token").wait_for()

    browse(cluster, work, tokens=tokens, trusted_loopback=False)
    assert not [each for each in faults if "401" not in each]


def test_without_scripts(cluster: FakeCluster) -> None:
    """Everything is there to read and to do: a drain needs no JavaScript."""
    faults: list[str] = []

    def work(server: ApiServer) -> None:
        with page_of(server, faults, java_script_enabled=False) as page:
            page.goto(SERVICE)
            page.locator("summary").first.click()
            page.get_by_label("Reason").first.fill("CHG-78")
            page.get_by_role("button", name="Drain", exact=True).first.click()
            page.get_by_text("Committed at index").wait_for()

    browse(cluster, work)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_in_both_themes(cluster: FakeCluster, theme: Any) -> None:
    """No page is wider than 360 px, none breaks its policy, and axe finds nothing serious."""
    cluster.vote("192.0.2.10", True)
    cluster.vote("2001:db8::12", False, evidence="HTTP 503")
    cluster.do(
        ReportPush("knot", "ns1", 1, ok=False, detail="192.0.2.53:5300 refuses connections; does it run?")
    )
    secret, scope = (
        "qdns_admin_of_the_pages",
        "records:write zone=example.org name=**.lab.example.org type=A,AAAA",
    )
    for name, scopes in (("admin", ("admin",)), ("ci-of-the-laboratory", (scope, "acme"))):
        cluster.do(PutToken(ApiToken(name, hashlib.sha256(f"{secret}{name}".encode()).digest(), scopes)))
    headers = {"Authorization": f"Bearer {secret}admin"}
    faults: list[str] = []
    found: list[str] = []

    def work(server: ApiServer) -> None:
        viewport: Any = {"width": 360, "height": 800}
        options = {"viewport": viewport, "color_scheme": theme, "extra_http_headers": headers}
        with page_of(server, faults, **options) as page:
            for path in PAGES:
                page.goto(path)
                assert (path, 360) == (path, page.evaluate("document.documentElement.scrollWidth"))
                if AXE.exists():
                    found.extend(f"{path}: {each}" for each in judged(page))

    browse(cluster, work)
    assert [] == found
    assert [] == faults


def judged(page: Any) -> list[str]:
    """Return what axe calls serious or critical, with the first element of each."""
    page.evaluate(AXE.read_text())
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {json.dumps(each['nodes'][0]['html'])[:200]}"
        for each in result["violations"]
        if each["impact"] in ("serious", "critical")
    ]


@contextmanager
def two_nodes(cluster: FakeCluster, **fields: Any) -> Iterator[tuple[ApiServer, ApiServer, Callable[[], None]]]:
    """Serve a cluster at two nodes that know each other's address, ns3 being dead; yields also what kills the first."""
    urls: dict[str, str] = {}
    dead = f"http://127.0.0.1:{free_ports(1)[0]}"
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def wait_for(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(20)

    servers = {}
    for name, other in (("ns1", "ns2"), ("ns2", "ns1")):
        known = {"ns3": dead, other: dead}
        servers[name] = ApiServer(SETTINGS, cluster.context(node=name, peer_urls=known, **fields))
        urls[name] = other
    try:
        for server in servers.values():
            wait_for(server.start())
        for name, server in servers.items():
            known = server._context.peer_urls
            assert isinstance(known, dict)
            known[urls[name]] = f"http://{servers[urls[name]].addresses[0]}"
        yield servers["ns1"], servers["ns2"], lambda: wait_for(servers["ns1"].stop())
    finally:
        for server in servers.values():
            wait_for(server.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_the_viewer_moves_on(cluster: FakeCluster) -> None:
    """When its node dies, a page that needed no log-in goes on at a node that is ready, at the same place.

    Where somebody is at a form, that is not taken away: the other nodes are offered, those that are ready first.
    """
    faults: list[str] = []
    with two_nodes(cluster) as (first, second, kill), page_of(first, faults) as page:
        page.goto(f"{SERVICE}?span=24h")
        page.get_by_text("● live, served by ns1").wait_for()
        writing = page.context.new_page()
        writing.goto(SERVICE)
        writing.locator("summary").first.click()
        writing.get_by_label("Reason").first.fill("CHG-80")
        kill()
        page.get_by_text("● live, served by ns2").wait_for(timeout=25_000)
        assert f"http://{second.addresses[0]}{SERVICE}?span=24h" == page.url
        offered = writing.get_by_role("alert")
        offered.get_by_text("✓ ready").wait_for(timeout=25_000)
        assert ["ns2 ✓ ready", "ns3 ✕ no answer"] == [
            " ".join(each.split()) for each in offered.get_by_role("listitem").all_inner_texts()
        ]
        assert "CHG-80" == writing.get_by_label("Reason").first.input_value()
        offered.get_by_role("link", name="ns2").click()
        writing.get_by_text("● live, served by ns2").wait_for()
        assert f"http://{second.addresses[0]}{SERVICE}" == writing.url
    assert not [each for each in faults if "net::ERR_" not in each]


def test_who_had_to_log_in_is_asked_first(cluster: FakeCluster) -> None:
    """A log-in is one node's: its viewer is offered the others, logs in there, and is where he was."""
    secret = "qdns_operator_of_the_pages"
    tokens = (Token("ops", hashlib.sha256(secret.encode()).hexdigest(), ("endpoints:operate",)),)
    faults: list[str] = []

    def log_in(page: Any) -> None:
        page.get_by_label("Token").fill(secret)
        page.keyboard.press("Enter")

    with (
        two_nodes(cluster, tokens=tokens, trusted_loopback=False) as (first, _second, kill),
        page_of(first, faults) as page,
    ):
        page.goto(SERVICE)
        log_in(page)
        page.get_by_text("● live, served by ns1").wait_for()
        address = first.addresses[0]
        kill()
        offered = page.get_by_role("alert")
        offered.get_by_text("✓ ready").wait_for(timeout=25_000)
        assert "log in anew" in offered.inner_text()
        assert f"http://{address}{SERVICE}" == page.url
        page.context.clear_cookies()  # those of 127.0.0.1 hold for all its ports, those of two hosts do not
        offered.get_by_role("link", name="ns2").click()
        log_in(page)
        page.get_by_text("● live, served by ns2").wait_for()
        assert page.url.endswith(SERVICE)
