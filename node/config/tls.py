"""Certificates between nodes: ``tls`` of [cluster].

Paths are beside the file unless they are absolute; ``{node}`` in them is the node's name, so that one
file serves all nodes.
"""

from pathlib import Path

from node.config.build import NODE_PLACEHOLDER
from node.config.findings import Findings
from node.config.model import ClusterTls
from node.config.schema import ClusterTlsTable, Root
from node.config.secret import References

_WHERE = ("cluster", "tls", "key")


def judge(root: Root, findings: Findings) -> None:
    """Note what can be said of the table alone; the files are read when a node starts, or by ``qdns config check``."""
    table = root.cluster.tls
    if table is None:
        return
    try:
        reference = References(Path()).secret(table.key).reference
    except ValueError as error:
        suggestion = f'key = "file:{table.key}"' if ":" not in table.key else ""
        findings.error(_WHERE, str(error), code="bad-secret", suggestion=suggestion)
        return
    if reference.startswith("env:"):
        findings.error(
            _WHERE,
            "TLS reads its key from a file",
            code="bad-secret",
            suggestion='key = "file:tls/{node}.key" or key = "credential:NAME"',
        )
    if len(root.nodes) > 1:
        _judge_own(table, findings)


def _judge_own(table: ClusterTlsTable, findings: Findings) -> None:
    """Tell of a certificate that stands for all nodes, where each has its own; a credential is each machine's."""
    if NODE_PLACEHOLDER not in table.cert and not Path(table.cert).is_absolute():
        findings.warning(
            ("cluster", "tls", "cert"),
            f"{table.cert} is the same for every node, and a certificate is one node's",
            code="shared-certificate",
            suggestion='cert = "tls/{node}.pem"',
        )


def build_tls(root: Root, references: References, node: str) -> ClusterTls | None:
    """Return the files of a node; None without ``tls``. The table was judged before."""
    table = root.cluster.tls
    if table is None:
        return None
    base = references.base
    return ClusterTls(
        ca=base / _filled(table.ca, node),
        cert=base / _filled(table.cert, node),
        key=references.secret(_filled(table.key, node)),
        refused=base / _filled(table.refused, node) if table.refused is not None else None,
    )


def _filled(text: str, node: str) -> str:
    return text.replace(NODE_PLACEHOLDER, node)
