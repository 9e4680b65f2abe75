"""What is followed of an archive has ends."""

from __future__ import annotations

import pytest

from dataguard.core.archivelimits import Allowance, ArchiveLimits, LimitReachedError

LIMITS = ArchiveLimits(members=2, ratio=10, least=50, output=1_000)


def test_small_archives_may_unpack_to_a_floor_and_large_ones_to_a_ceiling():
    assert [50, 100, 1_000] == [LIMITS.output_of(stored) for stored in (1, 10, 10_000)]


def test_what_is_taken_is_counted_until_nothing_is_left():
    allowance = Allowance(LIMITS, 1)
    allowance.take_bytes(50)
    with pytest.raises(LimitReachedError, match="more than is looked at"):
        allowance.take_bytes(1)


def test_members_are_counted():
    allowance = Allowance(LIMITS, 1)
    allowance.take_member()
    allowance.take_member()
    with pytest.raises(LimitReachedError, match="more than 2 members"):
        allowance.take_member()


def test_the_time_ends_it():
    with pytest.raises(LimitReachedError, match="time"):
        Allowance(LIMITS, 1, lambda: True).take_bytes(1)
