"""The subset of PowerDNS' HTTP API that octodns, lego, external-dns, terraform and others use."""
