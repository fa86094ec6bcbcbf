"""What a packet goes through in an answerer when it is not known octet by octet, and when its sender is not like most."""

from node.dns import answerer_stats as stats
from node.dns.answerer_cache import AnswerCache
from node.dns.answerer_clients import Client, Clients, with_recursion
from node.dns.answerer_options import OptionAnswerer
from node.dns.limiter import Verdict
from node.dns.policy import Policy


class Desk:
    """What all sockets of a process answer by: the cache of one table, and what is known of clients."""

    def __init__(
        self, cache: AnswerCache, clients: Clients | None = None, policy: Policy | None = None
    ) -> None:
        self.policy = policy or Policy()
        self.cache = cache
        self.clients = clients or Clients(Policy(), None)
        self.options = OptionAnswerer(self.policy)
        cache.hands_up_outside = bool(self.policy.forward_for)
        cache.account(is_accounted=not self.clients.is_idle)

    def answer(self, packet: bytes, address: bytes) -> bytes | None:
        """Answer what is not known octet by octet, without its id; None hands it up, nothing drops it."""
        answer = self.cache.answer(packet)
        if answer is not None or len(packet) < 12:
            return answer
        answer = self.options.answer(self.cache, packet, address)
        if self.options.is_trusted:
            self.cache.source = b""
        return answer

    def judged(self, client: Client, source: bytes, answer: bytes, packet: bytes) -> bytes:
        """Return what is sent of an answer to a client that is not like most; nothing when it gets none."""
        verdict = self.clients.judge(client, source) if source else Verdict.SEND
        if verdict is Verdict.DROP:
            self.cache.line[stats.LIMITED] += 1
            return b""
        if verdict is Verdict.CUT:
            self.cache.line[stats.CUT] += 1
            answer = self.cache.cut(packet)
        return with_recursion(answer) if client.has_recursion else answer
