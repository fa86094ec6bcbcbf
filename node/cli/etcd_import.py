"""``qdns zone import --etcd``: the records that HelixDNS kept in etcd, into zones of ours."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click
import requests

from node.api.etcd.keys import key_text
from node.cli.addresses import segment
from node.cli.commands.zone_file import MASTER_FILE, import_text
from node.cli.etcd_tree import DNS_TTL_S, Tree, apexes, read_tree
from node.cli.faults import ExitCode, Failure, usage
from node.cli.session import Session
from node.cli.zone_text import read_text
from node.zone.master_file import parse, write
from node.zone.name import Name, from_text, iter_ancestors, to_text
from node.zone.rrset import NS, SOA, RRset, make, type_to_text

if TYPE_CHECKING:
    from node.cli.client import Client

FETCH_S = 30.0
FETCH_OCTETS_MAX = 256 * 1024 * 1024
SKIPPED_SHOWN_MAX = 100


def import_tree(
    session: Session, source: str, zone: str | None, *, dry_run: bool, yes: bool, reason: str
) -> None:
    """Take what can be taken, zone by zone, and list what cannot. Raises ``Failure``."""
    try:
        tree = read_tree(_fetched(source))
    except (ValueError, RecursionError) as error:
        raise Failure(f"{source} cannot be taken: {error}; nothing was changed", ExitCode.CONFIG) from None
    known = {from_text(row["zone"] or ".") for row in session.client.items("/v1/zones")}
    wanted = {*known, *apexes(tree), *([from_text(zone)] if zone else [])}
    by_zone: dict[Name, list[RRset]] = {}
    for place, rrset in tree.rrsets.items():
        apex = next((each for each in iter_ancestors(place[0]) if each in wanted), None)
        if apex is None or (zone and apex != from_text(zone)):
            tree.skipped.append(f"{to_text(place[0])} {type_to_text(place[1])}: it is in none of the zones")
        else:
            by_zone.setdefault(apex, []).append(rrset)
    _report(session, tree)
    is_different = False
    for apex, rrsets in sorted(by_zone.items()):
        text = _merged(session.client, apex, rrsets, is_new=apex not in known)
        try:
            name = to_text(apex).removesuffix(".") or "."
            import_text(session, name, Path(source), text, dry_run=dry_run, yes=yes, reason=reason)
        except click.exceptions.Exit as ended:
            is_different = is_different or ended.exit_code == ExitCode.DIFFERENT
    if dry_run:
        if is_different:
            raise click.exceptions.Exit(ExitCode.DIFFERENT)
        return
    _lease(session, tree, {rrset.name for rrsets in by_zone.values() for rrset in rrsets}, reason)


def _fetched(source: str) -> Any:
    """Return the JSON of a dump, or of etcd itself. Raises ``Failure`` and ``ValueError``."""
    if not source.startswith(("http://", "https://")):
        return json.loads(read_text(Path(source)))
    url = source.rstrip("/")
    if "/v2/keys" not in url:
        url += "/v2/keys/helix"
    try:
        with requests.Session() as http:
            http.trust_env = False
            answer = http.get(
                url,
                params={"recursive": "true", "sorted": "true", "quorum": "true"},
                timeout=(5, FETCH_S),
                allow_redirects=False,
                stream=True,
            )
            octets = answer.raw.read(FETCH_OCTETS_MAX + 1, decode_content=True)
    except (requests.RequestException, OSError) as error:
        raise Failure(f"cannot reach etcd at {url}: {error}", ExitCode.UNREACHABLE) from None
    if len(octets) > FETCH_OCTETS_MAX or not answer.ok:
        raise Failure(f"{url} answered {answer.status_code}: nothing that can be taken", ExitCode.NOT_FOUND)
    return json.loads(octets)


def _report(session: Session, tree: Tree) -> None:
    """List what cannot be taken, for people."""
    if not session.out.is_for_people:
        return
    for line in tree.skipped[:SKIPPED_SHOWN_MAX]:
        session.out.line(f"# not taken: {line}")
    more = len(tree.skipped) - SKIPPED_SHOWN_MAX
    if more > 0:
        session.out.line(f"# not taken: {more} more")


def _merged(client: "Client", apex: Name, rrsets: list[RRset], *, is_new: bool) -> str:
    """Return the zone's text as it is with the tree's records in it; the tree's win, but for SOA and NS."""
    present: dict[tuple[Name, int], RRset] = {}
    if is_new:
        present |= _own(apex, rrsets)
    else:
        pieces: list[bytes] = []
        name = to_text(apex).removesuffix(".") or "."
        client.download(f"/v1/zones/{segment(name)}/file", pieces.append, content_type=MASTER_FILE)
        for each in parse(b"".join(pieces).decode(), apex, DNS_TTL_S).rrsets:
            present[(each.name, each.type)] = each
    for each in rrsets:
        if is_new or not (each.name == apex and each.type in (SOA, NS)):
            present[(each.name, each.type)] = each
    return write(present.values(), apex)


def _own(apex: Name, rrsets: list[RRset]) -> dict[tuple[Name, int], RRset]:
    """Return the NS of a new zone: the SOA's server, where the tree has no NS (HelixDNS needed none)."""
    soa = next((each for each in rrsets if each.type == SOA and each.name == apex), None)
    if any(each.type == NS and each.name == apex for each in rrsets):
        return {}
    if soa is None:
        name = to_text(apex)
        raise usage(
            f"{name} does not exist and the tree has no SOA for it", f"qdns zone create {name} --ns NAME"
        )
    rdata = soa.rdatas[0]
    end = 0
    while rdata[end]:
        end += 1 + rdata[end]
    return {(apex, NS): make(apex, NS, DNS_TTL_S, [rdata[: end + 1]])}


def _lease(session: Session, tree: Tree, names: set[Name], reason: str) -> None:
    """Let what had a TTL in etcd go after what was left of it."""
    for (name, type_), ttl_s in sorted(tree.leases.items()):
        text = to_text(name)
        if type_ == 0:
            if any(name in iter_ancestors(each) for each in names):
                session.client.put_key(
                    name_key(name), {"dir": "true", "prevExist": "true", "ttl": str(ttl_s)}, reason=reason
                )
                session.out.line(f"leased  everything at and below {text} for {ttl_s} s")
            continue
        rrset = tree.rrsets.get((name, type_))
        if rrset is None or name not in names:
            continue
        key = f"{name_key(name)}/{type_to_text(type_)}"
        session.client.put_key(key, {"refresh": "true", "prevExist": "true", "ttl": str(ttl_s)}, reason=reason)
        session.out.line(f"leased  {text} {type_to_text(type_)} for {ttl_s} s")


def name_key(name: Name) -> str:
    """Return the path of a name's key, percent-encoded."""
    return "/".join(quote(step, safe="") for step in key_text(name).split("/"))
