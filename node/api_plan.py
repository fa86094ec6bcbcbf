"""What the HTTP API of a node is to be, from its configuration: where it listens, who may ask, what it shows."""

import hashlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from node.api.context import Token
from node.certificate import CertificateFiles
from node.config import Config
from node.config.secret import path_of


@dataclass(frozen=True, slots=True)
class ApiPlan:
    """Where the API listens, the tokens of the file as hashes, and the certificate."""

    listen: tuple[str, ...]
    """As ``node.api.settings`` has it."""
    tokens: tuple[Token, ...] = field(default=(), repr=False)
    certificate: CertificateFiles | None = None
    ca: str | None = None
    """A file of authorities that the other nodes' certificates are checked by; None for the system's."""
    config_hash: str = ""
    """Of what the nodes' files have in common."""
    inherited: Mapping[str, socket.socket] = field(default_factory=dict, compare=False, repr=False)
    """Listening sockets that a socket unit of systemd holds, by what they stand for in ``listen``."""


class FileFacts:
    """What requests are told of this node's file, renewed at a reload."""

    def __init__(self, plan: ApiPlan) -> None:
        self.tokens = list(plan.tokens)
        self.config_hash = plan.config_hash

    def renew(self, plan: ApiPlan) -> None:
        """Tell of this plan from now on."""
        self.tokens[:] = plan.tokens
        self.config_hash = plan.config_hash


def api_plan_of(config: Config, environ: Mapping[str, str]) -> ApiPlan:
    """Return the plan that a configuration describes. Raises ``SecretError``."""
    api = config.api
    local = () if api.socket is None else (f"unix:{api.socket}",)
    tokens = tuple(
        Token(each.name, hashlib.sha256(each.secret.read(environ)).hexdigest(), each.scopes)
        for each in api.tokens
    )
    if api.tls is None:
        return ApiPlan((api.listen, *local), tokens, config_hash=config.shared_hash)
    key = path_of(api.tls.key, environ)
    assert key is not None  # the configuration allows files and credentials only
    ca = None if api.tls.ca is None else str(api.tls.ca)
    return ApiPlan((api.listen, *local), tokens, CertificateFiles(api.tls.cert, key), ca, config.shared_hash)
