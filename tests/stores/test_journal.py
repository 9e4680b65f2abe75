from __future__ import annotations

import errno
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.core.columns import raw_paths
from dataguard.model.dataset import FileSystem
from dataguard.model.digest import Algorithm, DigestPlan
from dataguard.model.journal import Amount, JournalHead, JournalKey, Pace
from dataguard.stores import journal as journal_module
from dataguard.stores.frames import frames
from dataguard.stores.journal import Journal, expire_journals
from dataguard.stores.journalhead import head_bytes, journal_name, parse_head
from support.entrybatches import batch_of, file

PLAN = DigestPlan(Algorithm.XXH3_128)
DISK = FileSystem("ext4", shared=False, host="a", device=5, fsid=77, tick_ns=0)
FIRST = datetime(2026, 5, 1, tzinfo=UTC)
KEY = JournalKey("/gold", PLAN.algorithms, ("*.tmp",), os.geteuid())
HEAD = JournalHead(KEY, DISK, FIRST)
ALWAYS = Pace(Amount(1, 1, 0.0), Amount(1, 1, 0.0))


def opened(top, head=HEAD, *, pace=ALWAYS, **how):
    return Journal(str(top), head, PLAN, clock=lambda: head.started, pace=pace, **how)


def seen(*names, size=1):
    return batch_of([file(name.encode(), b"x" * size) for name in names])


def sizes(journal):
    return {
        path: size
        for batch in journal.known()
        for path, size in zip(
            raw_paths(batch).to_pylist(), batch.column("size").to_pylist(), strict=True
        )
    }


def known(top, head=HEAD, **how):
    with opened(top, head, **how) as journal:
        return sizes(journal)


def write(top, *pieces, head=HEAD, **how):
    with opened(top, head, **how) as journal:
        for piece in pieces:
            journal.add(piece, piece.num_rows)


def path_of(top):
    return top / journal_name(KEY)


@pytest.fixture
def top(tmp_path):
    return tmp_path / "state"


def test_next_attempt_knows_what_the_last_one_wrote(top):
    write(top, seen("a", "b"), seen("c"))
    with opened(top, replace(HEAD, started=FIRST + timedelta(hours=1))) as journal:
        assert {b"a": 1, b"b": 1, b"c": 1} == sizes(journal)
        assert (b"c", FIRST) == (journal.last, journal.started)


def test_nothing_is_known_of_a_first_attempt_and_it_is_its_own_start(top):
    with opened(top) as journal:
        assert ({}, None, FIRST) == (sizes(journal), journal.last, journal.started)
    assert not top.exists()


def test_later_attempts_win_and_earlier_ones_stay(top):
    write(top, seen("a", "c"), seen("e"))
    write(top, seen("c", size=2), seen("f", size=2))
    write(top, seen("b", size=3), seen("f", size=3))
    assert {b"a": 1, b"b": 3, b"c": 2, b"e": 1, b"f": 3} == known(top)


def test_attempts_that_follow_one_another_are_one_run(top):
    for number in range(150):
        write(top, seen(f"{number:03}"))
    write(top, seen("000", size=2))
    found = known(top)
    assert (150, 2) == (len(found), found[b"000"])


def test_too_many_attempts_that_go_back_are_forgotten(top):
    for number in range(80):
        write(top, seen("a", size=number), seen(f"b{number:02}"))
    assert 64 <= len(known(top)) < 70


def test_what_is_known_stays_the_same_while_more_is_written(top):
    write(top, seen("a"), seen("b"))
    with opened(top) as journal:
        rows = journal.known()
        next(rows)
        journal.add(seen("c"), 1)
        assert [b"b"] == [p for batch in rows for p in raw_paths(batch).to_pylist()]


def test_little_is_held_back_until_it_is_worth_a_file(top):
    pace = Pace(Amount(3, 100, 60.0), Amount(2, 100, 60.0))
    with opened(top, pace=pace) as journal:
        journal.add(seen("a", "b"), 2)
        assert not top.exists()
        journal.add(seen("c"), 1)
        length = path_of(top).stat().st_size
        journal.add(seen("d"), 1)
        assert length == path_of(top).stat().st_size
        journal.add(seen("e"), 100)
        assert length < path_of(top).stat().st_size
        journal.add(seen("f"), 1)
    assert b"abcdef" == b"".join(known(top))  # an orderly end writes down the rest


def test_time_alone_is_a_reason_to_write(top):
    now = [FIRST]
    pace = Pace(Amount(100, 100, 1.0), Amount(100, 100, 1.0))
    with Journal(str(top), HEAD, PLAN, clock=lambda: now[0], pace=pace) as journal:
        journal.add(seen("a"), 1)
        assert not top.exists()
        now[0] += timedelta(seconds=1)
        journal.add(seen("b"), 1)
        assert path_of(top).exists()


def test_withdrawn_paths_vouch_for_nothing(top):
    with opened(top) as journal:
        for name in "abc":
            journal.add(seen(name), 1)
        journal.distrust([b"c", b"a", b"c"])
    assert {b"a": -1, b"b": 1, b"c": -1} == known(top)


@settings(max_examples=60)
@given(data=st.data())
def test_torn_tail_costs_its_frame_and_nothing_else(tmp_path_factory, data):
    top = tmp_path_factory.mktemp("torn")
    write(top, seen("a"), seen("b"), seen("c"))
    whole = path_of(top).read_bytes()
    start = ends(path_of(top))[-2]
    left = data.draw(st.integers(start, len(whole) - 1))
    garbage = data.draw(st.binary(max_size=40))
    path_of(top).write_bytes(whole[:left] + garbage)
    assume_torn = whole[:left] + garbage != whole
    expected = {b"a": 1, b"b": 1} if assume_torn else {b"a": 1, b"b": 1, b"c": 1}
    assert expected == known(top)
    write(top, seen("d"))  # what was torn is gone: the next frame is read
    assert {**expected, b"d": 1} == known(top)


@settings(max_examples=60)
@given(data=st.data())
def test_flipped_bit_ends_what_is_trusted(tmp_path_factory, data):
    top = tmp_path_factory.mktemp("flipped")
    write(top, seen("a"), seen("b"), seen("c"))
    content = bytearray(path_of(top).read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    whole = [end for end in ends(path_of(top)) if end <= at]
    path_of(top).write_bytes(content)
    rows = max(len(whole) - 1, 0)  # the first frame is the head
    assert dict.fromkeys([b"a", b"b", b"c"][:rows], 1) == known(top)


def ends(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return [frame.end for frame in frames(descriptor)]
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    "other",
    [
        replace(HEAD, key=replace(KEY, place="/other")),
        replace(HEAD, key=replace(KEY, algorithms=(Algorithm.SHA256,))),
        replace(HEAD, key=replace(KEY, exclude=())),
        replace(HEAD, key=replace(KEY, uid=KEY.uid + 1)),
        replace(HEAD, filesystem=replace(DISK, fsid=78)),
        replace(HEAD, filesystem=None),
    ],
)
def test_journal_of_something_else_is_not_used(top, other):
    write(top, seen("a"))
    os.rename(path_of(top), top / journal_name(other.key))  # even where its name were the same
    assert {} == known(top, other)


def test_fresh_attempt_replaces_what_was_there(top):
    write(top, seen("a"))
    assert {} == known(top, fresh=True)
    write(top, seen("b"))
    assert {b"b": 1} == known(top)


def test_attempt_that_keeps_nothing_leaves_the_file_as_it_is(top):
    write(top, seen("a"))
    with path_of(top).open("ab") as file_:
        file_.write(b"torn")
    before = path_of(top).read_bytes()
    with opened(top, keep=False) as journal:
        journal.add(seen("b"), 1)
        journal.distrust([b"a"])
        assert {b"a": 1} == sizes(journal)
        journal.remove()
    assert before == path_of(top).read_bytes()


def test_rows_out_of_order_end_what_is_trusted(top):
    write(top, seen("b"), seen("a"), seen("c"))
    assert {b"b": 1} == known(top)


def test_second_process_does_without(top):
    write(top, seen("a"))
    with opened(top) as one, opened(top) as other:
        assert ({b"a": 1}, {}) == (sizes(one), sizes(other))
        other.add(seen("z"), 1)
        other.remove()
        one.add(seen("b"), 1)
    assert {b"a": 1, b"b": 1} == known(top)


def test_two_that_begin_together_do_not_share_a_file(top):
    with opened(top) as one, opened(top) as other:
        one.add(seen("a"), 1)
        other.add(seen("b"), 1)
    assert {b"a": 1} == known(top)


@pytest.mark.parametrize("what", ["link", "fifo", "directory"])
def test_something_else_in_its_place_is_left_alone(top, what):
    top.mkdir()
    (top.parent / "victim").write_bytes(b"precious")
    match what:
        case "link":
            path_of(top).symlink_to(top.parent / "victim")
        case "fifo":
            os.mkfifo(path_of(top))
        case _:
            path_of(top).mkdir()
    write(top, seen("a"))
    assert {} == known(top)
    assert b"precious" == (top.parent / "victim").read_bytes()
    assert os.path.lexists(path_of(top))


def test_full_disk_ends_the_journal_and_nothing_else(top, monkeypatch):
    write(top, seen("a"))

    def full(_descriptor, _content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal_module, "append_frames", full)
    with opened(top) as journal:
        journal.add(seen("b"), 1)
        assert {b"a": 1} == sizes(journal)
    monkeypatch.undo()
    assert {b"a": 1} == known(top)


def test_removed_journal_is_gone(top):
    with opened(top) as journal:
        journal.add(seen("a"), 1)
        journal.remove()
    assert [] == os.listdir(top)


def test_old_journals_expire_unless_somebody_holds_them(top):
    write(top, seen("a"))
    (top / "other").write_bytes(b"")
    now = datetime.now(UTC)
    expire_journals(str(top), now, timedelta(days=7))
    assert path_of(top).exists()
    later = now + timedelta(days=8)
    with opened(top):
        expire_journals(str(top), later, timedelta(days=7))
        assert path_of(top).exists()
    expire_journals(str(top), later, timedelta(days=7))
    assert ["other"] == os.listdir(top)
    expire_journals(str(top / "nowhere"), later, timedelta(days=7))


def test_head_survives_being_written_and_read():
    for head in (HEAD, replace(HEAD, key=replace(KEY, place="/go\udcffld\n"))):
        assert head == parse_head(head_bytes(head))
    for body in (b"", b"{}", b"[]", head_bytes(HEAD).replace(b"journal/1", b"journal/2")):
        assert parse_head(body) is None
