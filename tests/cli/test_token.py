"""Creating a token: the secret is made here, sent to nobody, and shown once."""

import hashlib
import json

from tests.cli.conftest import Qdns, Serve


def test_the_secret_stays_here(qdns: Qdns, serve: Serve) -> None:
    """Standard output is the secret alone, and the node gets its hash alone."""
    node = serve("degraded")
    ran = qdns(
        "token", "create", "ci", "--scope", "acme", "--scope", "read", "--for", "90d", "--reason", "pipeline"
    )
    assert 0 == ran.code
    secret = ran.out.removesuffix("\n")
    assert secret.startswith("qdns_ci_")
    assert len("qdns_ci_") + 64 == len(secret)
    sent = node.writes[-1]
    digest = hashlib.sha256(secret.encode()).hexdigest()
    assert {"sha256": digest, "scopes": ["acme", "read"], "expires_in_s": 7_776_000} == sent.body
    assert ("*", "pipeline") == (sent.headers["if-none-match"], sent.headers["qdns-reason"])
    assert secret not in ran.err + json.dumps(sent.headers)
    assert secret != qdns("token", "create", "ci", "--scope", "read").out.strip()


def test_for_programs(qdns: Qdns, serve: Serve) -> None:
    """With --json the secret stands in the document."""
    serve("degraded")
    made = json.loads(qdns("token", "create", "ci", "--scope", "read", "--json").out)
    assert {"name", "token", "index", "serial", "changed"} == set(made)
    assert made["token"].startswith("qdns_ci_")
