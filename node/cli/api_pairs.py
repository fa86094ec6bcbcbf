"""Certificates of the nodes' HTTP APIs, made by the authority of the cluster beside those of the nodes.

Only where ``[api] tls`` has that authority for its ``ca``: certificates from elsewhere are left alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from node.cli.faults import usage
from node.cli.new_files import PRIVATE, NewFile, keep_copy, replace, write_new
from node.config.addresses import host_of

if TYPE_CHECKING:
    from cryptography import x509

    from node.config import Config
    from raft.certificates import Pair


@dataclass(frozen=True, slots=True)
class ApiFiles:
    """Where certificate and key of one node's API are, here."""

    node: str
    certificate: Path
    key: Path


class ApiPairs:
    """The certificates of the APIs in a folder, as ``node.cli.authority`` has those of the nodes."""

    def __init__(self, config: "Config", ca: Path, read: "Callable[[Path], list[x509.Certificate]]") -> None:
        self._config = config
        self._ca = ca
        self._read = read

    def files(self, node: str) -> ApiFiles | None:
        """Return where the files of a node's API belong, None where this authority has nothing to do with them."""
        tls = self._config.api.tls_of(node)
        kind, _, key = tls.key.reference.partition(":") if tls is not None else ("", "", "")
        if tls is None or kind != "file" or tls.ca is None or tls.ca.resolve() != self._ca.resolve():
            return None
        return ApiFiles(node, tls.cert, Path(key))

    def make(self, authority: "Pair", node: str, more_hosts: Sequence[str]) -> ApiFiles | None:
        """Make a node's files, or make them anew with the names they had; the old ones are kept in ``old``.

        Return None where there is nothing to make. Raises ``Failure`` for a name that is none.
        """
        files = self.files(node)
        if files is None or not self._is_ours(files):
            return None
        present = self._read(files.certificate)[0] if files.certificate.exists() else None
        hosts = self._hosts(node, present, more_hosts)
        if not hosts:
            return None
        pair = _issued(authority, node, hosts)
        certificate, key = NewFile(pair.certificate), NewFile(pair.key, PRIVATE)
        if present is None:
            write_new({files.certificate: certificate, files.key: key})
            return files
        serial = f"{present.serial_number:x}"[:16]
        for path in (files.certificate, files.key):
            if path.exists():
                keep_copy(path, path.parent / "old" / f"{path.stem}-{serial}{path.suffix}")
        replace(files.certificate, certificate)
        replace(files.key, key)
        return files

    def not_of(self, authority: "x509.Certificate", nodes: Sequence[str]) -> Iterator[str]:
        """Yield the nodes whose APIs have, here, a certificate of a former authority of the cluster."""
        from raft.certificates import is_issued_by

        for files in map(self.files, nodes):
            if files is None or not files.certificate.exists() or not self._is_ours(files):
                continue
            if not is_issued_by(self._read(files.certificate)[0], authority):
                yield files.node

    def _is_ours(self, files: ApiFiles) -> bool:
        """Say whether there is no certificate yet, or one that the cluster's authorities made."""
        from raft.certificates import is_issued_by

        if not files.certificate.exists():
            return True
        present = self._read(files.certificate)[0]
        return any(is_issued_by(present, each) for each in self._read(self._ca))

    def _hosts(self, node: str, present: "x509.Certificate | None", more: Sequence[str]) -> list[str]:
        """Return by which names and addresses clients know a node's API, each once; none when nothing is known of it."""
        from raft.certificates import hosts_in

        known = next((each for each in self._config.nodes if each.name == node), None)
        found = list(more) + (list(hosts_in(present)) if present is not None else [])
        if known is not None:
            found += [host_of(known.raft), host_of(known.api.partition("://")[2])]
        return list(dict.fromkeys([*found, node])) if found else []


def _issued(authority: "Pair", node: str, hosts: Sequence[str]) -> "Pair":
    from raft.certificates import issue_server

    try:
        return issue_server(authority, node, hosts)
    except ValueError as error:
        raise usage(f"a certificate cannot name {', '.join(hosts)}: {error}") from None


def require_host(text: str) -> str:
    """Return a name or address that a certificate can have. Raises ``Failure``."""
    is_plain = text.isascii() and text.isprintable() and not set(text) & set(" /@*?#\\\"'")
    if not text or not is_plain or len(text) > 253:
        raise usage(f"--host: {text!r} is no name or address of an API")
    return text
