"""A pusher in a process of its own that stops itself right before it sends: python -m ... ADDRESS PLAN IP KNOWN."""

import asyncio
import os
import signal
import sys

from node.push.delivery import Terms, deliver
from node.push.errors import PushError
from node.push.orders import Order, ZonePlan
from node.push.rfc2136 import Rfc2136, Server
from node.push.settings import TsigSecret
from tests.push.lab import WWW, ZONE, A, addresses
from tests.push.servers import KEY_NAME, SECRET


async def stop_here() -> None:
    """Stand still as a machine does that is suspended."""
    os.kill(os.getpid(), signal.SIGSTOP)


async def main(address: str, plan: str, wanted: str, known: str) -> None:
    """Push one plan and print what came of it."""
    server = Server(address, KEY_NAME, TsigSecret("hmac-sha256", SECRET))
    order = Order(WWW, A, 5, addresses(wanted), addresses(wanted, known))
    try:
        await deliver(Rfc2136(server), ZonePlan(ZONE, (order,)), Terms(int(plan), fence=True), stop_here)
    except PushError as error:
        print(error.kind)
    else:
        print("delivered")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
