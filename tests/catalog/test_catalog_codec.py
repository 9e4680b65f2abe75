from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from datetime import UTC, datetime
from enum import Enum
from types import UnionType
from typing import get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.catalog.codec import _hints, decode, encode
from dataguard.core.chain import Event, canonical_json
from dataguard.errors import CatalogDamagedError
from dataguard.model.audit import AuditRecord
from dataguard.model.dataset import Dataset, Location, Tag, Version
from dataguard.model.digest import RootDigest
from dataguard.model.finding import Finding
from dataguard.model.mount import MountRecord
from dataguard.model.run import Run
from dataguard.model.workspace import WorkspaceRecord

KINDS = (
    AuditRecord,
    Dataset,
    Event,
    Finding,
    Location,
    MountRecord,
    Run,
    Tag,
    Version,
    WorkspaceRecord,
)
TEXT = st.text(max_size=8) | st.sampled_from(["\udcff", "\\u0041", "\x00"])
SIMPLE = {
    str: TEXT,
    int: st.integers(0, 2**64 - 1),
    bool: st.booleans(),
    bytes: st.binary(max_size=8),
    datetime: st.datetimes(timezones=st.just(UTC)),
    RootDigest: st.binary(min_size=32, max_size=32).map(lambda raw: RootDigest(raw.hex())),
    object: st.none() | st.integers() | TEXT | st.lists(st.integers(), max_size=2),
}


def values_of(hint):
    """Return a strategy for any annotation of the model."""
    arguments, origin = get_args(hint), get_origin(hint)
    if origin is UnionType:
        return st.none() | values_of(arguments[0])
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
    if origin is Mapping:
        return st.dictionaries(TEXT, values_of(arguments[1]), max_size=2)
    if hint in SIMPLE:
        return SIMPLE[hint]
    if issubclass(hint, Enum):
        return st.sampled_from(hint)
    assert is_dataclass(hint)
    return st.builds(hint, **{name: values_of(part) for name, part in _hints(hint).items()})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_every_record_reads_back_through_json(kind, data):
    value = data.draw(values_of(kind))
    record = encode(value)
    canonical_json(record)
    assert decode(kind, record) == value


def test_members_of_a_later_release_are_ignored():
    record = {**encode(Tag("faces", "prod", 1, datetime.now(UTC))), "colour": "red"}
    assert decode(Tag, record).name == "prod"


def test_members_with_defaults_may_be_missing():
    record = {"name": "faces", "created": "2026-01-01T00:00:00.000000Z"}
    assert decode(Dataset, record).owner is None


@pytest.mark.parametrize(
    "change",
    [{"version": "one"}, {"moved": "yesterday"}, {"moved": None}, {"name": 3}, {"version": None}],
)
def test_nonsense_is_damage(change):
    record = {"dataset": "faces", "name": "prod", "version": 1, "moved": "2026-01-01T00:00:00Z"}
    with pytest.raises(CatalogDamagedError, match="is no tag"):
        decode(Tag, {**record, **change})


def test_missing_member_is_damage():
    with pytest.raises(CatalogDamagedError, match="is no tag"):
        decode(Tag, {"dataset": "faces"})


def test_only_model_values_are_records():
    with pytest.raises(TypeError):
        encode({"a": 1})
