"""Sizes as users write them."""

from __future__ import annotations

import pytest

from dataguard.errors import UsageError
from dataguard.model.size import parse_size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("4096", 4096),
        ("64K", 65536),
        ("1MiB", 1 << 20),
        ("1.5g", 3 << 29),
        ("2tb", 2 << 40),
    ],
)
def test_sizes_are_read(text, expected):
    assert expected == parse_size(text)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "K", "1 K", "1P", "1e3", "\u0661"])
def test_other_texts_are_no_sizes(text):
    with pytest.raises(UsageError, match="is no size"):
        parse_size(text)
