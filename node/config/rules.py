"""What must hold between keys: the rules that types and ranges cannot say.

Every rule looks at what the schema let through and notes all that it finds, each at its key. The state
machine has the last word on what an empty cluster is seeded with.
"""

import msgspec

from node.config.draft import Draft
from node.config.findings import Finding, Findings
from node.config.positions import Path as KeyPath
from node.config.rules_cluster import CLUSTER_RULES
from node.config.rules_data import DATA_RULES
from node.config.rules_dns import DNS_RULES
from node.state.command import ENTRY_BYTES_MAX, Entry, Member, PutService, PutZone, Seed, encode
from node.state.machine import apply_entry
from node.state.pushes import PutTarget
from node.state.state import Refused, State


def judge(draft: Draft, findings: Findings) -> None:
    """Apply every rule; try the seed when nothing else is wrong."""
    for rule in (*CLUSTER_RULES, *DATA_RULES, *DNS_RULES):
        rule(draft, findings)
    if not findings.has_errors:
        _judge_seed(draft, findings)


def _judge_seed(draft: Draft, findings: Findings) -> None:
    """Try the seed on an empty state, step by step, as a cluster would."""
    members = tuple(Member(each.name, each.raft, each.api, each.site) for each in draft.nodes)
    state = State(members=members)
    steps: list[tuple[PutZone | PutService | PutTarget, KeyPath]] = [
        *((zone.command, zone.path) for zone in draft.zones),
        *((PutService(service), path) for service, path in draft.services),
        *((PutTarget(target), path) for target, path in draft.targets),
    ]
    for step, path in steps:
        applied = apply_entry(state, state.index + 1, Entry(step, at_ms=0))
        state = applied.state
        if isinstance(applied.result, Refused):
            detail = applied.result.detail.removesuffix("; nothing was changed")
            findings.items.append(Finding(path, detail, "refused", applied.result.hint, at="key"))
    _judge_size(draft, members, findings)


def _judge_size(draft: Draft, members: tuple[Member, ...], findings: Findings) -> None:
    """The seed is one entry of the log."""
    seed = Seed(
        members,
        tuple(zone.command for zone in draft.zones),
        tuple(service for service, _ in draft.services),
        tuple(target for target, _ in draft.targets),
    )
    size = len(encode(Entry(seed, at_ms=0)))
    if size > ENTRY_BYTES_MAX:
        biggest = max(draft.zones, key=lambda each: len(msgspec.msgpack.encode(each.command)), default=None)
        findings.error(
            biggest.path if biggest else ("services",),
            f"zones and services are {size // 1024} KiB together, {ENTRY_BYTES_MAX // 1024} KiB can be seeded at once",
            code="too-large",
            suggestion="leave big zones' records out of the file and import them: qdns zone import",
        )
