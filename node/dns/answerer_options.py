"""Queries with EDNS options that need no more than the table: cookies (RFC 7873), and options that nobody answers.

The question goes to the cache as if it had no options, with room kept for what is put into the answer. The
options that ask for more than a cookie are the control process's.
"""

import time
from dataclasses import dataclass

from node.dns import cookie as cookies
from node.dns.answerer_cache import AnswerCache
from node.dns.networks import read_plain
from node.dns.policy import Policy

_NSID = 3
_OPT_OCTETS = 11
_OPTIONS_OCTETS_MAX = 512
_KNOWN_MAX = 4_096
_COOKIE_OCTETS = 28
"""Of the option with both parts of a cookie of ours."""
_PERIOD_S = 30
"""What is known of a cookie holds for so long."""
_REFUSED = 5


@dataclass(frozen=True, slots=True)
class _Cookie:
    """What is known of a client's cookie: the option to answer with, and whether it proves the client's address."""

    option: bytes
    is_trusted: bool


class OptionAnswerer:
    """Answers queries with options from a cache, under one policy."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._rolling = policy.roll()
        self._known: dict[tuple[bytes, bytes], _Cookie] = {}
        self._period = 0
        self.is_trusted = False
        """The last answer goes to a client whose address is not forged."""

    def answer(self, cache: AnswerCache, packet: bytes, address: bytes) -> bytes | None:
        """Return the answer without its id, None to hand the packet up."""
        self.is_trusted = False
        opt_start = _opt_start(packet)
        if not opt_start:
            return None
        options = _read_options(packet[opt_start + _OPT_OCTETS :])
        if options is None or any(code == _NSID for code, _ in options):
            return None
        offered = [data for code, data in options if code == cookies.COOKIE]
        known = None
        if offered and (self._policy.cookie_secrets or self._rolling is not None):
            if len(offered) > 1 or not cookies.is_well_formed(offered[0]):
                return None
            known = self._judge(offered[0], address)
            if self._policy.require_cookies and not known.is_trusted:
                return None
        option = b"" if known is None else known.option
        bare = packet[: opt_start + _OPT_OCTETS - 2] + b"\x00\x00"
        found = cache.answer_apart(bare, len(option))
        if found is None:
            return None
        self.is_trusted = known is not None and known.is_trusted
        return _with_option(found, option, cache)

    def _judge(self, offered: bytes, address: bytes) -> _Cookie:
        """Check a cookie and make the one to answer with; both are known for a while."""
        now_s = int(time.time())
        if now_s // _PERIOD_S != self._period or len(self._known) >= _KNOWN_MAX:
            self._period = now_s // _PERIOD_S
            self._known.clear()
        known = self._known.get((address, offered))
        if known is None:
            secrets, text = self._policy.secrets_at(now_s, self._rolling), str(read_plain(address))
            fresh = cookies.renewed(offered, text, secrets, now_s)
            option = cookies.COOKIE.to_bytes(2, "big") + len(fresh).to_bytes(2, "big") + fresh
            known = _Cookie(option, cookies.is_ours(offered, text, secrets, now_s))
            self._known[address, offered] = known
        return known


def _with_option(answer: bytes, option: bytes, cache: AnswerCache) -> bytes:
    """Put an option into the OPT record that ends an answer, before those it has."""
    if not option:
        return answer
    is_refusal = answer[1] & 15 == _REFUSED
    start = len(answer) - len(cache.reader.refusal_opt if is_refusal else cache.reader.opt)
    octets = int.from_bytes(answer[start + _OPT_OCTETS - 2 : start + _OPT_OCTETS], "big") + len(option)
    head = answer[: start + _OPT_OCTETS - 2] + octets.to_bytes(2, "big")
    return head + option + answer[start + _OPT_OCTETS :]


def _opt_start(packet: bytes) -> int:
    """Return where the OPT record of a query with one question and nothing else starts; 0 when it is another message."""
    if packet[4:12] != b"\x00\x01\x00\x00\x00\x00\x00\x01":
        return 0
    position = 12
    while position < len(packet) and 0 < packet[position] < 64:
        position += 1 + packet[position]
    start = position + 5
    octets = len(packet) - start - _OPT_OCTETS
    if (
        not 0 < octets <= _OPTIONS_OCTETS_MAX
        or packet[position]
        or packet[start : start + 3] != b"\x00\x00\x29"
    ):
        return 0
    is_whole = int.from_bytes(packet[start + 9 : start + _OPT_OCTETS], "big") == octets
    return start if is_whole else 0


def _read_options(data: bytes) -> list[tuple[int, bytes]] | None:
    """Read options, None when they are malformed."""
    options, position = [], 0
    while position < len(data):
        if position + 4 > len(data):
            return None
        code = int.from_bytes(data[position : position + 2], "big")
        end = position + 4 + int.from_bytes(data[position + 2 : position + 4], "big")
        if end > len(data):
            return None
        options.append((code, data[position + 4 : end]))
        position = end
    return options
