r"""HelixDNS keys and names: ``/helix/com/example/foo/A`` is the A record of ``foo.example.com``.

Labels stand in reversed order, the type in upper case behind them. Every legal name has exactly one
key: what a label may hold but a step of a path may not is escaped as in master files (``a\.b``).
"""

import re
from dataclasses import dataclass

from node.api.etcd.errors import INVALID_FIELD, NOT_FOUND, EtcdProblem
from node.api.problem import Problem
from node.api.routes import decoded
from node.zone.name import BadName, Name, from_labels, from_text, iter_labels, to_text
from node.zone.rrset import BadRdata, type_from_text, type_to_text

ROOT_STEP = "helix"
_TYPE = re.compile(r"[A-Z][A-Z0-9-]*")
_PROTOCOLS = (b"_tcp", b"_udp", b"_sctp", b"_dccp", b"_tls")
_SRV = 33


@dataclass(frozen=True, slots=True)
class Key:
    """A place in the tree: a name, below it a type, below that one of several records."""

    name: Name
    type: int | None = None
    member: str | None = None

    def __str__(self) -> str:
        """Write the key as etcd does."""
        return key_text(self.name, self.type, self.member)


def read_key(raw: str) -> Key:
    """Read a key from the raw path behind ``/v2/keys/``. Raises ``EtcdProblem``."""
    steps = [_step(raw, step) for step in raw.split("/") if step]
    if steps[:1] != [ROOT_STEP]:
        raise EtcdProblem(NOT_FOUND, f"/{raw}: there is nothing but /{ROOT_STEP} here")
    labels: list[bytes] = []
    for position, step in enumerate(steps[1:], 1):
        type_ = _read_type(step)
        if type_ is None:
            labels.append(_read_label(raw, step))
            continue
        behind = steps[position + 1 :]
        if len(behind) > 1:
            raise EtcdProblem(INVALID_FIELD, f"/{raw}: behind the type {step} comes one step at most")
        return Key(_name(raw, labels), type_, behind[0] if behind else None)
    return Key(_name(raw, labels))


def key_text(name: Name, type_: int | None = None, member: str | None = None) -> str:
    """Write the key of a name, of an RRset, or of one of its records."""
    steps = [_label_text(label) for label in reversed(list(iter_labels(name)))]
    steps += [] if type_ is None else [type_to_text(type_)]
    steps += [] if member is None else [member]
    return "/".join(["", ROOT_STEP, *steps])


def srv_order_problem(key: Key) -> str | None:
    """Return a sentence when the steps of an SRV key are in the order of the name instead of reversed."""
    first = next(iter_labels(key.name), b"")
    if key.type != _SRV or first not in _PROTOCOLS:
        return None
    return f"{key}: the protocol comes before the service, as in /helix/com/example/_tcp/_sip/SRV"


def _step(raw: str, step: str) -> str:
    try:
        return decoded(step)
    except Problem as problem:
        raise EtcdProblem(INVALID_FIELD, f"/{raw}: {problem.detail}") from None


def _read_type(step: str) -> int | None:
    if not _TYPE.fullmatch(step):
        return None
    try:
        return type_from_text(step)
    except BadRdata:
        return None


def _read_label(raw: str, step: str) -> bytes:
    """Read one label; a dot in it must be escaped, so that a name is never taken for a label."""
    try:
        labels = list(iter_labels(from_text(step)))
    except BadName as error:
        raise EtcdProblem(INVALID_FIELD, f"/{raw}: {error}") from None
    if len(labels) != 1 or (step.endswith(".") and not step.endswith("\\.")):
        raise EtcdProblem(
            INVALID_FIELD, f"/{raw}: {step} is not one label; write each label as a step of its own"
        )
    return labels[0]


def _name(raw: str, labels: list[bytes]) -> Name:
    try:
        return from_labels(labels[::-1])
    except BadName as error:
        raise EtcdProblem(INVALID_FIELD, f"/{raw}: {error}") from None


def _label_text(label: bytes) -> str:
    return to_text(from_labels([label]))[:-1].replace("/", "\\047")
