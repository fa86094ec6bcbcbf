"""THE HTTP API and the dashboard."""
