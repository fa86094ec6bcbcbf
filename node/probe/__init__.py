"""REACHING ENDPOINTS: checks and the schedule of probes."""
