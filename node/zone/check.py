"""What is wrong with a zone that can be stored: the findings of named-checkzone and a few more. Pure."""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Literal, NamedTuple

from node.zone.name import Name, iter_ancestors, iter_labels, to_text
from node.zone.release import release
from node.zone.rrset import AAAA, CNAME, DNAME, MX, NS, SOA, SRV, TXT, A, RRset, type_to_text

FINDINGS_MAX = 1_000
_BESIDE_CNAME = frozenset({CNAME, 46, 47, 50, 25})
_AT_A_CUT = frozenset({NS, 43, 46, 47, 50})
"""DS, RRSIG, NSEC, NSEC3: what the parent holds at a delegation (RFC 4035 section 2)."""
_TARGET_AT = {NS: 0, CNAME: 0, DNAME: 0, MX: 2, SRV: 6}
_STEPS_MAX = 16
_HOST_OCTETS = bytes((*range(33), *b"-0123456789abcdefghijklmnopqrstuvwxyz"))
_DAY_S = 86_400

Level = Literal["error", "warning"]


class Finding(NamedTuple):
    """What is wrong at a name; ``type`` 0 where no single RRset is meant."""

    level: Level
    name: Name
    type: int
    text: str

    def __str__(self) -> str:
        what = f" {type_to_text(self.type)}" if self.type else ""
        return f"{self.level}: {to_text(self.name)}{what}: {self.text}"


def check(rrsets: Iterable[RRset], origin: Name, pause: Callable[[], None] = lambda: None) -> list[Finding]:
    """Return what is wrong with a zone of these RRsets, errors first; at most ``FINDINGS_MAX``.

    An error makes answers wrong or useless; a warning is what a person should look at.
    """
    names: dict[Name, dict[int, RRset]] = {}
    for rrset in rrsets:
        if not rrset.disabled:
            names.setdefault(rrset.name, {})[rrset.type] = rrset
    errors: list[Finding] = []
    warnings: list[Finding] = []
    for finding in _Check(names, origin, pause).findings():
        (errors if finding.level == "error" else warnings).append(finding)
        if len(errors) + len(warnings) >= FINDINGS_MAX:
            break
    release(names, pause)
    return errors + warnings


class _Check:
    def __init__(self, names: dict[Name, dict[int, RRset]], origin: Name, pause: Callable[[], None]) -> None:
        self.names = names
        self.origin = origin
        self.pause = pause

    def findings(self) -> Iterator[Finding]:
        yield from self._apex()
        for number, (name, types) in enumerate(self.names.items()):
            if number % 1000 == 0:
                self.pause()
            yield from self._name(name, types)
            cut = self._cut_above(name)
            if cut is not None:
                yield from self._below_cut(name, types, cut)
                continue
            for rrset in types.values():
                yield from self._targets(rrset)

    def _apex(self) -> Iterator[Finding]:
        apex = self.names.get(self.origin, {})
        soa, servers = apex.get(SOA), apex.get(NS)
        if soa is None:
            yield Finding("error", self.origin, SOA, "there is none")
        else:
            yield from _soa_findings(soa)
        if servers is None:
            yield Finding("error", self.origin, NS, "there is none, so nobody can be sent here")
        elif len(servers.rdatas) == 1:
            yield Finding("warning", self.origin, NS, "there is only one name server (RFC 1034 section 4.1)")
        if CNAME in apex:
            yield Finding("error", self.origin, CNAME, "the top of a zone cannot be an alias")

    def _name(self, name: Name, types: dict[int, RRset]) -> Iterator[Finding]:
        others = [type_to_text(type_) for type_ in sorted(types) if type_ not in _BESIDE_CNAME]
        if CNAME in types and others and name != self.origin:
            yield Finding("error", name, CNAME, f"stands beside {', '.join(others)} (RFC 1034 section 3.6.2)")
        if DNAME in types and NS in types and name != self.origin:
            yield Finding("error", name, DNAME, "stands beside NS (RFC 6672 section 2.3)")
        first = next(iter_labels(name), b"")
        if first == b"*" and (NS in types or DNAME in types):
            yield Finding(
                "warning", name, 0, "a wildcard delegation or DNAME does what nobody expects (RFC 4592)"
            )
        for type_ in (A, AAAA, MX):
            if type_ in types and first != b"*" and not _is_host(name):
                yield Finding("warning", name, type_, "is no host name: letters, digits and - only (RFC 1123)")
                break
        texts = types[TXT].rdatas if TXT in types else ()
        if sum(rdata[1:8].lower() == b"v=spf1 " for rdata in texts) > 1:
            yield Finding("error", name, TXT, "there are several SPF records, which fails all mail (RFC 7208)")

    def _cut_above(self, name: Name) -> Name | None:
        """Return the delegation or DNAME above a name, or at it."""
        found = None
        for ancestor in iter_ancestors(name):
            if ancestor == self.origin:
                return found
            types = self.names.get(ancestor, {})
            if NS in types or (DNAME in types and ancestor != name):
                found = ancestor
        return found

    def _below_cut(self, name: Name, types: dict[int, RRset], cut: Name) -> Iterator[Finding]:
        """At a delegation there are NS and DS, below it addresses of its servers; the rest is never answered."""
        if name == cut:
            for type_ in sorted(set(types) - _AT_A_CUT):
                if not (type_ in (A, AAAA) and self._serves(cut, name)):
                    yield Finding("warning", name, type_, "stands at a delegation and is never answered")
            yield from self._servers(types[NS], cut)
            return
        is_name_cut = DNAME in self.names[cut] and NS not in self.names[cut]
        for type_ in sorted(types):
            if is_name_cut or type_ not in (A, AAAA) or not self._is_glue(name):
                what = "DNAME" if is_name_cut else "delegation"
                yield Finding(
                    "warning", name, type_, f"lies below the {what} {to_text(cut)} and is never answered"
                )

    def _serves(self, cut: Name, name: Name) -> bool:
        return any(rdata.lower() == name for rdata in self.names[cut][NS].rdatas)

    def _is_glue(self, name: Name) -> bool:
        return name in self._server_names

    @cached_property
    def _server_names(self) -> set[Name]:
        rrsets = (types[NS] for types in self.names.values() if NS in types)
        return {Name(rdata.lower()) for rrset in rrsets for rdata in rrset.rdatas}

    def _servers(self, servers: RRset, cut: Name) -> Iterator[Finding]:
        for target in _targets_of(servers):
            if not self._is_inside(target):
                continue
            is_below = cut in iter_ancestors(target)
            if is_below and not self._has_address(target):
                yield Finding("error", cut, NS, f"{to_text(target)} has no address here: missing glue")
            elif not is_below:
                yield from self._target(servers, target)

    def _targets(self, rrset: RRset) -> Iterator[Finding]:
        for target in _targets_of(rrset):
            if target != b"\0" and self._is_inside(target):
                yield from self._target(rrset, target)

    def _target(self, rrset: RRset, target: Name) -> Iterator[Finding]:
        types = self._types_at(target)
        text = to_text(target)
        level: Level = "error" if rrset.type == NS else "warning"
        if rrset.type in (NS, MX, SRV):
            if types is not None and CNAME in types:
                yield Finding("error", rrset.name, rrset.type, f"{text} is an alias (RFC 2181 section 10.3)")
            elif not self._has_address(target) and self._cut_above(target) is None:
                yield Finding(level, rrset.name, rrset.type, f"{text} has no address")
        elif rrset.type == CNAME:
            if self._is_loop(rrset.name):
                yield Finding("error", rrset.name, CNAME, f"leads by {text} back to itself")
            elif types is None and self._cut_above(target) is None:
                yield Finding("warning", rrset.name, CNAME, f"{text} does not exist")

    def _is_loop(self, name: Name) -> bool:
        seen = set()
        for _ in range(_STEPS_MAX):
            alias = self.names.get(name, {}).get(CNAME)
            if alias is None:
                return False
            seen.add(name)
            name = Name(alias.rdatas[0].lower())
            if name in seen:
                return True
        return False

    def _is_inside(self, name: Name) -> bool:
        return self.origin in iter_ancestors(name)

    def _types_at(self, name: Name) -> dict[int, RRset] | None:
        """Return what answers a name: its own RRsets or the wildcard's (RFC 4592, closest encloser only)."""
        if name in self._existing:
            return self.names.get(name, {})
        for ancestor in iter_ancestors(name):
            if ancestor in self._existing:
                return self.names.get(Name(b"\x01*" + ancestor))
        return None

    @cached_property
    def _existing(self) -> set[Name]:
        """Every name there is, empty non-terminals too."""
        found: set[Name] = set()
        for name in self.names:
            for ancestor in iter_ancestors(name):
                if ancestor in found:
                    break
                found.add(ancestor)
        return found

    def _has_address(self, name: Name) -> bool:
        types = self._types_at(name) or {}
        return A in types or AAAA in types


def _targets_of(rrset: RRset) -> list[Name]:
    at = _TARGET_AT.get(rrset.type)
    return [] if at is None else [Name(rdata[at:].lower()) for rdata in rrset.rdatas]


def _is_host(name: Name) -> bool:
    if not name.translate(None, _HOST_OCTETS):
        return True  # nothing but letters, digits, - and the lengths of short labels
    return all(label.replace(b"-", b"a").isalnum() for label in iter_labels(name))


def _soa_findings(soa: RRset) -> Iterator[Finding]:
    """Hold an SOA's times against each other (RFC 1912 section 2.2, RFC 2308 section 5)."""
    times = soa.rdatas[0][-16:]
    refresh, retry, expire, negative = (int.from_bytes(times[at : at + 4], "big") for at in range(0, 16, 4))
    if retry >= refresh:
        yield Finding("warning", soa.name, SOA, f"retry ({retry} s) is not shorter than refresh ({refresh} s)")
    if expire <= refresh + retry:
        yield Finding(
            "warning", soa.name, SOA, f"expire ({expire} s) is over before a retry ({refresh + retry} s)"
        )
    if negative > _DAY_S:
        yield Finding(
            "warning", soa.name, SOA, f"that something is not there is kept for {negative} s (RFC 2308)"
        )
