"""A new cluster on paper: who its nodes are, and the ``cluster.toml`` that says so. Touches no file."""

from collections.abc import Sequence
from dataclasses import dataclass

from node.cli.faults import usage
from node.config.addresses import host_of, is_any, is_loopback, join, parse_endpoint
from node.config.build import API_PORT, RAFT_PORT
from node.config.fields import WORD
from node.config.toml_text import toml_value

LOOPBACK_DNS_PORT = 9000
API_FOLDER = "tls/api"
"""Apart from the certificates of the nodes, whose names may be any."""
_NODES_MAX = 99


@dataclass(frozen=True, slots=True)
class FoundingNode:
    """One node: its name, and where the others reach it (``ip:port``)."""

    name: str
    raft: str

    @property
    def host(self) -> str:
        """Its address without the port."""
        return host_of(self.raft)

    @property
    def api_authority(self) -> str:
        """Where its HTTP API is, as a URL writes it."""
        return join(self.host, API_PORT)


@dataclass(frozen=True, slots=True)
class Founding:
    """What ``qdns init`` was told."""

    cluster: str
    nodes: tuple[FoundingNode, ...]
    zones: tuple[str, ...]

    @property
    def is_local(self) -> bool:
        """Whether all nodes are on this machine."""
        return all(is_loopback(each.host) for each in self.nodes)


def read_cluster(text: str) -> str:
    """Return the name of a cluster. Raises ``Failure``."""
    return read_name(text, "--cluster")


def read_name(text: str, where: str) -> str:
    """Return the name of a node or a cluster. Raises ``Failure``, which says ``where`` it was written."""
    if not WORD.fullmatch(text):
        raise usage(f"{where}: {text!r} cannot be a name; use up to 63 letters, digits, dots and hyphens")
    return text


def read_node(text: str) -> FoundingNode:
    """Read ``ns1=192.0.2.1`` or ``ns1=[2001:db8::1]:7300``. Raises ``Failure``."""
    name, equals, address = text.partition("=")
    if not equals:
        raise usage(f'--node {text}: which address? write it like "ns1=192.0.2.1" or "ns1=[2001:db8::1]:7300"')
    try:
        host, port = parse_endpoint(address, RAFT_PORT)
    except ValueError as error:
        raise usage(f"--node {text}: {error}") from None
    if is_any(host):
        raise usage(f"--node {text}: {host} is no address that other nodes can reach")
    return FoundingNode(read_name(name, f"--node {text}"), join(host, port))


def founding(cluster: str, nodes: Sequence[FoundingNode], zones: Sequence[str]) -> Founding:
    """Put together what belongs together. Raises ``Failure``."""
    if len(nodes) > _NODES_MAX:
        raise usage(
            f"{len(nodes)} nodes are too many; {_NODES_MAX} is the limit, and 3 or 5 is what most clusters need"
        )
    for key in ("name", "host"):
        seen: dict[str, str] = {}
        for node in nodes:
            value = getattr(node, key)
            if value in seen:
                raise _twice(key, value, seen[value], node.name)
            seen[value] = node.name
    local = [each.name for each in nodes if is_loopback(each.host)]
    if local and len(local) < len(nodes):
        raise usage(
            f"{', '.join(local)} on a loopback address cannot be reached by the nodes on other machines",
            "give every node an address of its machine, or all of them 127.0.0.1, 127.0.0.2 ...",
        )
    return Founding(cluster, tuple(nodes), tuple(dict.fromkeys(each.rstrip(".").lower() for each in zones)))


def _twice(key: str, value: str, first: str, second: str) -> Exception:
    if key == "name":
        return usage(f"two nodes are called {value}; give every node a name of its own")
    return usage(
        f"{first} and {second} have the same address {value}, where only one of them can answer DNS",
        "on one machine give them 127.0.0.1, 127.0.0.2 and so on",
    )


def cluster_toml(wanted: Founding) -> str:
    """Return the text of the configuration: what was said, and what a person will look for next."""
    parts = [_head(wanted), _cluster(wanted), *map(_node, wanted.nodes), _places(wanted)]
    parts += [_zone(wanted, zone) for zone in wanted.zones] or [_ZONE_TO_COME]
    parts.append(_SERVICE_TO_COME.replace("example.com", wanted.zones[0] if wanted.zones else "example.com"))
    if not wanted.is_local:
        parts.append(_ADMIN)
    return "\n".join(parts)


def _head(wanted: Founding) -> str:
    who = (
        "qdns cluster up starts all of them" if wanted.is_local else "a machine's address says which one it is"
    )
    return (
        f"# cluster.toml of {wanted.cluster}: one file, the same on every node; {who}.\n"
        "# One node by itself:  qdns run --node "
        f"{wanted.nodes[0].name}        Check this file:  qdns config check\n"
        "# Zones and services here seed an empty cluster; later the cluster itself owns them.\n"
    )


def _cluster(wanted: Founding) -> str:
    secret = "" if wanted.is_local else _NODES_LINE
    return f"[cluster]\nname = {toml_value(wanted.cluster)}\n{secret}{_TLS}"


_NODES_LINE = (
    'secret = "file:secrets/nodes"    # shown by the nodes at one another\'s HTTP API, to read the status\n'
)
_TLS = """
# Who the nodes are to one another: {node} is the node's name. Made, renewed and taken back by qdns init.
[cluster.tls]
ca      = "tls/ca.pem"
cert    = "tls/{node}.pem"
key     = "file:tls/{node}.key"
refused = "tls/refused"          # certificates that are trusted no more
"""


def _node(node: FoundingNode) -> str:
    return f"[[nodes]]\nname = {toml_value(node.name)}\nraft = {toml_value(node.raft)}\n"


def _places(wanted: Founding) -> str:
    port = LOOPBACK_DNS_PORT if wanted.is_local else 53
    data = '[raft]\ndata_dir = "data/{node}"         # beside this file\n\n' if wanted.is_local else ""
    return f'{data}[dns]\nlisten = ["{{address}}:{port}"]     # the address of the node\'s raft, UDP and TCP\n'


def _zone(wanted: Founding, zone: str) -> str:
    names = [f"{node.name.lower()}.{zone}" for node in wanted.nodes]
    width = max(len(node.name) for node in wanted.nodes)
    records = "".join(
        f"{node.name.lower():<{width}}  300  {'AAAA' if ':' in node.host else 'A   '}  {node.host}\n"
        for node in wanted.nodes
    )
    return (
        f"[[zones]]\nname        = {toml_value(zone)}\nnameservers = {toml_value(names)}\n"
        f"contact     = {toml_value(f'hostmaster@{zone}')}\n"
        f'# The lines of a zone file. Behind NAT write the public addresses of the nodes.\nrecords = """\n{records}"""\n'
    )


_ZONE_TO_COME = """# [[zones]]
# name        = "example.com"
# nameservers = ["ns1.example.com"]
# records     = \"\"\"
# ns1  300  A  192.0.2.53
# \"\"\"
"""
_SERVICE_TO_COME = """# A name that points only at what works:
# [[services]]
# fqdn        = "www.example.com"
# healthcheck = "http://{}:80/"
# endpoints   = ["192.0.2.10", "192.0.2.11"]
"""
_ADMIN = f"""# The HTTP API of each node is at port 7380 of its address: HTTPS, made by the authority of the nodes; qdns trusts it by
# this file, browsers once they are given tls/ca.pem. Clients show a token.
[api]
tls = {{ cert = "{API_FOLDER}/{{node}}.pem", key = "file:{API_FOLDER}/{{node}}.key", ca = "tls/ca.pem" }}

[[api.tokens]]
name  = "admin"
token = "file:secrets/admin-token"
"""
