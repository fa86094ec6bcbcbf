"""The authority of a cluster as a folder holds it: makes, renews and takes back certificates of nodes.

The folder is the one that ``qdns init`` made, or another with its ``cluster.toml``, ``tls`` and
``offline/ca.key``. The nodes need none of it but their own files.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from node.cli.api_pairs import ApiFiles, ApiPairs
from node.cli.faults import ExitCode, Failure
from node.cli.new_files import PRIVATE, NewFile, keep_copy, replace, write_new

if TYPE_CHECKING:
    from cryptography import x509

    from node.config import Config
    from node.config.model import ClusterTls
    from raft.certificates import Pair
    from raft.identity import Role

CA_KEY = Path("offline/ca.key")
REFUSED_HEAD = b"""# Certificates of this cluster that are trusted no more: SHA-256 fingerprints, one a line.
# qdns init --revoke NODE adds one; copy this file to all nodes, they read it by themselves.
"""


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """Where certificate and key of one node are, here."""

    node: str
    certificate: Path
    key: Path


class AuthorityFolder:
    """The authority of the cluster that a configuration describes; ``ca_key`` may be elsewhere."""

    def __init__(self, config: "Config", ca_key: Path | None) -> None:
        self.cluster = config.cluster.name
        self.nodes = tuple(each.name for each in config.nodes)
        self._roles: dict[str, Role] = {each.name: each.role for each in config.nodes}
        self._tls_of = config.cluster.tls_of
        self.ca_key = ca_key or config.base / CA_KEY
        tls = self._tls(self.nodes[0])
        self.ca = tls.ca
        self.refused = tls.refused
        self._apis = ApiPairs(config, self.ca, _read)

    def issue(self, node: str, *, replica: bool = False) -> NodeFiles:
        """Make the first certificate of a node, which says whether it votes. Raises ``Failure`` if it has one."""
        files = self.files(node)
        pair = self._make(node, "replica" if replica else self._roles.get(node, "voter"))
        write_new({files.certificate: NewFile(pair.certificate), files.key: NewFile(pair.key, PRIVATE)})
        return files

    def renew(self, node: str) -> NodeFiles:
        """Make a new certificate and key for a node; those it had are kept in ``old``. Raises ``Failure``."""
        files = self.files(node)
        if not files.certificate.exists():
            raise Failure(
                f"{node} has no certificate here ({files.certificate}); nothing was changed",
                ExitCode.NOT_FOUND,
                hint=f"its first one: qdns init --issue {node}",
            )
        present = _read(files.certificate)[0]
        pair = self._make(node, self._role_in(files.certificate, present))
        serial = f"{present.serial_number:x}"[:16]
        for path in (files.certificate, files.key):
            if path.exists():
                keep_copy(path, path.parent / "old" / f"{path.stem}-{serial}{path.suffix}")
        replace(files.certificate, NewFile(pair.certificate))
        replace(files.key, NewFile(pair.key, PRIVATE))
        return files

    def makes_api(self, node: str) -> bool:
        """Say whether what a node's API shows is this authority's to make."""
        return self._apis.files(node) is not None

    def make_api(self, node: str, hosts: Sequence[str] = ()) -> ApiFiles | None:
        """Make or renew what a node's API shows; ``hosts`` are names and addresses that the configuration lacks.

        None where that is not this authority's, or no name is known.
        """
        return self._apis.make(self._pair(), node, hosts)

    def revoke(self, node: str) -> list[str]:
        """Put all certificates of a node that are here into the list of refused ones; return those that are new there.

        Raises ``Failure`` if there is none, or no list.
        """
        from raft.tls import fingerprint

        if self.refused is None:
            raise Failure(
                "the configuration names no list of refused certificates; nothing was changed",
                ExitCode.CONFIG,
                hint='add to [cluster.tls]: refused = "tls/refused"',
            )
        found = [fingerprint(each) for path in self._certificates_of(node) for each in _read(path)]
        if not found:
            raise Failure(
                f"there is no certificate of {node} here; nothing was changed",
                ExitCode.NOT_FOUND,
                hint=f"add its fingerprint to {self.refused} by hand: openssl x509 -noout -fingerprint -sha256 -in FILE",
            )
        before = self.refused.read_bytes() if self.refused.exists() else REFUSED_HEAD
        added = [each for each in found if each.encode() not in before.lower().replace(b":", b"")]
        lines = "".join(f"{each}  # {node}\n" for each in added)
        text = before if before.endswith(b"\n") or not before else before + b"\n"
        replace(self.refused, NewFile(text + lines.encode()))
        return added

    def begin_rotation(self) -> None:
        """Make a new authority that is trusted beside the old one; its key takes the old one's place."""
        from raft.certificates import make_authority

        old = self._pair()
        new = make_authority(self.cluster)
        serial = f"{_parse(old.certificate, self.ca)[0].serial_number:x}"[:16]
        trusted = self.ca.read_bytes()
        keep_copy(self.ca_key, self.ca_key.parent / "old" / f"ca-{serial}.key")
        replace(self.ca, NewFile(new.certificate + trusted))  # first: the old key still fits, if this ends here
        replace(self.ca_key, NewFile(new.key, PRIVATE))

    def end_rotation(self) -> None:
        """Trust the authority in use alone. Raises ``Failure`` while a node's certificate here is of another one."""
        from raft.certificates import is_issued_by

        pair = self._pair()
        (authority,) = _parse(pair.certificate, self.ca)
        here = [files for files in map(self.files, self.nodes) if files.certificate.exists()]
        left = [each.node for each in here if not is_issued_by(_read(each.certificate)[0], authority)]
        left = list(dict.fromkeys([*left, *self._apis.not_of(authority, self.nodes)]))
        if left:
            raise Failure(
                f"certificates of the former authority are still in use: {', '.join(left)}; nothing was changed",
                ExitCode.CONFLICT,
                hint=f"qdns init --renew {left[0]}",
            )
        replace(self.ca, NewFile(pair.certificate))

    def files(self, node: str) -> NodeFiles:
        """Return where certificate and key of a node belong. Raises ``Failure`` when that is not known."""
        tls = self._tls(node)
        kind, _, rest = tls.key.reference.partition(":")
        key = Path(rest) if kind == "file" else tls.cert.with_suffix(".key")
        return NodeFiles(node, tls.cert, key)

    def ends(self, node: str) -> str:
        """Return the day on which a node's certificate ends."""
        return f"{_read(self.files(node).certificate)[0].not_valid_after_utc:%Y-%m-%d}"

    def _tls(self, node: str) -> "ClusterTls":
        tls = self._tls_of(node)
        if tls is None:
            raise Failure(
                "this cluster has no certificates: [cluster] tls is not in its configuration",
                ExitCode.CONFIG,
                hint="qdns init --cluster NAME --node ... --out DIR makes files to take over",
            )
        return tls

    def _certificates_of(self, node: str) -> Iterator[Path]:
        present = self.files(node).certificate
        if present.exists():
            yield present
        yield from sorted((present.parent / "old").glob(f"{present.stem}-*{present.suffix}"))

    @staticmethod
    def _role_in(path: Path, certificate: "x509.Certificate") -> "Role":
        from raft.certificates import BadCertificate, read_identity

        try:
            return read_identity(certificate).role
        except BadCertificate as error:
            raise Failure(
                f"{path} is no node's certificate: {error}; nothing was changed", ExitCode.CONFLICT
            ) from None

    def _make(self, node: str, role: "Role") -> "Pair":
        from raft.certificates import issue
        from raft.identity import Certified

        return issue(self._pair(), Certified(self.cluster, node, role))

    def _pair(self) -> "Pair":
        """Return the authority's certificate and key. Raises ``Failure``."""
        from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

        from raft.certificates import Pair

        try:
            octets = self.ca_key.read_bytes()
            public = load_pem_private_key(octets, password=None).public_key()
        except (OSError, ValueError, TypeError) as error:
            raise self._no_key(error) from None
        for each in _read(self.ca):
            if each.public_key() == public:
                return Pair(each.public_bytes(Encoding.PEM), octets)
        raise Failure(
            f"{self.ca_key} is not the key of the authority in {self.ca}; nothing was changed",
            ExitCode.CONFLICT,
            hint="name the right one: --ca-key FILE",
        )

    def _no_key(self, error: Exception) -> Failure:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Failure(
            f"the authority's key {self.ca_key} cannot be used: {reason.lower()}; nothing was changed",
            ExitCode.NOT_FOUND if isinstance(error, FileNotFoundError) else ExitCode.USAGE,
            hint="do it where you keep that key, or name it: --ca-key FILE",
        )


def _read(path: Path) -> "list[x509.Certificate]":
    """Read the certificates of a file. Raises ``Failure``."""
    try:
        return _parse(path.read_bytes(), path)
    except OSError as error:
        raise Failure(f"cannot read {path}: {(error.strerror or '').lower()}", ExitCode.USAGE) from None


def _parse(octets: bytes, path: Path) -> "list[x509.Certificate]":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(octets)
    except ValueError:
        raise Failure(f"{path} holds no certificate in PEM", ExitCode.USAGE) from None
