"""quorumdns: a Raft-replicated, authoritative DNS and health-monitoring node."""
