"""Answers over UDP: our answerers beside knotd, nsd, named and pdns where they are installed, in one run.

The servers share one set of cores, the generator has its own; rounds are interleaved and their order turns.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path

import dns_load
import dns_servers

KINDS = ("mixed", "spelled", "half", "flood")
"""Repeated questions; EDNS and names in random case, where caches of whole packets do not hold; names made up for every
second question, and for all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--names", type=int, default=10_000, help="addresses in the zone (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one run (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind (default %(default)s)")
    parser.add_argument(
        "--rate", type=int, default=3_000, help="questions a second for the latency (default %(default)s)"
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="answering processes or threads (default %(default)s)"
    )
    parser.add_argument("--servers", default="|".join(dns_servers.installed()), help="default: %(default)s")
    parser.add_argument(
        "--memory-only", action="store_true", help="start the servers one by one, and weigh them"
    )


def run(arguments: argparse.Namespace) -> int:
    cores = sorted(os.sched_getaffinity(0))
    generator, serving = cores[-1], set(cores[:-1] or cores)
    if arguments.memory_only:
        weigh(arguments, set(cores))
        return 0
    os.sched_setaffinity(0, {generator})
    results: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-dns-") as home:
        folder = Path(home)
        zone = folder / "zone"
        dns_load.write_zone(zone, arguments.names)
        for kind in KINDS:
            dns_load.write_queries(folder / kind, arguments.names, kind)
        servers: list[dns_servers.Server] = []
        try:
            servers.extend(
                dns_servers.start(name, zone, folder / name, arguments.workers, serving)
                for name in arguments.servers.split("|")
            )
            for server in servers:  # caches are filled before anything counts
                for kind in ("mixed", "spelled"):
                    dns_load.saturate(server.port, folder / kind, 1.0, edns=kind == "spelled", core=generator)
            for number in range(arguments.rounds):
                turned = servers[number % len(servers) :] + servers[: number % len(servers)]
                for server in turned:
                    measure(server, folder, arguments, generator, results.setdefault(server.name, {}))
            for server in servers:
                results[server.name]["memory, MiB"] = [server.memory_mib()]
        finally:
            for server in servers:
                server.stop()
    show(results)
    return 0


def weigh(arguments: argparse.Namespace, cores: set[int]) -> None:
    """Print what each server takes for the zone."""
    results: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-dns-") as home:
        zone = Path(home) / "zone"
        dns_load.write_zone(zone, arguments.names)
        for name in arguments.servers.split("|"):
            server = dns_servers.start(name, zone, Path(home) / name, arguments.workers, cores)
            results[name] = {f"{arguments.names:,} addresses: memory, MiB": [server.memory_mib()]}
            server.stop()
    show(results)


def measure(
    server: dns_servers.Server,
    folder: Path,
    arguments: argparse.Namespace,
    core: int,
    rows: dict[str, list[float]],
) -> None:
    """Add one round's figures of a server."""
    for kind in KINDS:
        before = server.cpu_s()
        load = dns_load.saturate(
            server.port, folder / kind, arguments.seconds, edns=kind == "spelled", core=core
        )
        used = server.cpu_s() - before
        rows.setdefault(f"{kind}, answers/s", []).append(load.rate)
        rows.setdefault(f"{kind}, processor us/answer", []).append(used / (load.rate * arguments.seconds) * 1e6)
    steady = dns_load.at_rate(server.port, folder / "mixed", arguments.seconds, arguments.rate)
    rows.setdefault(f"p50 us at {arguments.rate}/s", []).append(steady.p50_us)
    rows.setdefault(f"p99 us at {arguments.rate}/s", []).append(steady.p99_us)


def show(results: dict[str, dict[str, list[float]]]) -> None:
    """Print medians, and in brackets how they stand to ours."""
    names = list(results)
    print("| " + " | ".join(["", *names]) + " |")
    print("|---" * (len(names) + 1) + "|")
    for row in next(iter(results.values())):
        cells = []
        ours = statistics.median(results[names[0]][row])
        for name in names:
            value = statistics.median(results[name][row])
            cells.append(f"{value:,.1f} ({value / ours:.2f})" if ours and name != names[0] else f"{value:,.1f}")
        print("| " + " | ".join([row, *cells]) + " |")
