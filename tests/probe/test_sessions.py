"""Probes over TLS take up sessions within narrow bounds: never for long, never after a failure, never with another."""

import asyncio
import ssl
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from node.health.service import Check, Part
from node.probe import sessions
from node.probe.checks import run
from node.probe.sessions import RESUMED_S_MAX
from node.probe.toolbox import Toolbox
from node.state.command import Ballot, CastVotes
from node.zone.name import from_text
from tests.probe.gallery import listening, read_head
from tests.probe.world import REFUSED, World, run_virtually, service, until

FQDN = from_text("www.example.test")
OTHER = from_text("other.example.test")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno"
PAST = datetime(2020, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = trustme.CA()
    authority.path = tmp_path_factory.mktemp("sessions") / "ca.pem"
    authority.cert_pem.write_to_path(authority.path)
    return authority


def issue(authority, **options):
    return authority.issue_cert("www.example.test", "other.example.test", **options)


def expired(authority):
    return issue(authority, not_before=PAST - timedelta(days=9), not_after=PAST)


class Bench:
    """A server that notes which handshakes took up a session, and a toolbox with a clock of its own."""

    def __init__(self, authority, certificate=None, newest=None, **options):
        self.now_s = 0.0
        self.answer = OK
        self.resumed: list[bool] = []
        self.toolbox = Toolbox(ca_file=authority.path, clock_s=lambda: self.now_s)
        self.port = 0
        self.tls = server_tls(certificate or issue(authority, **options), newest)

    async def serve(self, reader, writer):
        self.resumed.append(writer.get_extra_info("ssl_object").session_reused)
        await read_head(reader)
        writer.write(self.answer)
        await writer.drain()
        writer.write_eof() if writer.can_write_eof() else writer.close()

    async def probe(self, resumes=True, fqdn=FQDN, address="127.0.0.1", **options):
        check = Check(options.pop("kind", "https"), self.port, **options)
        return await run(check, fqdn, address, 2, self.toolbox, resumes)


def server_tls(certificate, newest=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    if newest is not None:
        context.maximum_version = newest
    return context


@asynccontextmanager
async def serving(bench, tls=None):
    async with listening(bench.serve, tls=tls or bench.tls, port=bench.port) as server:
        bench.port = server.port
        yield bench


def play(bench, script):
    """Run a script while the server of a bench listens."""

    async def main():
        try:
            async with serving(bench):
                return await script()
        finally:
            await bench.toolbox.close()

    return asyncio.run(main())


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_is_taken_up(authority, version):
    """The first handshake is a full one, those after it are not; with both versions of TLS."""
    bench = Bench(authority, newest=version)

    async def script():
        return [await bench.probe() for _ in range(4)]

    assert ["HTTP 200"] * 4 == [each.evidence for each in play(bench, script)]
    assert [False, True, True, True] == bench.resumed


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_has_an_end(authority, version):
    """Counted from the full handshake, not from the last probe: so often at least a certificate is verified."""
    bench = Bench(authority, newest=version)

    async def script():
        for _ in range(2 * int(RESUMED_S_MAX) + 1):
            await bench.probe()
            bench.now_s += 1

    play(bench, script)
    assert [0, 10, 20] == [number for number, resumed in enumerate(bench.resumed) if not resumed]


def test_nobody_resumes_unasked(authority):
    """Without leave each handshake is a full one, and its session is not kept either."""
    bench = Bench(authority)

    async def script():
        for resumes in (False, False, True, True, False):
            await bench.probe(resumes)

    play(bench, script)
    assert [False, False, False, True, False] == bench.resumed


@pytest.mark.parametrize("version", VERSIONS)
def test_a_certificate_swapped_by_a_restart_is_seen_by_the_next_probe(authority, version):
    """The new process does not know the old session: the handshake becomes a full one by itself."""
    bench = Bench(authority, newest=version)
    after = server_tls(expired(authority), version)

    async def main():
        async with serving(bench):
            before = [await bench.probe() for _ in range(2)]
        async with serving(bench, after):
            return [*before, await bench.probe()]

    found = asyncio.run(main())
    assert ["HTTP 200", "HTTP 200", "certificate expired 2020-01-02"] == [each.evidence for each in found]
    assert [False, True] == bench.resumed  # the last one never got so far


def test_a_restarted_server_is_no_failure(authority):
    """A server with other ticket keys and a good certificate is up, by a full handshake."""
    bench = Bench(authority)
    after = server_tls(issue(authority))

    async def main():
        async with serving(bench):
            await bench.probe()
        async with serving(bench, after):
            return await bench.probe()

    assert asyncio.run(main()).up
    assert [False, False] == bench.resumed


def test_a_certificate_swapped_beneath_its_tickets_is_seen_within_the_limit(authority):
    """A server that keeps its ticket keys hides the new certificate no longer than the named time."""
    bench = Bench(authority)

    async def script():
        await bench.probe()
        expired(authority).configure_cert(bench.tls)
        found = {}
        for now_s in (1.0, RESUMED_S_MAX - 0.1, RESUMED_S_MAX):
            bench.now_s = now_s
            found[now_s] = (await bench.probe()).evidence
        return found

    ended = "certificate expired 2020-01-02"
    assert {1.0: "HTTP 200", RESUMED_S_MAX - 0.1: "HTTP 200", RESUMED_S_MAX: ended} == play(bench, script)


def test_a_failed_probe_forgets_the_session(authority):
    """What comes after a bad answer or a body that does not fit begins with a full handshake."""
    bench = Bench(authority)

    async def script():
        await bench.probe()
        bench.answer = BAD
        assert not (await bench.probe()).up
        bench.answer = OK
        await bench.probe()
        assert not (await bench.probe(expect_body="^other$")).up
        await bench.probe()

    play(bench, script)
    assert [False, True, False, True, False] == bench.resumed


def test_a_probe_that_is_given_up_forgets_the_session(authority):
    """A probe that was cancelled on its way has proved nothing."""
    bench = Bench(authority)

    async def script():
        await bench.probe()
        flight = asyncio.create_task(bench.probe())
        await asyncio.sleep(0)
        flight.cancel()
        await asyncio.gather(flight, return_exceptions=True)
        assert len(bench.toolbox.sessions) == 0

    play(bench, script)


def test_sessions_are_not_shared(authority):
    """Another service, address, name or way to verify has a session of its own."""
    bench = Bench(authority)

    async def script():
        others = [{}, {"fqdn": OTHER}, {"host": "other.example.test"}, {"verify": False}]
        for _ in range(2):
            for options in others:
                assert (await bench.probe(**options)).up

    play(bench, script)
    assert [False] * 4 + [True] * 4 == bench.resumed


def test_tls_checks_verify_each_time(authority):
    """A check of kind tls is about the certificate: it never takes up a session, nor leaves one."""
    bench = Bench(authority)

    async def script():
        await bench.probe()
        found = [await bench.probe(kind="tls") for _ in range(2)]
        assert all(each.up for each in found)
        expired(authority).configure_cert(bench.tls)
        return await bench.probe(kind="tls")

    assert "certificate expired 2020-01-02" == play(bench, script).evidence


def test_the_end_of_a_certificate_is_told_all_the_same(authority):
    """A session knows the certificate that was verified, so that a warning does not come and go."""
    soon = datetime.now(UTC) + timedelta(days=5, minutes=5)
    bench = Bench(authority, not_after=soon)

    async def script():
        return [(await bench.probe(warn_expiry_days=14)).warning for _ in range(3)]

    assert [f"certificate ends {soon:%Y-%m-%d}"] * 3 == play(bench, script)
    assert [False, True, True] == bench.resumed


def test_parts_do_not_resume(authority):
    """A part that is well would keep its session while the whole check fails, and take it up to say that all is well."""
    bench = Bench(authority)

    async def script():
        parts = (Part(Check("https", bench.port)), Part(Check("https", bench.port, host="other.example.test")))
        check = Check("composite", 0, parts=parts, needed=2)
        for _ in range(2):
            assert (await run(check, FQDN, "127.0.0.1", 2, bench.toolbox, True)).up

    play(bench, script)
    assert [False] * 4 == bench.resumed


def test_a_large_session_is_not_kept(authority, monkeypatch):
    """What an endpoint says until it is open is held as long as its session, so it has a limit."""
    monkeypatch.setattr(sessions, "HANDSHAKE_OCTETS_MAX", 500)
    bench = Bench(authority)

    async def script():
        return [await bench.probe() for _ in range(3)]

    assert all(each.up for each in play(bench, script))
    assert [False] * 3 == bench.resumed
    assert len(bench.toolbox.sessions) == 0


@pytest.mark.parametrize("error", [ValueError("i2d() failed"), ssl.SSLError("no session")])
def test_a_session_that_cannot_be_copied_is_no_failure(error):
    """``ssl`` copies a session by its encoding, which it refuses for one of about 64 KiB."""

    class Spoken:
        session_reused = False

        @property
        def session(self):
            raise error

    kept = sessions.Sessions(lambda: 0.0)
    loan = kept.lend(sessions.Place(None, "www", "127.0.0.1", 443, FQDN))
    loan.spoken = Spoken()
    kept.give_back(loan)
    assert len(kept) == 0


def test_a_machine_that_slept_takes_up_nothing(authority, monkeypatch):
    """While it is suspended the monotonic clock stands, and the certificate may have ended."""
    bench = Bench(authority)
    later_s = time.time() + 3_600

    async def script():
        await bench.probe()
        monkeypatch.setattr(time, "time", lambda: later_s)
        await bench.probe()

    play(bench, script)
    assert [False, False] == bench.resumed


def test_there_is_room_for_so_many(authority, monkeypatch):
    """What finds no room makes do with full handshakes, until what nobody took up has ended."""
    monkeypatch.setattr(sessions, "SESSIONS_MAX", 2)
    bench = Bench(authority)
    names = [from_text(f"{letter}.example.test") for letter in "abc"]

    async def script():
        for fqdn in names * 2:
            await bench.probe(fqdn=fqdn, host="www.example.test")
            assert len(bench.toolbox.sessions) <= 2
        bench.now_s += RESUMED_S_MAX
        await bench.probe(fqdn=names[2], host="www.example.test")
        return len(bench.toolbox.sessions)

    assert 1 == play(bench, script)
    assert [False] * 3 + [True] * 2 + [False] * 2 == bench.resumed


@pytest.mark.parametrize(
    ("options", "resumes"),
    [({}, True), ({"fall": 1}, False), ({"interval_ms": 5_000}, True), ({"interval_ms": 6_000}, False)],
)
def test_frequent_probes_of_what_is_well_may_resume(options, resumes):
    """One bad probe of several that decide may have resumed; where one decides, or probes are rare, none does."""
    fields = {"interval_ms": 1_000, "fall": 3, "rise": 2, **options}
    world = World(service("web", "192.0.2.1", **fields))

    async def main():
        prober = world.prober()
        await prober.start()
        await until(lambda: len(world.resumed) >= 4)
        await prober.stop()

    run_virtually(main)
    assert [False, False, resumes, resumes] == [allowed for _, _, allowed in world.resumed][:4]


def test_what_decides_are_full_handshakes():
    """After the first bad probe each is a full one, until the endpoint is up again."""
    world = World(service("web", "192.0.2.1", interval_ms=1_000, fall=3, rise=2))

    async def main():
        prober = world.prober()
        await prober.start()
        await until(lambda: world.votes("web") == {"192.0.2.1": True} and len(world.resumed) >= 4)
        world.resumed.clear()
        world.answers["192.0.2.1"] = REFUSED
        await until(lambda: world.votes("web") == {"192.0.2.1": False})
        down = [allowed for _, _, allowed in world.resumed]
        world.resumed.clear()
        world.answers.clear()
        await until(lambda: world.votes("web") == {"192.0.2.1": True})
        await prober.stop()
        return down, [allowed for _, _, allowed in world.resumed]

    down, back = run_virtually(main)
    assert [True, False, False] == down[:3]
    assert back
    assert not any(back[:2])


def test_an_endpoint_that_fails_where_it_could_resume_is_left_alone():
    """A front end that cannot cope with resumption fails once, and not every few probes for ever."""
    world = World(service("web", "192.0.2.1", interval_ms=1_000, fall=3, rise=2))

    async def main():
        prober = world.prober()
        await prober.start()
        for wait_s in (600, 1_200):
            await until(lambda: world.resumed and world.resumed[-1][2])
            world.answers["192.0.2.1"] = REFUSED
            await until(lambda: not world.resumed[-1][2])
            world.answers.clear()
            seen = len(world.resumed)
            began_s = asyncio.get_running_loop().time()
            await until(lambda: world.resumed[-1][2], limit_s=2 * wait_s)
            assert asyncio.get_running_loop().time() - began_s >= wait_s - 5
            assert not any(allowed for _, _, allowed in world.resumed[seen:-1])
        await prober.stop()

    run_virtually(main)


def test_a_node_that_is_contradicted_looks_with_full_handshakes():
    """What another node says otherwise may be what a session hides."""
    world = World(service("web", "192.0.2.1", interval_ms=1_000, fall=3, rise=2))

    async def main():
        prober = world.prober()
        await prober.start()
        await until(lambda: world.resumed and world.resumed[-1][2])
        seen = len(world.resumed)
        world.do(CastVotes("ns2", (Ballot(from_text("web.example.test"), "192.0.2.1", False),)))
        await until(lambda: len(world.resumed) >= seen + 6)
        await prober.stop()
        return [allowed for _, _, allowed in world.resumed[seen:]]

    looks = run_virtually(main)
    assert not any(looks[1:6])
