"""What a node derives from the configuration before anything runs."""

import hashlib
from typing import Any

import pytest

from node.plan import _node_token

SECRET = b"a secret of the tests' own making"


def test_what_goes_over_the_wire_is_no_quick_way_to_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes show a token in plain HTTP: who reads it must pay for every guess at the cluster's secret (scrypt)."""
    paid: list[bytes] = []
    scrypt = hashlib.scrypt

    def counted(secret: bytes, **costs: Any) -> bytes:
        paid.append(secret)
        assert costs["n"] * costs["r"] >= 1 << 17
        return scrypt(secret, **costs)

    monkeypatch.setattr(hashlib, "scrypt", counted)
    assert _node_token("c1", SECRET) == _node_token("c1", SECRET)
    assert [SECRET, SECRET] == paid


def test_two_clusters_with_one_secret_do_not_read_each_other() -> None:
    """The token is one cluster's, as the keys between its nodes are."""
    assert _node_token("c1", SECRET) != _node_token("c2", SECRET)
