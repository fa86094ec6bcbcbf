"""Master files, read and written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.zone.master_file import BadMasterFile, Place, parse, write
from node.zone.name import from_labels, from_text, iter_labels, to_text
from node.zone.rrset import TXT, A, make, rdata_from_text, rdata_to_text, type_to_text

ORIGIN = from_text("example.com")


def lines_of(text, **options):
    """Show what a text was read as: owner, ttl, type and data of every record."""
    return [
        f"{to_text(rrset.name)} {rrset.ttl} {type_to_text(rrset.type)} {rdata_to_text(rrset.type, rdata)}"
        for rrset in parse(text, ORIGIN, 5, **options).rrsets
        for rdata in rrset.rdatas
    ]


def problems_of(text, **options):
    with pytest.raises(BadMasterFile) as caught:
        parse(text, ORIGIN, 5, **options)
    return [(each.place.line, each.text) for each in caught.value.problems]


def test_names_are_relative_to_the_zone_and_the_ttl_has_a_default():
    """RFC 1035 section 5.1: @ is the origin, a name without a final dot is completed by it."""
    text = "@ MX 10 mail\nmail 60 A 192.0.2.1\nother.example.com. IN A 192.0.2.2\n"
    expected = [
        "example.com. 5 MX 10 mail.example.com.",
        "mail.example.com. 60 A 192.0.2.1",
        "other.example.com. 5 A 192.0.2.2",
    ]
    assert expected == lines_of(text)


def test_directives_set_origin_and_ttl_and_generate_records():
    """RFC 1035 section 5.1 ($ORIGIN), RFC 2308 section 4 ($TTL), and BIND's $GENERATE."""
    text = "$TTL 1h\n$ORIGIN sub\na A 192.0.2.1\n$GENERATE 1-2 h$ A 10.0.0.$\n$ORIGIN example.com.\nb A 192.0.2.2\n"
    expected = [
        "a.sub.example.com. 3600 A 192.0.2.1",
        "h1.sub.example.com. 3600 A 10.0.0.1",
        "h2.sub.example.com. 3600 A 10.0.0.2",
        "b.example.com. 3600 A 192.0.2.2",
    ]
    assert expected == lines_of(text)


def test_a_blank_owner_repeats_the_last_one_and_parentheses_join_lines():
    """RFC 1035 section 5.1: a line that begins with a blank has the owner of the one before."""
    text = '\n; a comment (\nw A 192.0.2.1\n  TXT ( "a;(" ; why )\n  "b" )\n  MX 1 m'
    expected = [
        "w.example.com. 5 A 192.0.2.1",
        'w.example.com. 5 TXT "a;(" "b"',
        "w.example.com. 5 MX 1 m.example.com.",
    ]
    assert expected == lines_of(text)


def test_records_of_one_name_and_type_become_one_rrset():
    """RFC 2181 section 5: an RRset holds each rdata once, wherever its lines stand."""
    rrsets = parse("w A 192.0.2.2\nv A 192.0.2.9\nw A 192.0.2.1\nw A 192.0.2.2\n", ORIGIN, 5).rrsets
    assert [(from_text("w.example.com"), 2), (from_text("v.example.com"), 1)] == [
        (rrset.name, len(rrset.rdatas)) for rrset in rrsets
    ]


def test_an_included_text_is_read_in_place_and_leaves_the_origin_alone():
    """RFC 1035 section 5.1: $INCLUDE takes an origin, and never changes that of the parent file."""
    files = {"more": "x A 192.0.2.7\n$ORIGIN deep\ny A 192.0.2.8\n"}
    text = '$INCLUDE "more" sub ; so\nz A 192.0.2.9\n'
    expected = [
        "x.sub.example.com. 5 A 192.0.2.7",
        "y.deep.sub.example.com. 5 A 192.0.2.8",
        "z.example.com. 5 A 192.0.2.9",
    ]
    assert expected == lines_of(text, include=files.__getitem__)


def test_an_include_is_refused_without_a_reader_and_ends_when_it_goes_round():
    """Reading files is the caller's decision, and a file that includes itself must not go on for ever."""
    assert [(1, "$INCLUDE is not allowed here")] == problems_of("$INCLUDE more\n")
    assert "deeper than 8" in problems_of("$INCLUDE a\n", include=lambda _: "$INCLUDE a\n")[0][1]


def test_a_missing_included_file_is_told_with_its_line():
    """An unreadable $INCLUDE is a problem of the line that names it."""

    def missing(name):
        raise FileNotFoundError(2, "No such file or directory")

    expected = [(2, "cannot include gone: No such file or directory")]
    assert expected == problems_of("\n$INCLUDE gone\n", include=missing)


def test_a_problem_of_an_included_file_names_that_file():
    """The place of a problem is the file and line where it stands."""
    with pytest.raises(BadMasterFile) as caught:
        parse("$INCLUDE more\n", ORIGIN, 5, file="main", include=lambda _: "\nx A no\n")
    assert [Place("more", 2)] == [each.place for each in caught.value.problems]


def test_every_bad_entry_is_reported_with_its_line():
    """One bad line does not hide the next."""
    text = "a A 192.0.2.300\nb AAAA x\nc MX mail\nd NOTYPE 1\nok A 192.0.2.1\ne\n$TTL soon\n"
    expected = [
        (1, "192.0.2.300 is not an IPv4 address"),
        (2, "x is not an IPv6 address"),
        (3, "'mail' is not a record of type MX: expecting an integer"),
        (4, "'NOTYPE' is not a record type"),
        (6, "e: a record has a name, perhaps a ttl, a type and data"),
    ]
    found = problems_of(text)
    assert expected == found[:5]
    assert 7 == found[5][0]
    assert found[5][1].startswith("$TTL soon: ")


@pytest.mark.parametrize(
    ("text", "line", "fragment"),
    [
        (
            "a A 192.0.2.1\nw.example.org. A 192.0.2.1\n",
            2,
            "w.example.org. is not inside the zone example.com.",
        ),
        ("a A 192.0.2.1\na 60 A 192.0.2.2\n", 2, "the ttl 60 differs from 5 at line 1"),
        ("a A 192.0.2.1\na CNAME b\n", 2, "cannot have a CNAME beside A"),
        ("a CNAME b\na CNAME c\n", 1, "only one CNAME"),
        ("a SOA ns h 1 2 3 4 5\n", 1, "an SOA stands only at the top"),
        ("a 3000000000 A 192.0.2.1\n", 1, "3000000000"),
        ("$GENERATE 1-999999 h$ A 10.0.0.1\n", 1, "more than 100 records"),
        ("$GENERATE x h$ A 10.0.0.1\n", 1, "$GENERATE"),
        ("a A 192.0.2.1 )\n", 1, "a"),
        ('a TXT "open\n', 1, "TXT"),
        ("a CH A 192.0.2.1\n", 1, "a"),
    ],
)
def test_what_a_zone_cannot_hold_is_refused(text, line, fragment, monkeypatch):
    """RFC 2181 sections 5.2 and 8, RFC 1034 section 3.6.2, and the limits."""
    monkeypatch.setattr("node.zone.master_file.RECORDS_MAX", 100)
    problems = problems_of(text)
    assert (line, True) == (problems[0][0], fragment in problems[0][1]), problems


def test_the_number_of_reported_problems_is_bounded():
    """A file of another kind altogether does not fill the screen."""
    assert 100 == len(problems_of("nonsense\n" * 10_000))


def test_a_written_file_is_read_back_as_the_same_rrsets():
    """Comments stay comments, a disabled RRset is not read."""
    rrsets = parse('@ MX 10 mail\n@ TXT "a b" c;x\nw 60 A 192.0.2.1\n', ORIGIN, 5).rrsets
    again = parse(write(rrsets, ORIGIN), ORIGIN, 77).rrsets
    assert rrsets == again


def test_a_comment_and_a_disabled_rrset_are_written_as_comments():
    """A person who reads the file sees both; a server that reads it sees neither."""
    rdata = rdata_from_text(A, "192.0.2.1", ORIGIN)
    rrset = make(from_text("w", ORIGIN), A, 5, [rdata])
    commented = type(rrset)(rrset.name, A, 5, rrset.rdatas, comment="old\nbox", disabled=True)
    assert "$ORIGIN example.com.\n; disabled: w 5 IN A 192.0.2.1 ; old box\n" == write([commented], ORIGIN)


def test_comments_and_disabled_rrsets_survive_a_file():
    """What is written for people beside the records is read back: comments, and what is kept but not answered."""
    rdatas = [rdata_from_text(A, f"192.0.2.{last}", ORIGIN) for last in (1, 2)]
    rrset = make(from_text("w", ORIGIN), A, 5, rdatas)
    kept = type(rrset)(rrset.name, A, 5, rrset.rdatas, comment="rack 4; [keys 1=ab]", disabled=True)
    text = type(rrset)(rrset.name, TXT, 5, (b"\x03a;b",), comment='say "hi"')
    assert (kept, text) == parse(write([kept, text], ORIGIN), ORIGIN, 77).rrsets


def test_the_first_comment_of_an_rrset_is_its_own():
    """A comment behind any record of an RRset is kept, those on lines of their own and in parentheses are not."""
    text = "; about\nw A 192.0.2.1\nw A 192.0.2.2 ; first\nw A 192.0.2.3 ; second\nm MX ( 10 ; no\n m )\nl LOC 1 N 1 E 1m ; slow\n"
    assert ["first", "", "slow"] == [rrset.comment for rrset in parse(text, ORIGIN, 5).rrsets]


def test_half_an_rrset_cannot_be_disabled():
    """An RRset is answered or it is not; a file that says both is refused."""
    assert [(2, "it is disabled here, unlike at line 1")] == problems_of(
        "w A 192.0.2.1\n; disabled: w A 192.0.2.2\n"
    )


@given(st.text(st.sampled_from('aw@ \t\n\r;"()$\\.0123456789AMXTINCLUDEORG{}'), max_size=120))
def test_any_text_is_read_or_refused_with_problems(text):
    """Whatever the text holds, reading ends with RRsets or with BadMasterFile."""
    try:
        keys, problems = set(parse(text, ORIGIN, 5).places), ()
    except BadMasterFile as bad:
        keys, problems = set(), bad.problems
    assert not (keys and problems)


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=10), st.binary(max_size=40)), max_size=6))
def test_names_and_texts_of_any_octets_survive_writing_and_reading(pairs):
    """What ``write`` escapes, ``parse`` reads back: labels and character strings of any octets."""
    texts = {}
    for label, value in pairs:
        name = from_labels([label, *iter_labels(ORIGIN)])
        texts.setdefault(name, []).append(bytes([len(value)]) + value)
    rrsets = tuple(make(name, TXT, 5, rdatas) for name, rdatas in texts.items())
    assert rrsets == parse(write(rrsets, ORIGIN), ORIGIN, 5).rrsets


def test_a_generate_of_too_many_records_is_refused_with_its_line():
    """A line of forty octets must not become hours of work and all memory."""
    expected = [(2, "$GENERATE makes more than 1000000 records: split its range")]
    assert expected == problems_of("a A 192.0.2.1\n$GENERATE 0-1000000 h$ A 192.0.2.1\n")


def test_others_get_their_turn_while_one_line_generates_many_records():
    """Records are counted for a pause, not lines alone."""
    pauses = []
    parse("$GENERATE 1-5000 h$ A 192.0.2.1\n", ORIGIN, 5, pause=lambda: pauses.append(1))
    assert len(pauses) >= 5


def test_an_entry_of_nothing_that_cannot_be_read_is_told_with_its_line():
    """Whatever stands behind a disabled mark, the answer is a sentence."""
    assert [1] == [line for line, _ in problems_of("; disabled: ; a\rb\n")]
