"""DNS DATA. Pure: names, RRsets, serials, zones."""
