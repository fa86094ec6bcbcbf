"""What is found wrong with zones, and what is not; held against named-checkzone where it is installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from node.zone.check import FINDINGS_MAX, check
from node.zone.master_file import parse
from node.zone.name import from_text

ORIGIN = from_text("example.com")
GOOD = """\
@ SOA ns1 host 1 3600 600 604800 60
@ NS ns1
@ NS ns2.example.net.
ns1 A 192.0.2.1
@ MX 10 mail
mail A 192.0.2.2
www CNAME mail
*.wild A 192.0.2.3
at CNAME any.wild
_sip._tcp SRV 0 0 5060 mail
sub NS ns.sub
sub NS ns1
ns.sub A 192.0.2.4
off NS elsewhere.example.org.
@ TXT "v=spf1 mx -all"
"""


def found(text: str) -> list[str]:
    return [str(each) for each in check(parse(text, ORIGIN, 300).rrsets, ORIGIN)]


def test_a_good_zone_has_no_findings() -> None:
    """Aliases to wildcards, delegations with glue and targets elsewhere are all right."""
    assert [] == found(GOOD)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("@ MX 20 gone", "warning: example.com. MX: gone.example.com. has no address"),
        ("@ MX 20 www", "error: example.com. MX: www.example.com. is an alias (RFC 2181 section 10.3)"),
        ("@ NS www", "error: example.com. NS: www.example.com. is an alias (RFC 2181 section 10.3)"),
        ("@ NS gone", "error: example.com. NS: gone.example.com. has no address"),
        ("new NS ns.new", "error: new.example.com. NS: ns.new.example.com. has no address here: missing glue"),
        ("new NS gone", "error: new.example.com. NS: gone.example.com. has no address"),
        ("x CNAME gone", "warning: x.example.com. CNAME: gone.example.com. does not exist"),
        ("x CNAME y\ny CNAME x", "error: x.example.com. CNAME: leads by y.example.com. back to itself"),
        ("_x._tcp SRV 0 0 1 gone", "warning: _x._tcp.example.com. SRV: gone.example.com. has no address"),
        ("sub TXT x", "warning: sub.example.com. TXT: stands at a delegation and is never answered"),
        (
            "a.sub TXT x",
            "warning: a.sub.example.com. TXT: lies below the delegation sub.example.com. and is never answered",
        ),
        (
            "d DNAME example.org.\na.d A 192.0.2.1",
            "warning: a.d.example.com. A: lies below the DNAME d.example.com. and is never answered",
        ),
        (
            "a_b A 192.0.2.1",
            "warning: a_b.example.com. A: is no host name: letters, digits and - only (RFC 1123)",
        ),
        (
            '@ TXT "v=spf1 a -all"',
            "error: example.com. TXT: there are several SPF records, which fails all mail (RFC 7208)",
        ),
        (
            "*.z NS ns1",
            "warning: *.z.example.com.: a wildcard delegation or DNAME does what nobody expects (RFC 4592)",
        ),
        ("; disabled: off2 MX 1 gone", None),
        ("y CNAME www.wild", None),
        ("y CNAME _tcp", None),
    ],
)
def test_findings(more: str, expected: str | None) -> None:
    """Each fault added to a good zone is found, and nothing else."""
    assert ([] if expected is None else [expected]) == [
        each for each in found(f"{GOOD}{more}\n") if " y." not in each[:11]
    ]


@pytest.mark.parametrize(
    ("soa", "fragment"),
    [
        ("@ SOA ns1 host 1 600 600 604800 60", "is not shorter than refresh"),
        ("@ SOA ns1 host 1 3600 600 4000 60", "is over before a retry"),
        ("@ SOA ns1 host 1 3600 600 604800 90000", "is kept for 90000 s"),
    ],
)
def test_times_of_the_soa(soa: str, fragment: str) -> None:
    """The times of an SOA are held against each other."""
    rest = GOOD.split("\n", 1)[1]
    assert [True] == [fragment in each for each in found(f"{soa}\n{rest}")]


def test_a_zone_without_its_own_records() -> None:
    """SOA and NS must be there; one server is few."""
    assert [
        "error: example.com. SOA: there is none",
        "error: example.com. NS: there is none, so nobody can be sent here",
    ] == found("a A 192.0.2.1\n")
    assert "only one name server" in found("@ SOA ns1 h 1 3600 600 604800 60\n@ NS ns1\nns1 A 192.0.2.1\n")[0]


def test_findings_are_bounded() -> None:
    """A zone of another kind altogether does not fill the screen."""
    assert FINDINGS_MAX == len(found("".join(f"x{n} CNAME gone{n}\n" for n in range(FINDINGS_MAX * 2))))


@pytest.mark.real
@pytest.mark.skipif(shutil.which("named-checkzone") is None, reason="named-checkzone is not installed")
@pytest.mark.parametrize(
    "more", ["", "@ MX 20 www", "@ NS www", "@ NS gone", "new NS ns.new", "@ MX 20 gone", "a_b A 192.0.2.1"]
)
def test_named_checkzone_finds_it_too(more: str, tmp_path: Path) -> None:
    """What BIND's checker complains about has a finding here, and a zone without findings passes it silently."""
    text = f"$TTL 300\n{GOOD}{more}\n"
    file = tmp_path / "zone"
    file.write_text(text)
    done = subprocess.run(
        ["named-checkzone", "-i", "local", "example.com", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in done.stdout.splitlines() if "example.com" in line and "loaded" not in line]
    assert bool(complaints) == bool(found(text)), done.stdout
