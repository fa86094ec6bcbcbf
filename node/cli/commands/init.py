"""``qdns init``: a new cluster's configuration, certificates and secrets; later its certificates."""

import secrets
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli import founding
from node.cli.api_pairs import require_host
from node.cli.authority import CA_KEY, REFUSED_HEAD, AuthorityFolder
from node.cli.faults import ConfigFailure, usage
from node.cli.founding import API_FOLDER, Founding, FoundingNode, cluster_toml
from node.cli.group import Command
from node.cli.loading import load_config
from node.cli.new_files import PRIVATE, NewFile, write_new
from node.cli.options import NO_COLOR, VERBOSE, yes_option
from node.cli.session import Session

if TYPE_CHECKING:
    from node.config import Config

CONFIG_NAME = "cluster.toml"
HOME = "/etc/quorumdns"
_DEFAULT_CLUSTER = "prod"
_DEFAULT_NODES = ("ns1=127.0.0.1", "ns2=127.0.0.2", "ns3=127.0.0.3")


@click.command(
    cls=Command,
    example=(
        "qdns init --cluster prod --node ns1=192.0.2.1 --node ns2=192.0.2.2 --node ns3=192.0.2.3 --zone example.com\n"
        "qdns init --yes && qdns cluster up        (three nodes on this machine)\n"
        "qdns init --renew ns1                     (in the same folder, later)"
    ),
)
@click.option("--cluster", metavar="NAME", help="What the cluster is called.")
@click.option("--node", "nodes", multiple=True, metavar="NAME=IP[:PORT]", help="A node; once for each.")
@click.option("--zone", "zones", multiple=True, metavar="ZONE", help="A zone to begin with; once for each.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    metavar="DIR",
    help="The folder (here).",
)
@click.option("--issue", metavar="NODE", help="Make the certificate of a node that comes later.")
@click.option("--replica", is_flag=True, help="With --issue: a node that never votes.")
@click.option("--renew", metavar="NODE", help="Make a new certificate and key for a node.")
@click.option("--revoke", metavar="NODE", help="Trust the certificates of a node no more.")
@click.option("--new-ca", is_flag=True, help="Begin to replace the authority: trust a new one beside it.")
@click.option("--drop-old-ca", is_flag=True, help="End that: trust the new one alone.")
@click.option(
    "--ca-key", type=click.Path(path_type=Path), metavar="FILE", help=f"The authority's key ({CA_KEY})."
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="HOST",
    help="With --issue, --renew: another name or address of the node's API.",
)
@yes_option
@NO_COLOR
@VERBOSE
@click.pass_obj
def init(
    session: Session,
    /,
    out: Path,
    ca_key: Path | None,
    yes: bool,
    replica: bool,
    hosts: tuple[str, ...],
    **said: object,
) -> None:
    """Make a new cluster: its configuration and certificates; renew these later.

    A cluster.toml, an authority, key and certificate for each node and for its API, and secrets where they are needed.
    Nothing is overwritten.

    The later verbs work in the folder that it was made in. Nodes read their certificates again by themselves when
    the files change, or at SIGHUP.
    """
    later = [key for key in ("issue", "renew", "revoke", "new_ca", "drop_old_ca") if said[key]]
    if len(later) > 1 or (later and (said["cluster"] or said["nodes"] or said["zones"])):
        raise usage(
            "one thing at a time: a new cluster, or one of --issue, --renew, --revoke, --new-ca, --drop-old-ca"
        )
    hosts = tuple(map(require_host, hosts))
    if hosts and later not in (["issue"], ["renew"]):
        raise usage("--host names a node's API: it goes with --issue or --renew")
    if later:
        folder = AuthorityFolder(_load(out), ca_key)
        if later == ["issue"]:
            _issue(session, folder, str(said["issue"]), out, hosts, replica=replica)
        else:
            _later(session, folder, later[0], str(said[later[0]]), hosts)
    else:
        _found(session, _asked(said, may_ask=not yes), out)


def _load(out: Path) -> "Config":
    path = out / CONFIG_NAME
    if not path.is_file():
        raise usage(f"there is no {path}: run this in the folder that qdns init made, or name it", "--out DIR")
    return load_config(path.absolute(), {}, None, needs_node=False)


# --- a new cluster --------------------------------------------------------------------------------------


def _asked(said: dict[str, object], *, may_ask: bool) -> Founding:
    """Return what was said on the command line, completed by questions on a terminal, or by defaults."""
    cluster, nodes, zones = said["cluster"], said["nodes"], said["zones"]
    assert isinstance(nodes, tuple)
    assert isinstance(zones, tuple)
    if may_ask and not (cluster and nodes):
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            missing = "--cluster NAME" if not cluster else "--node NAME=IP, once for each node"
            raise usage(
                f"nobody is here to be asked; say {missing}",
                "qdns init --yes takes three nodes on this machine",
            )
        return _ask(str(cluster or ""), nodes, zones)
    read = [founding.read_node(each) for each in nodes or _DEFAULT_NODES]
    return founding.founding(founding.read_cluster(str(cluster or _DEFAULT_CLUSTER)), read, zones)


def _ask(cluster: str, nodes: Sequence[str], zones: Sequence[str]) -> Founding:
    name = founding.read_cluster(cluster or click.prompt("Name of the cluster", default=_DEFAULT_CLUSTER))
    read = [founding.read_node(each) for each in nodes]
    if not read:
        click.echo("Its nodes, one a line as ns1=192.0.2.1; an empty line ends. None: three on this machine.")
        while text := click.prompt(f"Node {len(read) + 1}", default="", show_default=False).strip():
            read.append(founding.read_node(text))
    if not zones:
        zone = click.prompt("A zone to begin with (empty: none)", default="", show_default=False).strip()
        zones = (zone,) if zone else ()
    return founding.founding(name, read or [founding.read_node(each) for each in _DEFAULT_NODES], zones)


def _found(session: Session, wanted: Founding, out: Path) -> None:
    from raft.certificates import issue, issue_server, make_authority
    from raft.identity import Certified

    text = cluster_toml(wanted)
    _check(text, out)
    authority = make_authority(wanted.cluster)
    files = {
        out / CONFIG_NAME: NewFile(text.encode()),
        out / "tls/ca.pem": NewFile(authority.certificate),
        out / "tls/refused": NewFile(REFUSED_HEAD),
        out / CA_KEY: NewFile(authority.key, PRIVATE),
    }
    for node in wanted.nodes:
        pair = issue(authority, Certified(wanted.cluster, node.name, "voter"))
        files[out / f"tls/{node.name}.pem"] = NewFile(pair.certificate)
        files[out / f"tls/{node.name}.key"] = NewFile(pair.key, PRIVATE)
        if not wanted.is_local:
            pair = issue_server(authority, node.name, (node.host, node.name))
            files[out / f"{API_FOLDER}/{node.name}.pem"] = NewFile(pair.certificate)
            files[out / f"{API_FOLDER}/{node.name}.key"] = NewFile(pair.key, PRIVATE)
    if not wanted.is_local:
        files[out / "secrets/nodes"] = NewFile(f"{secrets.token_hex(32)}\n".encode(), PRIVATE)
        files[out / "secrets/admin-token"] = NewFile(f"qdns_{secrets.token_hex(32)}\n".encode(), PRIVATE)
    write_new(files)
    _tell_founded(session, wanted, out, list(files))


def _check(text: str, out: Path) -> None:
    """Read the text as a node would before anything is written. Raises ``ConfigFailure``."""
    from node.config import ConfigError
    from node.config.reader import load_source
    from node.config.source import Source

    try:
        load_source(Source(CONFIG_NAME, text, out.absolute()), {}, None, needs_node=False)
    except ConfigError as error:
        raise ConfigFailure(error.render()) from None


def _tell_founded(session: Session, wanted: Founding, out: Path, paths: Sequence[Path]) -> None:
    """Say what was made and what comes next."""
    count = len(wanted.nodes)
    say = session.out.line
    say(f"made the cluster {wanted.cluster}: {count} {'node' if count == 1 else 'nodes'}")
    for path in paths:
        say(f"  {path}")
    say("")
    if wanted.is_local:
        _tell_local(session, wanted, out)
    else:
        _tell_machines(session, wanted, out)
    say(f"Keep {out / CA_KEY} offline and safe: who has it can make nodes. You need it again for")
    say("  qdns init --issue NODE   --renew NODE   --new-ca")


def _tell_local(session: Session, wanted: Founding, out: Path) -> None:
    say = session.out.line
    folder = "" if out == Path() else f" -c {shlex.quote(str(out / CONFIG_NAME))}"
    say("Next, on this machine:")
    say(f"  qdns cluster up{folder}")
    if wanted.zones:
        say(f"  dig SOA {wanted.zones[0]} @{wanted.nodes[0].host} -p {founding.LOOPBACK_DNS_PORT}")


def _tell_machines(session: Session, wanted: Founding, out: Path) -> None:
    say = session.out.line
    say("Next, give each machine its own files, and only those:")
    for node in wanted.nodes:
        say(f"  {_copy(node, out)}")
    say(f"and start it there, as root or the user whom {HOME} then belongs to:")
    say("  qdns config check && qdns run")
    say("Look from any of them:")
    say(f"  QDNS_TOKEN_FILE={HOME}/secrets/admin-token qdns status")
    say(f"or in a browser, once it trusts {out / 'tls/ca.pem'}: https://{wanted.nodes[0].api_authority}/")


def _copy(node: FoundingNode, out: Path) -> str:
    """Return the shell line that brings a node's files to its machine."""
    names = (
        CONFIG_NAME,
        "tls/ca.pem",
        "tls/refused",
        f"tls/{node.name}.pem",
        f"tls/{node.name}.key",
        f"{API_FOLDER}/{node.name}.pem",
        f"{API_FOLDER}/{node.name}.key",
        "secrets",
    )
    there = f"mkdir -p {HOME} && tar -x --no-same-owner -C {HOME}"
    return f"tar -C {shlex.quote(str(out))} -c {' '.join(names)} | ssh root@{node.host} {shlex.quote(there)}"


# --- its certificates, later ----------------------------------------------------------------------------


def _issue(
    session: Session, folder: AuthorityFolder, node: str, out: Path, hosts: tuple[str, ...], *, replica: bool
) -> None:
    founding.read_name(node, "--issue")
    say = session.out.line
    _require_api(folder, node, hosts)
    files = folder.issue(node, replica=replica)
    say(f"made {files.certificate} and {files.key}, until {folder.ends(node)}")
    _make_api(session, folder, node, hosts)
    say(f"next: give {node} these, and all that the other nodes have in common")
    if node not in folder.nodes:
        add = f"qdns node add {node} --raft IP:PORT{' --replica' if replica else ''}"
        say(f"then: {add}, and [[nodes]] in {out / CONFIG_NAME}")


def _require_api(folder: AuthorityFolder, node: str, hosts: tuple[str, ...]) -> None:
    """Refuse names for a certificate that is not this authority's to make, before anything is made."""
    if hosts and not folder.makes_api(node):
        raise usage(
            "--host: [api] tls of the configuration does not have this authority's certificates; nothing was made",
            'tls = { cert = "tls/api/{node}.pem", key = "file:tls/api/{node}.key", ca = "tls/ca.pem" }',
        )


def _make_api(session: Session, folder: AuthorityFolder, node: str, hosts: tuple[str, ...]) -> None:
    """Make what the node's API shows, if that is this authority's to make, and say what came of it."""
    made = folder.make_api(node, hosts)
    if made is not None:
        session.out.line(f"made {made.certificate} and {made.key} for its API")
    elif folder.makes_api(node):
        session.out.line(
            f"made none for its API, whose address or certificate is not known here; {node}: --host IP"
        )


def _later(session: Session, folder: AuthorityFolder, verb: str, node: str, hosts: tuple[str, ...]) -> None:
    say = session.out.line
    if verb == "renew":
        _require_api(folder, node, hosts)
        files = folder.renew(node)
        say(f"made {files.certificate} and {files.key}, until {folder.ends(node)}")
        _make_api(session, folder, node, hosts)
        say(f"next: copy these to {node}; a running node takes them by itself")
    elif verb == "revoke":
        added = folder.revoke(node)
        say(
            f"refused {len(added)} certificates of {node} in {folder.refused}"
            if added
            else f"{node} was refused already"
        )
        say("next: copy that file to all other nodes; they close its connections by themselves")
        say(f"if {node} is to come back: qdns init --renew {node}")
    elif verb == "new_ca":
        folder.begin_rotation()
        say(f"made a new authority; {folder.ca} trusts it and the old one")
        say(
            f"next: copy {folder.ca} to all nodes, then for each node: qdns init --renew NODE, and copy its files"
        )
        say("then: qdns init --drop-old-ca")
    else:
        folder.end_rotation()
        say(f"{folder.ca} trusts the authority in use alone")
        say("next: copy it to all nodes")
