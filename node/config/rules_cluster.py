"""Rules on nodes and what they listen on: [[nodes]], [raft], [dns] listen, [api]."""

from node.config.addresses import host_of, is_loopback
from node.config.draft import Draft
from node.config.findings import Findings
from node.config.model import Node
from node.config.positions import Path as KeyPath


def _judge_nodes(draft: Draft, findings: Findings) -> None:
    tables = draft.valid.root.nodes
    for key in ("name", "raft", "api"):
        values = [(getattr(each, key), draft.valid.path("nodes", n, key)) for n, each in enumerate(tables)]
        findings.twice(values, f"another node has this {key} already")
    count = len(tables)
    if count and count % 2 == 0 and draft.valid.is_whole("nodes"):
        findings.warning(
            draft.valid.path("nodes", count - 1),
            f"{count} nodes survive the loss of {(count - 1) // 2}, as {count - 1} would",
            code="even-nodes",
            suggestion=f"use an odd number: {count - 1} or {count + 1}",
        )


def _judge_secret(draft: Draft, findings: Findings) -> None:
    """Raft traffic leaves the machine only with certificates or a secret."""
    root = draft.valid.root
    cluster = root.cluster
    if cluster.secret is not None or cluster.tls is not None or not draft.valid.is_whole("cluster"):
        return
    for number, table in enumerate(root.nodes):
        for key, address in (("raft", table.raft), ("bind", table.bind)):
            if address is not None and not is_loopback(host_of(address)):
                findings.error(
                    draft.valid.path("nodes", number, key),
                    f"nodes talk over {address}, which is not on loopback, so [cluster] tls or secret is required",
                    code="secret-required",
                    suggestion="qdns init makes certificates; or add to [cluster]: "
                    'secret = "file:/etc/quorumdns/raft-secret" (openssl rand -hex 32 makes a good one)',
                )
                return


def _judge_api(draft: Draft, findings: Findings) -> None:
    """The API is open without tokens on loopback only."""
    root = draft.valid.root
    if draft.tokens or root.api.tokens or not draft.valid.is_whole("api", "tokens"):
        findings.twice(
            [(each.name, ("api", "tokens", n, "name")) for n, each in enumerate(root.api.tokens)],
            "another token has this name already",
        )
        return
    for number, node in enumerate(draft.nodes):
        if is_loopback(host_of(node.api_listen)):
            continue
        path: KeyPath = ("api", "listen")
        if root.api.listen is None:
            path = draft.valid.path("nodes", number, "api" if root.nodes[number].api else "raft")
        findings.error(
            path,
            f"the API listens on {node.api_listen}, which is not on loopback, so [[api.tokens]] are required",
            code="tokens-required",
            suggestion='listen on loopback, or add [[api.tokens]] with name = "admin" and token = "file:..."',
        )
        return


def _judge_clear_text(draft: Draft, findings: Findings) -> None:
    """Off loopback tokens should not be seen by who reads the wire."""
    root = draft.valid.root
    if root.api.tls is not None or not root.api.tokens or not draft.valid.is_whole("api"):
        return
    far = next((each for each in draft.nodes if not is_loopback(host_of(each.api_listen))), None)
    if far is not None and not far.api.startswith("https:"):
        findings.warning(
            ("api", "listen") if root.api.listen is not None else ("api", "tokens"),
            f"api.tls is off while the API listens on {far.api_listen}: tokens go over the wire as they are",
            code="clear-text",
            suggestion='add to [api]: tls = { cert = "tls/api/{node}.pem", key = "file:tls/api/{node}.key" }, '
            "or put a proxy with TLS before it",
        )


def _judge_node_token(draft: Draft, findings: Findings) -> None:
    """With tokens the nodes need something to show one another's API."""
    root = draft.valid.root
    if (
        len(draft.nodes) > 1
        and root.api.tokens
        and root.cluster.secret is None
        and draft.valid.is_whole("cluster")
    ):
        findings.warning(
            ("api", "tokens"),
            "the API asks for tokens, and the nodes share no secret to show it: none can see how the others are",
            code="no-node-token",
            suggestion='add to [cluster]: secret = "file:/etc/quorumdns/raft-secret" (openssl rand -hex 32)',
        )


def _judge_scheme(draft: Draft, findings: Findings) -> None:
    """Without a certificate the API speaks http, and https is for a proxy before it; with one it speaks https."""
    has_tls = draft.valid.root.api.tls is not None
    for number, table in enumerate(draft.valid.root.nodes):
        if has_tls and table.api is not None and table.api.startswith("http:"):
            findings.error(
                draft.valid.path("nodes", number, "api"),
                f"{table.api} is http, but with [api] tls the API speaks https",
                code="https",
                suggestion=f'api = "https{table.api.removeprefix("http")}"',
            )
            return
        if not has_tls and table.api is not None and table.api.startswith("https:"):
            findings.warning(
                draft.valid.path("nodes", number, "api"),
                f"{table.api} is https, but the API itself speaks http: a proxy must stand before it",
                code="https",
                suggestion="set [api] listen to where the proxy finds the API",
            )
            return


def _judge_listeners(draft: Draft, findings: Findings) -> None:
    """No two listeners of one node on one address and TCP port."""
    for node in draft.nodes:
        taken = {node.bind: "raft", node.api_listen: "the API"}
        if node.bind == node.api_listen:
            path = _node_path(draft, node, "raft")
            findings.error(path, f"{node.name}: raft and the API both listen on {node.bind}", code="conflict")
        for number, listen in enumerate(node.dns):
            if listen in taken:
                message = f"{node.name}: {taken[listen]} listens on {listen} already"
                findings.error(("dns", "listen", number), message, code="conflict")
            taken[listen] = "DNS"


def _node_path(draft: Draft, node: Node, key: str) -> KeyPath:
    names = [each.name for each in draft.valid.root.nodes]
    return draft.valid.path("nodes", names.index(node.name), key) if node.name in names else ("nodes",)


def _judge_timers(draft: Draft, findings: Findings) -> None:
    raft = draft.valid.root.raft
    low, high = raft.election_timeout
    if low >= high:
        findings.error(
            ("raft", "election_timeout"), "the election timeout goes from a shorter to a longer time"
        )
    if raft.heartbeat * 2 > low:
        findings.error(
            ("raft", "heartbeat"),
            f"a heartbeat every {raft.heartbeat} ms is too rare for an election timeout of {low} ms",
            suggestion="at most half of the shortest election timeout",
        )


CLUSTER_RULES = (
    _judge_nodes,
    _judge_secret,
    _judge_api,
    _judge_clear_text,
    _judge_node_token,
    _judge_scheme,
    _judge_listeners,
    _judge_timers,
)
