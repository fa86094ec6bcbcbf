"""Writing RRsets as a master file that ``master_file.parse`` reads back as they were."""

from collections.abc import Iterable, Iterator

from node.zone.name import Name, relative_text, to_text
from node.zone.rrset import RRset, rdata_to_text, type_to_text

DISABLED = "; disabled: "
"""Before a record that is kept but not answered: a comment for every other program."""


def write(rrsets: Iterable[RRset], origin: Name) -> str:
    """Write RRsets as one text; disabled ones and comments become comments."""
    return "".join(iter_lines(rrsets, origin))


def iter_lines(rrsets: Iterable[RRset], origin: Name) -> Iterator[str]:
    """Yield the lines of a master file, each with its end, an RRset's together."""
    yield f"$ORIGIN {to_text(origin)}\n"
    owner_name, owner = origin, "@"
    for rrset in rrsets:
        if rrset.name != owner_name:
            owner_name, owner = rrset.name, relative_text(rrset.name, origin)
        note = f" ; {_one_line(rrset.comment)}" if rrset.comment else ""
        head = f"{DISABLED if rrset.disabled else ''}{owner} {rrset.ttl} IN {type_to_text(rrset.type)} "
        yield "".join(f"{head}{rdata_to_text(rrset.type, rdata, origin)}{note}\n" for rdata in rrset.rdatas)


def _one_line(text: str) -> str:
    return " ".join(text.split())
