"""THE REPLICATED LOG. Knows nothing of DNS or health."""
