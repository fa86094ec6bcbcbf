"""What a node has answered since its start, over all of its processes, in plain values. Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from node.dns import answerer_stats as stats
from node.dns.counters import Counters

_DROPS = ("short", "answer", "oversized", "unsent", "shed", "limited")


def answer_row(counters: Counters, sums: Sequence[int], processes: int) -> dict[str, Any]:
    """Add up what this process has answered and what the answerers have; those hand up what they do not count.

    ``batches_us`` has pairs: so many UDP answers left within fewer than so many microseconds after their batch was read.
    """
    queries: Counter[str] = Counter()
    types: Counter[str] = Counter()
    for (transport, type_), count in counters.queries.items():
        queries[transport] += count
        types[type_] += count
    rcodes = Counter(counters.responses)
    for type_, rcode, count in stats.answers(list(sums)):
        queries["udp"] += count
        types[type_] += count
        rcodes[rcode] += count
    events = stats.events(list(sums))
    dropped = Counter(counters.dropped)
    dropped.update({reason: events[reason] for reason in _DROPS if events[reason]})
    plain = sum(count for _, _, count in stats.answers(list(sums)))
    return {
        "processes": processes,
        "queries": dict(sorted(queries.items())),
        "types": dict(sorted(types.items())),
        "rcodes": dict(sorted(rcodes.items())),
        "dropped": dict(sorted(dropped.items())),
        "cut": counters.cut + events["cut"],
        "failures": counters.failures,
        "handed_up": events["handed_up"],
        "refused_alone": events["away"],
        "native": events["native"],
        "cache_hits": max(0, plain - events["misses"] - events["native"]),
        "cache_misses": events["misses"],
        "batches_us": [[1 << bucket, count] for bucket, count in enumerate(stats.times(list(sums))) if count],
    }
