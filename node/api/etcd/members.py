"""Several records of one RRset as keys below its type: ``/helix/com/example/foo/A/1``.

DNS knows no order among the records of an RRset and no names for them. So the keys that somebody chose
are kept in the RRset's comment, each with the first octets of a hash of its record; records without
a key of their own are counted through: 1, 2, 3.
"""

import hashlib
import re

import msgspec

from node.zone.rrset import RRset, make

_MARK = re.compile(r"(?P<text>.*?) ?\[keys(?P<keys>(?: [^ =\]]+=[0-9a-f]{8})+)\]", re.DOTALL)
_KEY = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def is_key(text: str) -> bool:
    """Say whether the text can be the key of a record."""
    return _KEY.fullmatch(text) is not None


def has_keys(rrset: RRset) -> bool:
    """Say whether records of this RRset were written under keys of their own."""
    return _MARK.fullmatch(rrset.comment) is not None


def members(rrset: RRset) -> dict[str, bytes]:
    """Return every record by its key."""
    by_hash = {_hash(rdata): rdata for rdata in rrset.rdatas}
    chosen = {key: by_hash[digest] for key, digest in _chosen(rrset.comment).items() if digest in by_hash}
    rest = [rdata for rdata in rrset.rdatas if rdata not in chosen.values()]
    number = 0
    for rdata in rest:
        number += 1
        while str(number) in chosen:
            number += 1
        chosen[str(number)] = rdata
    return dict(sorted(chosen.items(), key=lambda item: (len(item[0]), item[0])))


def with_members(rrset: RRset, by_key: dict[str, bytes]) -> RRset:
    """Return the RRset with exactly these records under these keys; the rest of the comment stays."""
    keys = "".join(f" {key}={_hash(rdata)}" for key, rdata in by_key.items())
    comment = f"{plain_comment(rrset)} [keys{keys}]".lstrip()
    made = make(rrset.name, rrset.type, rrset.ttl, list(by_key.values()))
    return msgspec.structs.replace(made, comment=comment, disabled=rrset.disabled)


def plain_comment(rrset: RRset) -> str:
    """Return the comment without our keys."""
    match = _MARK.fullmatch(rrset.comment)
    return rrset.comment if match is None else match["text"]


def _chosen(comment: str) -> dict[str, str]:
    match = _MARK.fullmatch(comment)
    return {} if match is None else dict(pair.split("=", 1) for pair in match["keys"].split())


def _hash(rdata: bytes) -> str:
    return hashlib.blake2b(rdata, digest_size=4).hexdigest()
