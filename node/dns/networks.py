"""IP addresses and the networks they lie in. Answerers use it, so it knows the standard library only. Pure."""

import ipaddress
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def read_plain(address: str | bytes) -> Address:
    """Read an address, or its octets; an IPv4 address that IPv6 carries counts as IPv4."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


def is_in(address: str, networks: Iterable[Network]) -> bool:
    """Say whether an IP address lies in one of the networks."""
    parsed = read_plain(address)
    return any(parsed in network for network in networks)


def prefix_of(address: Address, ipv4_prefix: int, ipv6_prefix: int) -> bytes:
    """Return an address with all bits behind its prefix cleared."""
    prefix = ipv4_prefix if address.version == 4 else ipv6_prefix
    host_bits = address.max_prefixlen - prefix
    return (int(address) >> host_bits << host_bits).to_bytes(address.max_prefixlen // 8, "big")
