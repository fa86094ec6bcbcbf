"""The prober over real sockets and real time: an endpoint breaks, is mended, and the votes follow."""

import asyncio

from node.health.service import Check
from node.probe.prober import Prober, ProberSettings
from tests.probe.gallery import descriptors, eventually, listening, says
from tests.probe.world import World, service

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Busy\r\n\r\n"


def test_votes_follow_a_real_endpoint():
    """Broken, mended, gone: one vote each, with what was seen."""

    async def main():
        answer = [OK]

        async def rogue(reader, writer):
            await says(answer[0])(reader, writer)

        async with listening(rogue) as server:
            definition = service(
                "www", "127.0.0.1", check=Check("http", server.port), interval_ms=100, recheck_ms=50, fall=2
            )
            world = World(definition, nodes=("ns1",))
            prober = Prober("ns1", lambda: world.state, world.propose, ProberSettings())
            before = descriptors()
            await prober.start()
            await eventually(lambda: world.votes("www") == {"127.0.0.1": True})
            answer[0] = BUSY
            await eventually(lambda: world.votes("www") == {"127.0.0.1": False})
            answer[0] = OK
            await eventually(lambda: world.votes("www") == {"127.0.0.1": True})
            summary = prober.summary()
            await prober.stop()
            await eventually(lambda: server.open == 0 and descriptors() <= before)
        return world, summary

    world, summary = asyncio.run(main())
    evidence = [ballot.evidence for command in world.proposed for ballot in command.ballots]
    assert ["HTTP 200", "HTTP 503", "HTTP 200"] == evidence
    assert summary.probes >= 6
    assert summary.failures >= 2
