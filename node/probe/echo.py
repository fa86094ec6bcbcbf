"""ICMP probes: one echo request over an unprivileged ping socket (Linux: net.ipv4.ping_group_range)."""

import secrets
import socket
import struct

from node.probe.datagram import ask, open_datagram
from node.probe.result import Failed, Progress

_ECHO_REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}
_ECHO_REPLY = {socket.AF_INET: 0, socket.AF_INET6: 129}
_NOT_PERMITTED = "this node may not ping: net.ipv4.ping_group_range does not include its group"


async def probe_icmp(address: str, progress: Progress) -> str:
    """Send one echo request; return the evidence of its reply. Raises ``Failed`` or ``OSError``.

    The kernel fills in the identifier and the checksum, and hands us only replies that carry the first.
    """
    protocol = socket.IPPROTO_ICMPV6 if ":" in address else socket.IPPROTO_ICMP
    try:
        sock = open_datagram(address, 0, protocol)
    except PermissionError:
        raise Failed(_NOT_PERMITTED, answered=False, tried=False) from None
    reply_type, token = _ECHO_REPLY[sock.family], secrets.token_bytes(16)
    request = struct.pack(">BBHHH", _ECHO_REQUEST[sock.family], 0, 0, 0, 1) + token

    def judge(datagram: bytes) -> str | None:
        return "echo reply" if datagram[:1] == bytes((reply_type,)) and datagram[8:] == token else None

    return await ask(sock, request, judge, progress)
