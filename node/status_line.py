"""The one line that ``systemctl status`` shows of a node. Pure."""

from node.state.state import State
from raft.status import ReplicaStatus


def status_line(state: State, replica: ReplicaStatus) -> str:
    """Say the node's part, the term, how many nodes are in contact, and how many endpoints are up."""
    if not replica.ready:
        return "starting: not caught up with the cluster yet"
    voters = 1 + len(replica.peers)
    there = 1 + sum(peer.connected for peer in replica.peers)
    endpoints = [each for service in state.services.values() for _, each in service.endpoints]
    up = sum(each.verdict == "up" for each in endpoints)
    quorum = "" if replica.has_quorum else ", no quorum"
    return f"{replica.role}, term {replica.term}, {there}/{voters} nodes{quorum}, {up} of {len(endpoints)} endpoints up"
