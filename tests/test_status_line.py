"""The one line of ``systemctl status``."""

from node.state.state import State
from node.status_line import status_line
from raft.status import PeerStatus, ReplicaStatus
from tests.api.conftest import SEED, FakeCluster


def replica(**fields: object) -> ReplicaStatus:
    usual = {
        "node": "ns1",
        "role": "follower",
        "leader": "ns2",
        "term": 12,
        "commit_index": 9,
        "applied_index": 9,
    }
    more = {
        "last_index": 9,
        "snapshot_index": 0,
        "log_bytes": 0,
        "has_quorum": True,
        "ready": True,
        "members": (),
    }
    peers = tuple(PeerStatus(name, "127.0.0.1:7300", name == "ns2", 0.1, None) for name in ("ns2", "ns3"))
    return ReplicaStatus(**(usual | more | {"peers": peers} | fields))  # type: ignore[arg-type]


def test_status_line() -> None:
    """Part, term, nodes in contact, endpoints; a node that starts says so, and one without quorum."""
    cluster = FakeCluster()
    cluster.do(SEED)
    cluster.vote("192.0.2.10", True)
    assert "follower, term 12, 2/3 nodes, 1 of 3 endpoints up" == status_line(cluster.state, replica())
    alone = replica(has_quorum=False, role="candidate")
    assert "candidate, term 12, 2/3 nodes, no quorum, 1 of 3 endpoints up" == status_line(cluster.state, alone)
    assert status_line(State(), replica(ready=False)).startswith("starting")
