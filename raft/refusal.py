"""Why one node refuses another, in words an operator can act on."""

from typing import Final, Literal, get_args

CLOCK_SKEW_MAX_S: Final = 300
"""How far the wall clocks of two nodes may differ: as far as TSIG allows (RFC 8945 section 10)."""

Word = Literal[
    "protocol",
    "tls",
    "version",
    "cluster",
    "own-name",
    "name",
    "unknown",
    "directory",
    "history",
    "founders",
    "role",
    "certificate",
    "authority",
    "expired",
    "early",
    "revoked",
    "clock",
    "mode",
    "secret",
    "superseded",
    "frame",
    "slow",
    "silent",
    "crowd",
    "backlog",
]

PAST_WORDS: Final[frozenset[Word]] = frozenset({"unknown", "directory", "history"})
"""What only a node says that knows who belongs to its cluster."""

_REASONS: Final[dict[Word, str]] = {
    "protocol": "does not speak the protocol between nodes",
    "tls": "uses another protection: give every node certificates, or every node the shared secret",
    "version": "speaks another version of the protocol between nodes; upgrade the older side",
    "cluster": "belongs to another cluster; correct its address or its cluster name",
    "own-name": "uses this node's own name; give every node a name of its own",
    "name": "another node answers at this address than the configuration says; correct the addresses",
    "unknown": "is not a member of this cluster as far as that is known there: `qdns node add` lets it in. A node that is "
    "new or was emptied knows the nodes of its configuration alone, which has to name some of those that are there",
    "directory": "comes with another data directory than this cluster knows it by: what it promised before is forgotten, "
    "and so it must not vote under that name. Give it its data directory back, or run `qdns node replace` for it",
    "history": "holds the log of another cluster of the same name; empty its data directory if it is to join this one",
    "founders": "has other voters in its configuration than this node, and there is no cluster yet: none is founded "
    "until both name the same. Correct the wrong one and restart that node",
    "role": "has another role than the configuration gives it",
    "certificate": "says another name, role or cluster than its certificate",
    "authority": "has a certificate that this cluster's authority did not make; issue it one by qdns init --issue",
    "expired": "has a certificate that has expired; renew it by qdns init --renew, or correct the clock",
    "early": "has a certificate that is not valid yet; set the clocks of both machines by NTP",
    "revoked": "has a certificate that stands in the list of refused ones; issue it a new one if it may come back",
    "clock": "has a clock that is far off; set the clocks of both machines by NTP",
    "mode": "does not use the same protection; give every node the same secret or none",
    "secret": "has another shared secret; give every node the same",
    "superseded": "was replaced by a newer process under the same name; stop one of the two",
    "frame": "sent what cannot be accepted",
    "slow": "did not prove who it is in time",
    "silent": "ended the connection before it said who it is; look at what it logs about this node",
    "crowd": "too many connections wait to prove who they are",
    "backlog": "does not read what it is sent",
}


class Refusal(Exception):
    """A connection that ends because of what the other side is, said or did."""

    def __init__(self, word: Word, detail: str, *, by_peer: bool = False) -> None:
        super().__init__(word, detail)
        self.word: Word = word
        self.detail = detail[:100]
        self.by_peer = by_peer

    @classmethod
    def from_peer(cls, body: bytes) -> "Refusal":
        """Read what the other side says about refusing us; unknown words are not repeated to anyone."""
        for word in get_args(Word):
            if body == word.encode():
                return cls(word, "", by_peer=True)
        return cls("protocol", "it refuses this node without a known reason")

    @property
    def reason(self) -> str:
        """The sentence for the log."""
        text = _REASONS[self.word]
        if self.by_peer:
            return f"refuses this node, saying of it: {text}"
        return f"{text} ({self.detail!r})" if self.detail else text
