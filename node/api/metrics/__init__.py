"""What a node tells Prometheus: one sight of the node, the metrics in it, their text."""
