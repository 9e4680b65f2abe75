"""Marks of the node cache: how much has to go before more may come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.cachemarks import Shortage, marks_of, shortage
from dataguard.errors import ConfigurationError
from dataguard.model.cache import Marks
from dataguard.model.settings import Origin, Setting

SIZES = st.integers(0, 10_000)


def setting(name, value):
    return Setting(f"cache.{name}", value, Origin.HOME, "config.toml")


MARKS = st.builds(
    lambda one, other, reserve: Marks(max(one, other), min(one, other), reserve),
    *(SIZES, SIZES, st.integers(0, 100)),
)


@given(SIZES, SIZES, SIZES, MARKS)
def test_what_has_to_go_leaves_room_for_what_comes(used, incoming, available, marks):
    found = shortage(used, incoming, available, marks)

    fits = used + incoming <= marks.high and incoming + marks.reserve <= available
    assert fits == (found == Shortage())
    assert used - found.must + incoming <= marks.high or found == Shortage()
    assert available + found.must >= incoming + marks.reserve
    if found.must <= used:
        assert found.must <= found.should <= used
    if found.must and found.should < used:
        assert used - found.should + incoming <= max(marks.low, incoming)


@pytest.mark.parametrize(
    ("high", "low", "expected"),
    [("80%", "70%", (800, 700)), ("500", "0", (500, 0)), ("1K", "100%", (1024, 1000))],
)
def test_marks_are_sizes_or_shares_of_the_file_system(high, low, expected):
    found = marks_of(setting("high", high), setting("low", low), 1000)
    assert expected == (found.high, found.low)


@pytest.mark.parametrize(
    ("high", "low"), [("70%", "80%"), ("much", "1%"), ("101%", "1%"), ("80%", "-1"), ("1.5", "1")]
)
def test_marks_that_make_no_sense_are_refused(high, low):
    with pytest.raises(ConfigurationError, match=r"mark|cannot be|more than"):
        marks_of(setting("high", high), setting("low", low), 1000)
