from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.chain import (
    START,
    Break,
    Event,
    Head,
    canonical_json,
    event_hash,
    event_line,
    first_break,
    format_time,
    next_event,
    parse_line,
    parse_time,
)
from dataguard.model.actor import Actor

ACTOR = Actor("ada", 1000, "node1")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text() | st.text(st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)  # fmt: skip
PAYLOADS = st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=5)
TIMES = st.datetimes(timezones=st.just(UTC))


def chain(*payloads: object) -> list[Event]:
    head, events = START, []
    for payload in payloads:
        event = next_event(head, time=NOON, kind="test", actor=ACTOR, payload=payload)
        events.append(event)
        head = Head(event.seq, event.hash)
    return events


@given(JSON)
def test_canonical_json_reads_back_and_is_one_ascii_line(value):
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text
    assert b"\n" not in text
    assert text.isascii()


def test_canonical_json_does_not_depend_on_the_order_of_members():
    assert canonical_json({"b": 1, "a": 2}) == canonical_json({"a": 2, "b": 1}) == b'{"a":2,"b":1}'


def test_canonical_json_refuses_what_is_no_json():
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


@given(TIMES)
def test_time_reads_back_and_sorts_as_text(time):
    text = format_time(time)
    assert parse_time(text) == time
    assert len(text) == len(format_time(NOON))
    assert (text < format_time(NOON)) == (time < NOON)


def test_time_of_another_zone_is_written_in_utc():
    east = NOON.astimezone(timezone(timedelta(hours=5)))
    assert format_time(east) == "2026-01-01T12:00:00.000000Z"


def test_time_without_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        parse_time("2026-01-01T12:00:00")


@given(PAYLOADS)
def test_chain_of_any_payloads_holds_and_its_lines_read_back(payloads):
    events = chain(*payloads)
    assert first_break(events) is None
    assert [parse_line(event_line(event)) for event in events] == events


def test_hash_is_that_of_the_line_without_it():
    event = chain({"a": 1})[0]
    fields = json.loads(event_line(event))
    found = fields.pop("hash")
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    assert found == hashlib.sha256(text.encode()).hexdigest() == event.hash
    assert found == event_hash(START.hash, 1, time=NOON, kind="test", actor=ACTOR, payload={"a": 1})


@pytest.mark.parametrize(
    "change",
    [
        {"time": NOON + timedelta(microseconds=1)},
        {"kind": "other"},
        {"actor": Actor("eve", 1000, "node1")},
        {"payload": {"a": 2}},
        {"hash": "0" * 64},
    ],
)
def test_changed_event_is_found(change):
    events = chain({"a": 1}, {"a": 1}, {"a": 1})
    events[1] = replace(events[1], **change)
    assert first_break(events) == Break(2, "event 2 was changed after it was written")


def test_missing_event_is_found():
    events = chain({}, {}, {})
    assert first_break([events[0], events[2]]) == Break(3, "event 2 expected, found event 3")


def test_rewritten_event_does_not_fit_the_next_one():
    first, second = chain({"a": 1}, {})
    forged = next_event(START, time=NOON, kind="test", actor=ACTOR, payload={"a": 2})
    expected = Break(2, "event 2 does not follow the event before it")
    assert first_break([forged, second]) == expected
    assert first_break([first, second]) is None


def test_stream_may_begin_after_a_known_head():
    events = chain({}, {}, {})
    assert first_break(events[1:], Head(1, events[0].hash)) is None


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"[]", b"null", b"{", b'{"seq":1}', b"\xff", b"\x00\x00"]
)
def test_line_that_is_no_event_is_refused(line):
    with pytest.raises(ValueError):  # noqa: PT011  # json's own messages vary
        parse_line(line + b"\n")


def test_line_in_another_spelling_is_refused():
    line = event_line(chain({"a": 1})[0]).replace(b":", b": ", 1)
    with pytest.raises(ValueError, match="canonical"):
        parse_line(line)
