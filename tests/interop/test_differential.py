"""Our answers beside those of BIND, Knot and NSD, question by question.

The same zones, plain and signed, are served by all four. What the three agree on, item by item, we answer too.
Where they differ, we stand with at least one of them. ``EXCEPTIONS`` holds what we do otherwise,
each with the sentence that justifies it.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.interop.comparison import ITEMS, Ask, Told, tell
from tests.interop.ours import Ours, load
from tests.interop.questions import MAIN, ROOT
from tests.interop.references import PROGRAMS, Reference, missing_programs
from tests.interop.signing import signed

pytestmark = pytest.mark.real

ZONES = Path(__file__).parent / "zones"

EXCEPTIONS: dict[tuple[str, str], str] = {
    ("www.example.test. ANY A", "rcode"): (
        "RFC 1035 section 6.2: a response to QCLASS=* can never be authoritative, and we answer nothing else; "
        "BIND says FORMERR, the others answer as for IN."
    ),
    ("www.example.test. AXFR", "rcode"): (
        "RFC 5936 section 4.2: AXFR over UDP is not defined; the three say NOTAUTH or NOTIMP, we say REFUSED."
    ),
    ("x.grow.example.test. A", "answer"): (
        "RFC 6672 section 3.1 and RFC 1034 section 3.6.2: a chain of aliases is followed up to a limit; "
        "each server has another one, ours is 16 steps."
    ),
    ("q.wild.dname.test. MX", "additional"): (
        "RFC 1034 section 4.3.2 step 6: what may be useful is added from local data; NSD adds the addresses of the "
        "name servers too, which it put into the authority section."
    ),
}

Ports = Mapping[str, int]


def worlds(folder: Path) -> dict[str, tuple[dict[str, Path], list[Ask]]]:
    """Return the zones that are served together, and what is asked of them."""
    unsigned = ZONES / "unsigned.zone"
    plain = {path.stem: path for path in ZONES.glob("*.zone") if path.stem not in ("root", "unsigned")}
    signed_zones = {
        "nsec.test": signed(unsigned, "nsec.test", folder / "nsec"),
        "nsec3.test": signed(unsigned, "nsec3.test", folder / "nsec3", "-3", "-", "-H", "0"),
        "optout.test": signed(unsigned, "optout.test", folder / "optout", "-3", "ab", "-H", "3", "-A"),
    }
    return {"main": (plain | signed_zones, MAIN), "root": ({".": ZONES / "root.zone"}, ROOT)}


@pytest.fixture(name="world", scope="module", params=["main", "root"])
def _world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Ports, int, list[Ask]]]:
    missing = missing_programs(*PROGRAMS, "dnssec-signzone")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("differential")
    zones, asks = worlds(folder)[request.param]
    with ExitStack() as stack:
        ports = {
            program: stack.enter_context(Reference(program, folder / program, zones)).port
            for program in PROGRAMS
        }
        ours = stack.enter_context(Ours(load(zones))).port
        yield ports, ours, asks


@pytest.fixture(name="told", scope="module")
def _told(world: tuple[Ports, int, list[Ask]]) -> list[tuple[Ask, dict[str, Told], Told]]:
    ports, ours, asks = world
    return [(ask, {name: tell(ask, port) for name, port in ports.items()}, tell(ask, ours)) for ask in asks]


def excepted(ask: Ask, item: str) -> bool:
    """Say whether an exception covers a question's item, in whatever way it is asked."""
    return any(str(ask).startswith(question) and item == each for question, each in EXCEPTIONS)


def test_what_the_three_agree_on_we_answer_too(told: list[tuple[Ask, dict[str, Told], Told]]) -> None:
    """In rcode, flags and sections as sets, without exception."""
    different = [
        f"{ask}: {item}\n  they say {getattr(theirs['named'], item)}\n  we say   {getattr(ours, item)}"
        for ask, theirs, ours in told
        for item in ITEMS
        if len({getattr(each, item) for each in theirs.values()}) == 1
        and getattr(ours, item) != getattr(theirs["named"], item)
    ]
    assert not different, "\n".join(different[:20])


def test_where_they_differ_we_stand_with_one_of_them(told: list[tuple[Ask, dict[str, Told], Told]]) -> None:
    """Each item is answered as at least one of them does, but for the exceptions."""
    alone = [
        f"{ask}: {item}\n"
        + "\n".join(f"  {name} {getattr(each, item)}" for name, each in {**theirs, "ours": ours}.items())
        for ask, theirs, ours in told
        for item in ITEMS
        if getattr(ours, item) not in {getattr(each, item) for each in theirs.values()}
        and not excepted(ask, item)
    ]
    assert not alone, "\n".join(alone[:20])


def test_there_are_enough_questions() -> None:
    """Several hundred, none twice, and every exception is about one of them."""
    assert len(set(MAIN)) == len(MAIN) > 3000
    assert len(set(ROOT)) == len(ROOT) > 100
    assert all(any(str(ask).startswith(question) for ask in MAIN) for question, _ in EXCEPTIONS)
