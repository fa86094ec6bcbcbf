"""HelixDNS' tree in etcd, read as records with leases; what cannot be taken is listed with its reason. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from node.api.etcd.errors import EtcdProblem
from node.api.etcd.keys import Key, read_key, srv_order_problem
from node.api.etcd.values import read_value
from node.zone.name import Name, to_text
from node.zone.rrset import CNAME, SOA, RRset, make, problem, type_to_text

DNS_TTL_S = 5
"""What HelixDNS answers with."""
DEPTH_MAX = 300


@dataclass(slots=True)
class Tree:
    """What a tree holds for us."""

    rrsets: dict[tuple[Name, int], RRset] = field(default_factory=dict)
    leases: dict[tuple[Name, int], int] = field(default_factory=dict)
    """Seconds left of an RRset, or of everything at and below a name (type 0)."""
    skipped: list[str] = field(default_factory=list)
    """``key: why`` of what cannot be taken."""


def read_tree(dump: Any) -> Tree:
    """Read the answer to ``GET /v2/keys/helix?recursive=true``. Raises ``ValueError`` when it is none."""
    node = dump.get("node") if isinstance(dump, dict) else None
    if not isinstance(node, dict) or not str(node.get("key", "")).startswith("/helix"):
        raise ValueError('it is no answer to GET /v2/keys/helix?recursive=true: no "node" with the key /helix')
    tree = Tree()
    found: dict[tuple[Name, int], list[bytes]] = {}
    for leaf in _iter_nodes(node, tree, 0):
        _take(leaf, tree, found)
    for (name, type_), rdatas in found.items():
        rrset = make(name, type_, DNS_TTL_S, rdatas)
        wrong = problem(rrset)
        if wrong:
            tree.skipped.append(f"{_shown(name, type_)}: {wrong}")
        else:
            tree.rrsets[(name, type_)] = rrset
    _drop_aliases(tree)
    return tree


def _iter_nodes(node: dict[str, Any], tree: Tree, depth: int) -> Iterator[dict[str, Any]]:
    """Yield the leaves, and note the leases of directories."""
    if depth > DEPTH_MAX:
        tree.skipped.append(f"{node.get('key')}: it lies too deep")
        return
    if not node.get("dir"):
        yield node
        return
    if node.get("ttl"):
        _note_lease(node, tree)
    children = node.get("nodes") or []
    for child in children if isinstance(children, list) else []:
        if isinstance(child, dict):
            yield from _iter_nodes(child, tree, depth + 1)


def _take(leaf: dict[str, Any], tree: Tree, found: dict[tuple[Name, int], list[bytes]]) -> None:
    text = str(leaf.get("key", ""))
    try:
        key = _key(text)
        if key.type is None:
            tree.skipped.append(f"{text}: the last step is no record type in upper case")
            return
        wrong = srv_order_problem(key)
        if wrong:
            tree.skipped.append(wrong)
            return
        rdatas = read_value(key.type, str(leaf.get("value", "")))
    except EtcdProblem as refusal:
        reason = refusal.detail.removesuffix("; nothing was changed")
        tree.skipped.append(reason if reason.startswith("/") else f"{text}: {reason}")
        return
    place = (key.name, key.type)
    found.setdefault(place, []).extend(rdatas)
    if leaf.get("ttl"):
        tree.leases[place] = max(int(leaf["ttl"]), tree.leases.get(place, 0))


def _note_lease(node: dict[str, Any], tree: Tree) -> None:
    try:
        key = _key(str(node["key"]))
        tree.leases[(key.name, key.type or 0)] = int(node["ttl"])
    except (EtcdProblem, ValueError, TypeError) as wrong:
        tree.skipped.append(f"{node['key']}: {getattr(wrong, 'detail', wrong)}")


def _key(text: str) -> Key:
    return read_key("/".join(quote(step, safe="") for step in text.strip("/").split("/")))


def _drop_aliases(tree: Tree) -> None:
    """HelixDNS lets a CNAME stand beside other data, which DNS does not (RFC 1034 section 3.6.2)."""
    names: dict[Name, list[int]] = {}
    for name, type_ in tree.rrsets:
        names.setdefault(name, []).append(type_)
    for name, types in names.items():
        others = [type_to_text(type_) for type_ in sorted(types) if type_ != CNAME]
        if CNAME in types and others:
            del tree.rrsets[(name, CNAME)]
            tree.skipped.append(f"{_shown(name, CNAME)}: it stands beside {', '.join(others)}")


def apexes(tree: Tree) -> list[Name]:
    """Return the zones that the tree itself names, by their SOA."""
    return sorted(name for name, type_ in tree.rrsets if type_ == SOA)


def _shown(name: Name, type_: int) -> str:
    return f"{to_text(name)} {type_to_text(type_)}"
