"""What could have cost somebody bytes or rights when space is given back, and does not."""

from __future__ import annotations

import os
import resource
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from dataguard.actions import reclaim as action
from dataguard.actions.goldsource import sources_of
from dataguard.errors import CatalogDamagedError, NotFoundError, StoreUnreachableError
from dataguard.model.digest import Algorithm
from dataguard.model.reclaim import Method, Reason, ReclaimState
from dataguard.stores import linking, restoring
from dataguard.stores.reclaimcheck import Gold, LeftAloneError, check_equal
from dataguard.stores.reclaimjournal import Mark, ReclaimJournal
from support.mountcleanup import needs_mounts, swept, unmount_command
from support.reclaims import Place, facts_of

LINKS = {"method": Method.LINK, "link_gold": True}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Three files of gold and their copies."""
    with swept(tmp_path):
        monkeypatch.setenv("DATAGUARD_HOME", str(tmp_path / "home"))
        made = Place(tmp_path, tmp_path / "home")
        made.fill(a=5000, b=9000, c=70_000)
        yield made


def reasons(result):
    return {os.path.basename(one.path).decode(): one.reason for one in result.left}


def open_ways(place):
    """Let everybody reach gold and copies."""
    for path in (place.top, *place.top.parents):
        os.chmod(path, path.stat().st_mode | 0o005)


def interrupted(place, monkeypatch):
    """Leave file `a` under a temporary name and a link in its place, as a crash would."""

    def mark(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ReclaimJournal, "mark", mark)
        patch.setattr(action, "_recover", lambda _: [])  # a crash tidies nothing up
        with pytest.raises(KeyboardInterrupt):
            place.reclaim([place.copy("a")], **LINKS)
    assert (place.mine / "a").is_symlink()


def temporary_of(place):
    (found,) = (path for path in place.mine.iterdir() if path.name.startswith(".dataguard"))
    return found


@needs_mounts
def test_gold_behind_a_mount_of_a_part_of_it_is_gold_however_often_it_repeats_itself(place):
    part, repeated = place.top / "part", place.top / "repeated"
    (repeated / "sub").mkdir(parents=True)
    part.mkdir()
    for number in range(25):
        (repeated / "sub" / str(number)).write_bytes((place.gold / "a").read_bytes())
    place.ask("register", "repeated", str(repeated))
    subprocess.run(["mount", "--bind", repeated / "sub", part], check=True)
    try:
        place.ask("copies", str(part))
        place.ask("reclaim", str(part), "--method", "link", "--link-gold", "--apply")
        found = replace(place.copy("a"), path=os.fsencode(part / "3"))
        assert {"3": Reason.GOLD} == reasons(place.reclaim([found], **LINKS))
        assert not any(path.is_symlink() for path in part.iterdir())
    finally:
        unmount_command(part)


def test_a_journal_that_could_not_grow_for_a_while_can_be_read_and_undone(place):
    real, full = ReclaimJournal.mark, []

    def without_room(journal, number, mark):
        if number != 1 or full:
            real(journal, number, mark)
            return
        full.append(mark)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(journal.path) + 5, hard))
        try:
            real(journal, number, mark)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ReclaimJournal, "mark", without_room)
        with pytest.raises(StoreUnreachableError):
            place.reclaim(**LINKS)
    assert not (place.mine / "b").is_symlink()
    assert (place.mine / "a").is_symlink()
    with place.context() as ctx:
        (record,) = ctx.catalog.reclaims()
    assert place.undo(record.id).undone
    assert not (place.mine / "a").is_symlink()


def test_a_file_goes_back_to_its_name_though_its_device_has_another_number_by_now(
    place, monkeypatch
):
    before = facts_of(place.mine / "a")[:4]
    interrupted(place, monkeypatch)
    (journal,) = (place.home / "state" / "reclaim").glob("*.jsonl")
    device = os.stat(place.mine).st_dev
    journal.write_text(journal.read_text().replace(f'"device": {device}', '"device": 99999'))
    result = place.reclaim([], **LINKS)
    assert ((), before) == (result.left, facts_of(place.mine / "a")[:4])


def test_a_file_that_was_written_to_after_a_crash_goes_back_to_its_name(place, monkeypatch):
    interrupted(place, monkeypatch)
    with open(temporary_of(place), "ab") as file:  # as one who had waited for the lease
        file.write(b"more")
    assert () == place.reclaim([], **LINKS).left
    assert b"more" == (place.mine / "a").read_bytes()[-4:]


def test_a_file_that_was_moved_in_between_is_told_as_not_looked_after(place, monkeypatch):
    interrupted(place, monkeypatch)
    os.rename(place.mine, place.top / "elsewhere")
    result = place.reclaim([], **LINKS)
    assert ({"a": Reason.INTERRUPTED}, True) == (reasons(result), result.has_gaps)
    os.rename(place.top / "elsewhere", place.mine)
    assert () == place.reclaim([], **LINKS).left
    assert not (place.mine / "a").is_symlink()


def test_files_that_cannot_be_brought_back_since_their_directory_moved_are_a_gap(place):
    done = place.reclaim(**LINKS)
    os.rename(place.mine, place.top / "elsewhere")
    undone = place.undo(done.id)
    assert ({"a", "b", "c"}, True) == (set(reasons(undone)), undone.has_gaps)
    with place.context() as ctx:
        assert ReclaimState.UNDOING is ctx.catalog.reclaim(done.id).state


def test_a_third_file_that_comes_to_the_name_in_between_is_not_lost(place, monkeypatch):
    real, calls = linking.exchange, []

    def raced(directory, one, other):
        calls.append(other)
        if len(calls) == 2:  # the link gives way, and a program saves by renaming
            (place.mine / "new").write_text("new")
            os.rename(place.mine / "new", place.mine / "a")
        real(directory, one, other)
        if len(calls) == 1:  # somebody who had found the file opens it: it has to go back
            with pytest.raises(BlockingIOError):
                os.open(one, os.O_RDWR | os.O_NONBLOCK, dir_fd=directory)

    old = (place.mine / "a").read_bytes()
    monkeypatch.setattr(linking, "exchange", raced)
    result = place.reclaim([place.copy("a")], **LINKS)
    assert Reason.INTERRUPTED is reasons(result)["a"]
    assert ("new", old) == ((place.mine / "a").read_text(), temporary_of(place).read_bytes())


def test_files_that_come_to_a_name_while_it_is_brought_back_are_not_lost(place, monkeypatch):
    done = place.reclaim([place.copy("a")], **LINKS)
    real, calls = linking.exchange, []

    def raced(directory, one, other):
        calls.append(other)
        (place.mine / "new").write_text(f"new {len(calls)}")
        os.rename(place.mine / "new", place.mine / "a")
        real(directory, one, other)

    monkeypatch.setattr(restoring, "exchange", raced)
    assert {"a": Reason.REPLACED} == reasons(place.undo(done.id))
    kept = {path.read_text() for path in place.mine.iterdir() if path.name not in "bc"}
    assert {"new 1", "new 2"} == kept


@pytest.mark.parametrize("change", ["chmod", "link"])
def test_what_is_done_to_a_file_while_it_is_compared_is_not_lost(place, monkeypatch, change):
    real = linking.check_equal

    def late(*words):
        real(*words)
        if change == "link":
            os.link(place.mine / "a", place.mine / "a2")
        else:
            os.chmod(place.mine / "a", 0o600)

    monkeypatch.setattr(linking, "check_equal", late)
    assert {"a": Reason.CHANGED} == reasons(place.reclaim([place.copy("a")], **LINKS))
    assert not (place.mine / "a").is_symlink()


def test_a_file_that_got_another_name_before_the_exchange_keeps_both(place, monkeypatch):
    real, calls = linking.exchange, []

    def late(directory, one, other):
        if not calls:
            os.link(place.mine / "a", place.mine / "a2")
        calls.append(other)
        real(directory, one, other)

    monkeypatch.setattr(linking, "exchange", late)
    assert {"a": Reason.CHANGED} == reasons(place.reclaim([place.copy("a")], **LINKS))
    assert os.path.samefile(place.mine / "a", place.mine / "a2")
    assert not (place.mine / "a").is_symlink()


def test_a_link_that_somebody_else_made_is_not_taken_for_ours(place):
    os.chown(place.mine / "a", 12345, 12345)
    open_ways(place)
    done = place.reclaim([place.copy("a")], **LINKS)
    os.unlink(place.mine / "a")
    os.symlink(place.gold / "a", place.mine / "a")
    os.chown(place.mine / "a", 54321, 54321, follow_symlinks=False)
    assert {"a": Reason.REPLACED} == reasons(place.undo(done.id))
    assert (place.mine / "a").is_symlink()


def test_a_file_that_is_brought_back_gets_no_access_list_of_its_directory(place):
    os.chmod(place.mine / "a", 0o640)
    done = place.reclaim([place.copy("a")], **LINKS)
    entries = [(1, 7, -1), (2, 7, 12345), (4, 5, -1), (0x10, 7, -1), (0x20, 5, -1)]
    packed = (struct.pack("<HHi", *one) for one in entries)
    granted = struct.pack("<I", 2) + b"".join(packed)
    os.setxattr(place.mine, "system.posix_acl_default", granted)
    assert place.undo(done.id).undone
    assert ([], 0o100640) == (os.listxattr(place.mine / "a"), os.stat(place.mine / "a").st_mode)


def test_a_link_takes_a_file_from_nobody_who_could_read_it(place):
    open_ways(place)
    os.chmod(place.mine / "a", 0o644)
    os.chmod(place.mine / "b", 0o640)
    os.chmod(place.mine / "c", 0o600)
    os.chmod(place.gold, 0o700)
    result = place.reclaim(apply=False, **LINKS)
    assert Reason.UNREADABLE is reasons(result)["a"]
    assert "c" not in reasons(result)
    os.chown(place.mine / "b", 0, 12345)
    result = place.reclaim(apply=False, **LINKS)
    assert {"a": Reason.UNREADABLE, "b": Reason.UNREADABLE} == reasons(result)


def test_no_link_is_left_where_its_owner_alone_could_follow_it(place):
    open_ways(place)
    os.chmod(place.mine, 0o1777)
    os.chown(place.mine / "a", 12345, 12345)
    result = place.reclaim(apply=False, **LINKS)
    assert {"a": Reason.UNREADABLE} == reasons(result)


def test_a_path_that_is_too_long_to_open_is_told_as_not_looked_at(place):
    long = place.mine.joinpath(*["d" * 250] * 17, "a")
    found = replace(place.copy("a"), path=os.fsencode(long))
    result = place.reclaim([found], **LINKS)
    assert ({"a": Reason.FAILED}, True) == (reasons(result), result.has_gaps)


def test_undo_takes_the_bytes_from_another_location_where_the_first_has_others(place):
    other = place.top / "other"
    subprocess.run(["cp", "-a", place.gold, other], check=True)
    place.ask("register", "faces", str(other))
    done = place.reclaim([place.copy("a")], **LINKS)
    content = (other / "a").read_bytes()
    with place.context() as ctx:
        first = next(sources_of(ctx, "faces", 1, b"a"))
    Path(os.fsdecode(first)).write_bytes(b"damaged")
    assert place.undo(done.id).undone
    assert content == (place.mine / "a").read_bytes()


def test_an_output_that_a_run_recorded_does_not_become_a_link(place):
    outputs = place.top / "outputs"
    place.ask("workspace", "init", str(place.mine), "--outputs", str(outputs))
    command = ["sh", "-c", f'cp {place.gold}/a "$DATAGUARD_OUTPUTS/a"']
    place.ask("run", "-w", str(place.mine), "--", *command)
    (written,) = outputs.rglob("a")
    found = replace(place.copy("a"), path=os.fsencode(written))
    assert {"a": Reason.RECORDED} == reasons(place.reclaim([found], **LINKS))


def test_a_journal_cannot_name_a_file_of_another_directory(place, monkeypatch):
    interrupted(place, monkeypatch)
    (path,) = (place.home / "state" / "reclaim").glob("*.jsonl")
    with ReclaimJournal.open(str(place.home), path.stem) as journal:
        one = journal.replaced[0]
        assert Mark.BEGUN is journal.marks[0]
        journal.begin(
            replace(one, temporary=b"../" + Path(os.fsdecode(one.temporary)).name.encode())
        )
    with pytest.raises(CatalogDamagedError, match="leads elsewhere"):
        ReclaimJournal.open(str(place.home), path.stem)


def test_nobody_does_what_the_journal_of_another_user_says(place, monkeypatch):
    interrupted(place, monkeypatch)
    (path,) = (place.home / "state" / "reclaim").glob("*.jsonl")
    os.chown(path, 12345, 12345)
    assert () == place.reclaim([], **LINKS).left
    assert (place.mine / "a").is_symlink()
    with pytest.raises(NotFoundError, match="another user's"):
        place.undo(path.stem)
    os.chown(path, 0, 0)
    place.reclaim([], **LINKS)
    assert not (place.mine / "a").is_symlink()


def test_what_somebody_replaced_keeps_no_undo_open_for_ever(place):
    done = place.reclaim(**LINKS)
    os.unlink(place.mine / "a")
    (place.mine / "a").write_text("new")
    assert {"a": Reason.REPLACED} == reasons(place.undo(done.id))
    with place.context() as ctx:
        assert ReclaimState.UNDONE is ctx.catalog.reclaim(done.id).state
    assert () == place.reclaim([], apply=False, **LINKS).unfinished


def test_a_device_or_pipe_that_came_to_the_target_is_never_opened(place, monkeypatch):
    real = os.open

    def watched(path, *words, **options):
        assert path != os.fsencode(place.gold / "a") or words[0] & os.O_PATH
        return real(path, *words, **options)

    copy = os.open(place.mine / "a", os.O_RDONLY)
    os.unlink(place.gold / "a")
    os.mkfifo(place.gold / "a")
    monkeypatch.setattr(os, "open", watched)
    try:
        with pytest.raises(LeftAloneError, match="no regular file"):
            check_equal(
                copy, os.fsencode(place.gold / "a"), Gold(Algorithm.XXH3_128, b"", trusted=True)
            )
    finally:
        os.close(copy)


def test_an_undo_that_was_interrupted_before_its_last_note_is_done(place, monkeypatch):
    done = place.reclaim([place.copy("a")], **LINKS)

    def mark(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ReclaimJournal, "mark", mark)
        with pytest.raises(KeyboardInterrupt):
            place.undo(done.id)
    again = place.undo(done.id)
    assert ((), True) == (again.left, again.undone)
