"""What ``qdns config check`` finds in certificates: those of this node and its API, and of all others that are here."""

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from node.config.messages import Fault
from node.config.secret import SecretError, path_of
from node.counted import counted

if TYPE_CHECKING:
    from node.config import Config
    from node.config.model import Node
    from raft.protection import TlsFiles


def certificate_faults(config: "Config", environ: Mapping[str, str]) -> Iterator[Fault]:
    """Yield what keeps nodes from starting with their certificates, and what will soon."""
    yield from _of_apis(config)
    for node in config.nodes:
        tls = config.cluster.tls_of(node.name)
        if tls is None:
            return
        is_own = node.name == config.node.name and config.node_source != "unknown"
        try:
            key = path_of(tls.key, environ)
        except SecretError as error:
            if is_own:
                yield _fault(config, str(error), "warning", "secret-missing")
            continue
        if key is None or not (is_own or tls.cert.exists()):
            continue
        from raft.protection import TlsFiles

        yield from _of_node(config, node, TlsFiles(tls.ca, tls.cert, key, tls.refused))


def _of_node(config: "Config", node: "Node", files: "TlsFiles") -> Iterator[Fault]:
    from raft.errors import RaftError
    from raft.identity import Certified
    from raft.trust import WARN_DAYS, check_files, is_world_readable

    missing = [path for path in (files.authority, files.certificate, files.key) if not path.exists()]
    if missing:
        yield _missing(config, node.name, missing[0])
        return
    if is_world_readable(files.key):
        message = f"everyone on this machine can read the key {files.key}"
        yield _fault(config, message, "warning", "open-key", f"chmod 600 {files.key}")
    try:
        ends = check_files(files, Certified(config.cluster.name, node.name, node.role))
    except RaftError as error:
        yield _fault(config, str(error), "error", "bad-certificate")
        return
    days = (ends - dt.datetime.now(dt.UTC)).days
    if days < WARN_DAYS:
        message = f"the certificate of {node.name} ends in {counted(days, 'day')}, on {ends:%Y-%m-%d}"
        yield _fault(config, message, "warning", "certificate-ends", f"qdns init --renew {node.name}")


def _of_apis(config: "Config") -> Iterator[Fault]:
    """Yield which certificates of APIs end soon, or have ended: clients refuse them, nodes start with them."""
    from cryptography import x509

    from raft.trust import WARN_DAYS

    for node in config.nodes:
        tls = config.api.tls_of(node.name)
        try:
            octets = tls.cert.read_bytes() if tls is not None else b""
            ends = x509.load_pem_x509_certificate(octets).not_valid_after_utc
        except (OSError, ValueError):
            continue  # the node says so when it starts; of the others not all files need be here
        days = (ends - dt.datetime.now(dt.UTC)).days
        if days < WARN_DAYS:
            message = (
                f"the certificate of the API of {node.name} ends in {counted(days, 'day')}, on {ends:%Y-%m-%d}"
            )
            if days < 0:
                message = f"the certificate of the API of {node.name} has ended on {ends:%Y-%m-%d}"
            help_ = f"made by qdns init: qdns init --renew {node.name}"
            yield Fault(
                message,
                "certificate-ends",
                str(config.path or ""),
                path="api.tls",
                suggestion=help_,
                level="warning",
            )


def _missing(config: "Config", node: str, path: Path) -> Fault:
    message = f"{path} is not here, and {node} does not start without it"
    help_ = f"copy it from where qdns init was run; or make it: qdns init --issue {node}"
    return _fault(config, message, "warning", "certificate-missing", help_)


def _fault(
    config: "Config", message: str, level: Literal["error", "warning"], code: str, suggestion: str = ""
) -> Fault:
    return Fault(message, code, str(config.path or ""), path="cluster.tls", suggestion=suggestion, level=level)
