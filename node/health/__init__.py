"""HEALTH DECISIONS. Pure: services, votes, verdicts, what is published and why."""
