from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.partial import Part, heads_of, part_of

FEW = st.integers(0, 5)


@given(st.lists(FEW), st.lists(FEW))
def test_all_files_with_a_wanted_beginning_are_found(heads, wanted):
    rows = np.arange(len(heads)) * 10
    sheet = heads_of(np.array(heads, np.uint64), rows, rows + 1)
    queries, at = sheet.find(np.array(wanted, np.uint64))
    expected = {
        (query, row * 10)
        for query, one in enumerate(wanted)
        for row, head in enumerate(heads)
        if head == one
    }
    assert expected == set(zip(queries.tolist(), sheet.rows[at].tolist(), strict=True))
    assert len(expected) == len(queries)
    assert (sheet.rows + 1 == sheet.sizes).all()
    assert sorted(queries.tolist()) == queries.tolist()


@pytest.mark.parametrize(
    ("size", "original", "part"), [(1, 2, Part.TRUNCATED), (2, 1, Part.APPENDED), (2, 2, None)]
)
def test_part(size, original, part):
    assert part is part_of(size, original)
