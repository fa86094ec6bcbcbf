"""What the events say of services and their endpoints. Pure.

An event holds what changed together with what was before, so that ``node.state.past`` finds the way back.
"""

from collections.abc import Collection, Mapping

from node.health import publish
from node.health.service import Service
from node.state.draft import Draft
from node.state.state import ServiceState
from node.state.wording import shown
from node.zone.name import to_text


def selection_of(known: ServiceState) -> publish.Selection:
    """Return what would stand in DNS by what is known of a service now, and why."""
    verdicts = {address: state.verdict for address, state in known.endpoints}
    waits = {address: state.wait for address, state in known.endpoints if state.wait is not None}
    return publish.select(known.service, verdicts, dict(known.overrides), known.published, waits)


def tell_endpoint(
    draft: Draft, kind: str, service: Service, address: str, text: str, *, wait: str = "", cause: str = ""
) -> None:
    """Tell of something about one endpoint; ``cause`` says who ended a wait: time or operator."""
    fqdn = to_text(service.fqdn)
    draft.tell(kind, f"{fqdn} {address}", text, service=fqdn, endpoint=address, wait=wait, cause=cause)


def tell_published(draft: Draft, before: ServiceState, after: ServiceState) -> None:
    """Tell which addresses of a service left DNS and which came, and why; and a ttl that follows from that."""
    withdrawn = [each for each in before.published if each not in after.published]
    published = [each for each in after.published if each not in before.published]
    reasons: dict[str, str] = dict(selection_of(after).reasons) if after.service.endpoints else {}
    parts = [
        _moved(withdrawn, "out", reasons, "no endpoint any more"),
        _moved(published, "in", reasons, "fallback"),
        f"ttl {before.ttl} -> {after.ttl}" if before.ttl != after.ttl else "",
        _count(after.published),
    ]
    fqdn = to_text(after.service.fqdn)
    draft.tell(
        "service.published",
        fqdn,
        "; ".join(part for part in parts if part),
        service=fqdn,
        withdrawn=" ".join(withdrawn),
        published=" ".join(published),
        ttl_before=str(before.ttl) if before.ttl != after.ttl else "",
    )


def _moved(addresses: list[str], where: str, reasons: Mapping[str, str], other: str) -> str:
    """Write ``192.0.2.1 out (down)``; ``other`` stands for the reason of what is no endpoint."""
    return shown([f"{each} {where} ({reasons.get(each, other)})" for each in addresses])


def _count(published: Collection[str]) -> str:
    count = len(published)
    return "1 address is in DNS" if count == 1 else f"{count or 'no'} addresses are in DNS"
