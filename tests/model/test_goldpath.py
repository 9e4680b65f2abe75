"""Paths of `gold://`: what is written is what is meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.errors import UsageError
from dataguard.model.goldpath import GoldPath
from dataguard.model.reference import Reference

NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,8}(/[a-z0-9][a-z0-9._-]{0,8}){0,2}", fullmatch=True)
NUMBERED = st.builds(Reference, NAMES, number=st.integers(1, 10**6))
TAGGED = st.builds(
    Reference, NAMES, tag=st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,9}", fullmatch=True)
)
ROOTS = st.builds(Reference, NAMES, root_prefix=st.from_regex(r"[0-9a-f]{8,64}", fullmatch=True))


@given(st.builds(GoldPath, NUMBERED | TAGGED | ROOTS, st.binary(max_size=30)))
def test_text_gives_the_same_path(path):
    assert path == GoldPath.parse(str(path)) == GoldPath.parse(f"gold://{path}")


@pytest.mark.parametrize("text", ["", "faces", "faces/train/a", "@1/a", "faces@/a", "faces@01/a"])
def test_text_without_a_version_is_refused(text):
    with pytest.raises(UsageError):
        GoldPath.parse(text)
