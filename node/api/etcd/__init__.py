"""The etcd v2 façade: HelixDNS keys over our zones."""
