"""The command line, qdns: one module per noun."""
