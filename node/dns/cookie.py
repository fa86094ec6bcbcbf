"""DNS cookies (RFC 7873) in the form that all servers of a cluster can check (RFC 9018). Pure."""

import hmac
import ipaddress

COOKIE = 10
"""The EDNS option."""
SECRET_OCTETS = 16
CLIENT_OCTETS = 8
SERVER_OCTETS_MIN, SERVER_OCTETS_MAX = 8, 32
_VERSION = b"\x01"
_OURS_OCTETS = 16
_AGE_S_MAX = 3600
_AHEAD_S_MAX = 300
_RENEWED_AFTER_S = 1800
_DAY_S = 86_400
_MASK = 2**64 - 1


def is_well_formed(option: bytes) -> bool:
    """Say whether the option holds a client cookie, alone or with a server's (RFC 7873 section 5.2.2)."""
    length = len(option) - CLIENT_OCTETS
    return length == 0 or SERVER_OCTETS_MIN <= length <= SERVER_OCTETS_MAX


def is_ours(option: bytes, address: str, secrets: tuple[bytes, ...], now_s: int) -> bool:
    """Say whether the server's part was made by one of us for this client, not too long ago (RFC 9018 section 4.3)."""
    client, server = option[:CLIENT_OCTETS], option[CLIENT_OCTETS:]
    if len(server) != _OURS_OCTETS or server[:1] != _VERSION:
        return False
    if not -_AHEAD_S_MAX <= _age_s(server, now_s) <= _AGE_S_MAX:
        return False
    return any(
        hmac.compare_digest(server[8:], _hash(client, server[:8], address, secret)) for secret in secrets
    )


def renewed(option: bytes, address: str, secrets: tuple[bytes, ...], now_s: int) -> bytes:
    """Return the option to answer with: the same while it is young, else a new one under the first secret."""
    if is_ours(option, address, secrets[:1], now_s) and _age_s(option[8:], now_s) <= _RENEWED_AFTER_S:
        return option
    client = option[:CLIENT_OCTETS]
    fixed = _VERSION + bytes(3) + (now_s % 2**32).to_bytes(4, "big")
    return client + fixed + _hash(client, fixed, address, secrets[0])


class RollingSecrets:
    """Secrets that change by themselves, the same on all who share a master secret (RFC 7873 section 7.1).

    Every day has its own. Those of the day before and the day after are accepted as well: cookies live for an
    hour, and clocks differ.
    """

    def __init__(self, master: bytes) -> None:
        self._master = master
        self._day = -1
        self._secrets: tuple[bytes, ...] = ()

    def at(self, now_s: int) -> tuple[bytes, ...]:
        """Return the secrets of a time; the first makes cookies."""
        day = now_s // _DAY_S
        if day != self._day:
            self._secrets = tuple(self._of(each) for each in (day, day - 1, day + 1))
            self._day = day
        return self._secrets

    def _of(self, day: int) -> bytes:
        return hmac.digest(self._master, b"cookies of day %d" % day, "sha256")[:SECRET_OCTETS]


def _age_s(server: bytes, now_s: int) -> int:
    """Return how old the server's part is, negative when it is from the future (RFC 1982 arithmetic)."""
    age_s = (now_s - int.from_bytes(server[4:8], "big")) % 2**32
    return age_s - 2**32 if age_s >= 2**31 else age_s


def _hash(client: bytes, fixed: bytes, address: str, secret: bytes) -> bytes:
    return siphash(secret, client + fixed + ipaddress.ip_address(address).packed)


def siphash(key: bytes, message: bytes) -> bytes:
    """Return the SipHash-2-4 of a message under a key of 16 octets, in little-endian order."""
    low, high = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    state = (
        low ^ 0x736F6D6570736575,
        high ^ 0x646F72616E646F6D,
        low ^ 0x6C7967656E657261,
        high ^ 0x7465646279746573,
    )
    padded = message + bytes(7 - len(message) % 8) + bytes((len(message) & 255,))
    for start in range(0, len(padded), 8):
        word = int.from_bytes(padded[start : start + 8], "little")
        a, b, c, d = state
        a, b, c, d = _round(*_round(a, b, c, d ^ word))
        state = (a ^ word, b, c, d)
    a, b, c, d = state
    state = (a, b, c ^ 0xFF, d)
    for _ in range(4):
        state = _round(*state)
    return (state[0] ^ state[1] ^ state[2] ^ state[3]).to_bytes(8, "little")


def _round(a: int, b: int, c: int, d: int) -> tuple[int, int, int, int]:
    a = a + b & _MASK
    b = (b << 13 | b >> 51) & _MASK ^ a
    a = (a << 32 | a >> 32) & _MASK
    c = c + d & _MASK
    d = (d << 16 | d >> 48) & _MASK ^ c
    a = a + d & _MASK
    d = (d << 21 | d >> 43) & _MASK ^ a
    c = c + b & _MASK
    b = (b << 17 | b >> 47) & _MASK ^ c
    c = (c << 32 | c >> 32) & _MASK
    return a, b, c, d
