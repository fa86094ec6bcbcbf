"""Serial number arithmetic, checked on numbers small enough to write all cases down."""

import pytest

from node.zone import serial as serials


@pytest.fixture(name="two_bits")
def _two_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serials, "MODULUS", 4)
    monkeypatch.setattr(serials, "_HALF", 2)


@pytest.mark.usefixtures("two_bits")
def test_two_bits_add() -> None:
    """RFC 1982 section 5.1: the largest that can be added is 1."""
    assert [1, 2, 3, 0] == [serials.add(serial, 1) for serial in range(4)]
    with pytest.raises(ValueError, match="0 to 1"):
        serials.add(0, 2)


@pytest.mark.usefixtures("two_bits")
def test_two_bits_compare() -> None:
    """RFC 1982 section 5.1: 1 > 0, 2 > 1, 3 > 2, 0 > 3; 0 and 2, 1 and 3 are not comparable."""
    newer = {(one, other) for one in range(4) for other in range(4) if serials.is_newer(one, other)}
    assert {(1, 0), (2, 1), (3, 2), (0, 3)} == newer


def test_thirty_two_bits() -> None:
    """RFC 1982 section 5.2 in 32 bits."""
    assert 0 == serials.add(2**32 - 1, 1)
    assert serials.is_newer(0, 2**32 - 1)
    assert serials.is_newer(2**31 - 1, 0)
    assert not serials.is_newer(2**31, 0)
    assert not serials.is_newer(0, 2**31)
    assert not serials.is_newer(7, 7)
    with pytest.raises(ValueError, match="not -1"):
        serials.add(0, -1)


@pytest.mark.parametrize(("given", "expected"), [(20, 20), (10, 11), (-5, 11), (2**32 + 20, 11), (2**70, 11)])
def test_a_serial_that_is_none_is_not_kept(given: int, expected: int) -> None:
    """A number of more than 32 bits is newer by what is left of it, and no SOA could hold it."""
    assert expected == serials.after(10, "keep", 0, given)
