"""Records of fanotify: what is packed comes out, and nothing of what is cut off."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.watchers.fanotifyrecords import Mask, Record, records

KEYS = st.builds(
    lambda fsid, kind, handle: fsid + struct.pack("=Ii", len(handle), kind) + handle,
    st.binary(min_size=8, max_size=8),
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.binary(max_size=128),
)
NAMES = st.binary(min_size=1, max_size=255).map(lambda name: name.replace(b"\0", b"n"))
NAMES = NAMES.filter(lambda name: name != b".")
ANY = st.builds(
    Record,
    mask=st.integers(0, (1 << 64) - 1),
    pid=st.integers(0, 1 << 22),
    pidfd=st.sampled_from([-1, -2, 7, 1000]),
    parent=KEYS,
    name=NAMES,
    child=KEYS,
    old_parent=KEYS,
    old_name=NAMES,
)


def info(kind, body):
    padded = body + bytes(-len(body) % 4)
    return struct.pack("=BBH", kind, 0, 4 + len(padded)) + padded


def packed(record, version=3):
    body = b"".join(
        (
            info(10, record.old_parent + record.old_name + b"\0"),
            info(12, record.parent + record.name + b"\0"),
            info(1, record.child),
            info(77, b"from a later kernel"),
            info(4, struct.pack("=i", record.pidfd)),
        )
    )
    head = struct.pack("=IBBHQii", 24 + len(body), version, 0, 24, record.mask, -1, record.pid)
    return head + body


@given(st.lists(ANY, max_size=5))
def test_what_is_packed_comes_out(wanted):
    assert wanted == list(records(b"".join(map(packed, wanted))))


@given(st.lists(ANY, min_size=1, max_size=3), st.data())
def test_what_is_cut_off_leaves_the_events_before_it(wanted, data):
    whole = b"".join(map(packed, wanted))
    cut = data.draw(st.integers(0, len(whole) - 1))
    found = list(records(whole[:cut]))
    assert wanted[: len(found)] == found
    assert len(found) < len(wanted)


@given(ANY, st.integers(24, 600), st.binary(min_size=1, max_size=8))
def test_any_damage_is_an_event_or_a_value_error(record, at, noise):
    buffer = bytearray(packed(record))
    buffer[at : at + len(noise)] = noise[: max(0, len(buffer) - at)]
    with contextlib.suppress(ValueError):
        assert all(isinstance(one, Record) for one in records(bytes(buffer)))


def test_event_on_a_directory_itself_has_no_name():
    key = bytes(8) + struct.pack("=Ii", 4, 1) + b"root"
    body = info(2, key + b".\0")
    head = struct.pack("=IBBHQii", 24 + len(body), 3, 0, 24, Mask.ATTRIB | Mask.ONDIR, -1, 9)
    [found] = records(head + body)
    assert (key, b"", b"", -1) == (found.parent, found.name, found.child, found.pidfd)


def test_overflow_has_neither_place_nor_process():
    head = struct.pack("=IBBHQii", 24, 3, 0, 24, Mask.OVERFLOW, -1, 0)
    [found] = records(head)
    assert (Mask.OVERFLOW, b"", b"") == (found.mask, found.parent, found.child)


def test_another_version_is_refused():
    record = Record(2, 1, -1, *[bytes(16)] * 1, b"a", bytes(16), bytes(16), b"b")
    with pytest.raises(ValueError, match="version 4"):
        list(records(packed(record, version=4)))
