"""Durations as users write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.errors import UsageError
from dataguard.model.duration import format_duration, parse_duration


@given(st.integers(1, 99_999))
def test_written_duration_reads_back_as_the_same(seconds):
    duration = timedelta(seconds=seconds)

    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [("90d", timedelta(days=90)), ("12h", timedelta(hours=12)), ("2w", timedelta(days=14))],
)
def test_number_and_unit_are_read(text, duration):
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "90", "d", "0d", "-1d", "1.5h", "90 d", "1y", "٣d"])
def test_anything_else_is_refused_with_a_hint(text):
    with pytest.raises(UsageError, match="no duration") as caught:
        parse_duration(text)

    assert caught.value.hint
