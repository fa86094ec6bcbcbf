"""[api] from its checked table to the program's values."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from node.config.build import NODE_PLACEHOLDER, build_secret
from node.config.findings import Findings
from node.config.model import ApiSettings, ApiTls, Node, Token
from node.config.schema import Root
from node.config.secret import References, mode_problem

SOCKET_OCTETS_MAX = 107
"""Of the name of a Unix socket on Linux, unix(7)."""
_SOCKET = "api.sock"


def build_api(
    root: Root,
    node: Node,
    tokens: Sequence[Token],
    references: References,
    environ: Mapping[str, str],
    findings: Findings,
) -> ApiSettings:
    """Return where this node's API is; relative files are beside the configuration.

    Under systemd the Unix socket is in the service's own directory below ``/run`` when nothing is said.
    """
    given, runtime = root.api.socket, environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    socket = Path(runtime) / _SOCKET if runtime else None
    if given is not None:
        socket = references.base / given.replace(NODE_PLACEHOLDER, node.name)
        _judge_socket(socket, findings)
        if len(root.nodes) > 1 and NODE_PLACEHOLDER not in given and not Path(given).is_absolute():
            findings.warning(
                ("api", "socket"),
                f"{given} is the same for every node of this file",
                code="shared-socket",
                suggestion=f'socket = "{NODE_PLACEHOLDER}-{Path(given).name}"',
            )
    tls = _tls(root, node, references, environ, findings)
    return ApiSettings(
        node.api_listen,
        tuple(tokens),
        socket,
        tls,
        lambda name: _files_of(root, name, references) if tls else None,
    )


def _judge_socket(socket: Path, findings: Findings) -> None:
    octets = len(str(socket).encode())
    if octets > SOCKET_OCTETS_MAX:
        findings.error(
            ("api", "socket"),
            f"the socket's name {socket} has {octets} octets, {SOCKET_OCTETS_MAX} are possible",
            code="bad-socket",
            suggestion='socket = "/run/quorumdns/api.sock"',
        )


def _tls(
    root: Root, node: Node, references: References, environ: Mapping[str, str], findings: Findings
) -> ApiTls | None:
    table = root.api.tls
    if table is None:
        return None
    key = build_secret(
        table.key.replace(NODE_PLACEHOLDER, node.name), ("api", "tls", "key"), references, findings
    )
    if key is None:
        return None
    if key.reference.startswith("env:"):
        text = "TLS reads its key from a file"
        findings.error(("api", "tls", "key"), text, code="bad-secret", suggestion='key = "file:tls/api.key"')
        return None
    problem = mode_problem(key, environ)
    if problem is not None:
        findings.error(("api", "tls", "key"), problem, code="open-secret")
    return _files_of(root, node.name, references)


def _files_of(root: Root, name: str, references: References) -> ApiTls | None:
    """Return the files of any node's API; the table was judged before."""
    table = root.api.tls
    if table is None:
        return None
    cert, key = (text.replace(NODE_PLACEHOLDER, name) for text in (table.cert, table.key))
    ca = references.base / table.ca if table.ca is not None else None
    return ApiTls(references.base / cert, references.secret(key), ca)
