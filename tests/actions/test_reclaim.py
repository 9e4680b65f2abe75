"""Space given back by copies: nothing is lost, `df` gains what was promised, all can come back."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from dataguard.actions import reclaim as action
from dataguard.actions.reclaimable import plan_for
from dataguard.errors import ConflictError
from dataguard.model.copies import CopyKind
from dataguard.model.dataset import VersionState
from dataguard.model.reclaim import Method, Reason, ReclaimState
from dataguard.stores import linking
from dataguard.stores.reclaimlook import state_of
from support.mountcleanup import as_user, needs_mounts, swept, unmount_command
from support.reclaims import Place, facts_of, free_bytes
from support.sealcleanup import needs_flags, opened_again

MIB = 1 << 20


def place_at(top, home, monkeypatch):
    monkeypatch.setenv("DATAGUARD_HOME", str(home))
    return Place(Path(top), Path(home))


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Three files of gold and their copies, on whatever file system tests run on."""
    with swept(tmp_path):
        made = place_at(tmp_path, tmp_path / "home", monkeypatch)
        made.fill(a=5000, b=MIB, c=70_000)
        yield made


@pytest.fixture(params=["xfs", "btrfs"])
def sharing(request, tmp_path, monkeypatch):
    """As `place`, larger, where files can share blocks."""
    image = request.getfixturevalue(f"loop_{request.param}")
    made = place_at(image.top, tmp_path / "home", monkeypatch)
    made.fill(a=5000, b=12 * MIB + 17, c=8 * MIB, d=100)
    return made


def reasons(result):
    return {os.path.basename(one.path).decode(): one.reason for one in result.left}


def names(steps):
    return [os.path.basename(one.path).decode() for one in steps]


def test_shared_blocks_give_df_what_was_promised_and_leave_files_as_they_are(sharing):
    before = {name: facts_of(sharing.mine / name) for name in "abcd"}
    free = free_bytes(sharing.top)
    planned = sharing.reclaim(apply=False)
    assert before == {name: facts_of(sharing.mine / name) for name in "abcd"}
    result = sharing.reclaim()
    gained = free_bytes(sharing.top) - free
    assert planned.reclaimable == result.reclaimed
    assert planned.reclaimable >= 20 * MIB
    assert abs(gained - planned.reclaimable) <= planned.reclaimable / 100
    assert before == {name: facts_of(sharing.mine / name) for name in "abcd"}
    assert {Method.DEDUPE} == {step.method for step in result.steps}


def test_a_second_reclaim_finds_nothing_to_give_back(sharing):
    first = sharing.reclaim()
    again = sharing.reclaim()
    assert (True, False) == (first.applied, again.applied)
    assert ((), None) == (again.steps, again.id)
    assert {Reason.NO_GAIN} == set(reasons(again).values())


def test_a_write_to_a_copy_that_shares_blocks_never_reaches_gold(sharing):
    gold = (sharing.gold / "b").read_bytes()
    sharing.reclaim()
    with open(sharing.mine / "b", "r+b") as file:
        file.write(b"mine")
    os.sync()
    assert gold == (sharing.gold / "b").read_bytes()


def test_undoing_shared_blocks_leaves_the_whole_files_alone(sharing):
    result = sharing.reclaim()
    before = facts_of(sharing.mine / "b")
    undone = sharing.undo(result.id)
    assert {Reason.SHARED} == set(reasons(undone).values())
    assert (False, before) == (undone.has_gaps, facts_of(sharing.mine / "b"))


@needs_flags
def test_sealed_gold_lends_its_blocks(sharing):
    with opened_again(sharing.gold):
        sharing.ask("seal", "faces")
        result = sharing.reclaim([sharing.copy("b")])
        assert [True] == [step.done for step in result.steps]


def test_holes_on_one_side_only_are_shared_as_well(sharing):
    data = os.urandom(MIB)
    with open(sharing.gold / "holes", "wb") as file:
        file.write(data)
        file.truncate(4 * MIB)
    sharing.ask("register", "faces", str(sharing.gold), "--append", "--reason", "more")
    (sharing.mine / "holes").write_bytes(data + bytes(3 * MIB))
    copy = replace(sharing.copy("holes"), version=2)
    free = free_bytes(sharing.top)
    result = sharing.reclaim([copy])
    assert 4 * MIB == result.reclaimable == result.reclaimed
    assert abs(free_bytes(sharing.top) - free - 4 * MIB) <= MIB // 16
    assert data + bytes(3 * MIB) == (sharing.mine / "holes").read_bytes()


def test_blocks_shared_with_a_third_file_are_not_promised(sharing):
    subprocess.run(
        ["cp", "--reflink=always", sharing.mine / "b", sharing.mine / "clone"], check=True
    )
    result = sharing.reclaim([sharing.copy("b"), sharing.copy("clone", of="b")])
    assert {"b": Reason.NO_GAIN, "clone": Reason.NO_GAIN} == reasons(result)


def test_a_link_belongs_to_whom_the_file_belonged(place):
    os.chown(place.mine / "a", 12345, 23456)
    for path in (place.top, *place.top.parents):
        os.chmod(path, path.stat().st_mode | 0o005)
    place.reclaim([place.copy("a")], Method.LINK, link_gold=True)
    status = os.lstat(place.mine / "a")
    assert (12345, 23456) == (status.st_uid, status.st_gid)


def test_no_link_leads_where_the_owner_of_the_copy_may_not_read(place):
    os.chown(place.mine / "a", 12345, 12345)
    os.chmod(place.gold, 0o700)
    result = place.reclaim([place.copy("a")], Method.LINK, link_gold=True)
    assert {"a": Reason.UNREADABLE} == reasons(result)


def test_hard_links_of_a_copy_share_blocks_once(sharing):
    os.link(sharing.mine / "b", sharing.mine / "b2")
    result = sharing.reclaim([sharing.copy("b"), sharing.copy("b2", of="b")])
    assert (["b"], {"b2": Reason.REPEATED}) == (names(result.steps), reasons(result))


def test_owners_of_files_may_share_blocks_and_others_may_not(sharing, request):
    for path in (*sharing.mine.iterdir(), sharing.home, *sharing.home.rglob("*")):
        os.chown(path, 12345, 12345)
    os.chown(sharing.mine / "c", 54321, 54321)
    for above in (request.getfixturevalue("tmp_path"), *sharing.home.parents):
        if os.stat(above).st_mode & 0o005 != 0o005:
            os.chmod(above, 0o755)
    assert "[('a', 'dedupe'), ('b', 'dedupe')] {'c': 'belongs to somebody else'}" == as_user(
        lambda: _told(sharing.reclaim([sharing.copy(name) for name in "abc"]))
    )


def _told(result):
    steps = [(os.path.basename(one.path).decode(), str(one.method)) for one in result.steps]
    return f"{steps} { {name: str(reason) for name, reason in reasons(result).items()} }"


@needs_mounts
def test_a_file_becomes_a_link_into_the_mount_of_its_workspace(place):
    place.workspace()
    before = {name: facts_of(place.mine / name)[:1] for name in "abc"}
    planned = place.reclaim(method=Method.LINK, apply=False)
    assert not any((place.mine / name).is_symlink() for name in "abc")
    result = place.reclaim(method=Method.LINK)
    assert ["a", "b", "c"] == names(result.steps)
    assert all(step.done for step in result.steps)
    for name in "abc":
        assert str(place.mine / "data" / "faces" / name) == os.readlink(place.mine / name)
        assert before[name] == facts_of(place.mine / name)[:1]
        with pytest.raises(OSError, match="Read-only"):
            os.open(place.mine / name, os.O_WRONLY)
    assert planned.reclaimable == result.reclaimed
    assert ["data", "dataguard.lock", "dataguard.toml"] == sorted(
        {path.name for path in place.mine.iterdir()} - {*"abc"}
    )


@needs_mounts
def test_on_ext4_df_gains_what_links_promise(loop_ext4, tmp_path, monkeypatch):
    place = place_at(loop_ext4.top, tmp_path / "home", monkeypatch)
    place.fill(a=5000, b=6 * MIB, c=5 * MIB + 1)
    place.workspace()
    free = free_bytes(place.top)
    result = place.reclaim()
    assert {Method.LINK} == {step.method for step in result.steps}
    gained = free_bytes(place.top) - free
    assert abs(gained - result.reclaimed) <= result.reclaimed / 100


@needs_mounts
def test_undo_brings_back_bytes_owner_mode_and_times(place):
    os.chown(place.mine / "b", 12345, 23456)
    os.chmod(place.mine / "b", 0o2750)
    place.workspace()
    before = {name: facts_of(place.mine / name) for name in "abc"}
    result = place.reclaim(method=Method.LINK)
    assert place.undo(result.id, dry_run=True).bytes == 0
    assert (place.mine / "a").is_symlink()
    undone = place.undo(result.id)
    assert ((), True) == (undone.left, undone.undone)
    for name in "abc":
        *kept, (mtime, _) = facts_of(place.mine / name)
        *known, (expected, _) = before[name]
        assert (known, expected) == (kept, mtime)
        assert not (place.mine / name).is_symlink()
    assert () == place.undo(result.id).restored
    with place.context() as ctx:
        assert ReclaimState.UNDONE is ctx.catalog.reclaim(result.id).state


@needs_mounts
def test_undo_leaves_alone_what_somebody_put_in_place_of_a_link(place):
    place.workspace()
    result = place.reclaim(method=Method.LINK)
    os.unlink(place.mine / "a")
    (place.mine / "a").write_text("new")
    undone = place.undo(result.id)
    assert ({"a": Reason.REPLACED}, True) == (reasons(undone), undone.has_gaps)
    assert "new" == (place.mine / "a").read_text()
    assert ["b", "c"] == names(undone.restored)


@needs_mounts
def test_undo_takes_no_bytes_that_are_not_those_of_the_version(place):
    place.workspace()
    result = place.reclaim(method=Method.LINK)
    (place.gold / "b").write_bytes(b"damaged")
    undone = place.undo(result.id)
    assert {"b": Reason.UNVERIFIED} == reasons(undone)
    assert (place.mine / "b").is_symlink()
    assert ["a", "b", "c", "data", "dataguard.lock", "dataguard.toml"] == sorted(
        os.listdir(place.mine)
    )


def test_without_a_mount_there_is_no_link_unless_gold_itself_is_asked_for(place):
    assert {Reason.NO_WAY} == set(reasons(place.reclaim(method=Method.LINK)).values())
    result = place.reclaim(method=Method.LINK, link_gold=True)
    assert str(place.gold / "a") == os.readlink(place.mine / "a")
    place.undo(result.id)
    assert not (place.mine / "a").is_symlink()


@needs_mounts
def test_no_link_leads_into_a_mount_that_is_gone(place):
    place.workspace()
    unmount_command(place.mine / "data" / "faces")
    assert {Reason.NO_WAY} == set(reasons(place.reclaim(method=Method.LINK)).values())


def test_what_a_link_could_not_carry_is_left_alone(place):
    os.setxattr(place.mine / "a", "user.note", b"mine")
    os.link(place.mine / "b", place.mine / "b2")
    result = place.reclaim(method=Method.LINK, link_gold=True)
    assert {"a": Reason.ATTRIBUTES, "b": Reason.HARD_LINKS} == reasons(result)
    assert ["c"] == names(result.steps)


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY])
def test_a_file_that_somebody_has_open_is_left_alone(place, flags):
    code = f"import os; os.open({str(place.mine / 'a')!r}, {flags}); print(1, flush=True); input()"
    with subprocess.Popen(
        ["python3", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert b"1\n" == other.stdout.readline()
        result = place.reclaim(method=Method.LINK, link_gold=True)
        other.communicate(b"\n")
    assert {"a": Reason.IN_USE} == reasons(result)
    assert ["b", "c", "a"] == names(result.steps)
    assert [True, True, False] == [step.done for step in result.steps]


def test_a_file_that_changed_since_it_was_looked_at_is_left_alone(place, monkeypatch):
    real = plan_for

    def late(*words, **options):
        plan = real(*words, **options)
        os.utime(place.mine / "a", ns=(5, 5))
        with open(place.mine / "b", "ab") as file:
            file.write(b"more")
        return plan

    monkeypatch.setattr(action, "plan_for", late)
    result = place.reclaim(method=Method.LINK, link_gold=True)
    assert {"a": Reason.CHANGED, "b": Reason.CHANGED} == reasons(result)
    assert b"more" == (place.mine / "b").read_bytes()[-4:]


def test_bytes_that_differ_behind_equal_times_are_left_alone(place):
    content = bytearray((place.mine / "a").read_bytes())
    content[100] ^= 1
    (place.mine / "a").write_bytes(content)
    result = place.reclaim(method=Method.LINK, link_gold=True)
    assert {"a": Reason.DIFFERENT} == reasons(result)
    assert content == (place.mine / "a").read_bytes()


def test_a_file_that_changed_since_it_was_found_is_left_alone(place):
    before = replace(state_of(os.stat(place.mine / "a")), mtime_ns=1)
    found = replace(place.copy("a"), state=before)
    same = replace(place.copy("b"), state=state_of(os.stat(place.mine / "b")))
    result = place.reclaim([found, same], Method.LINK, link_gold=True)
    assert ({"a": Reason.CHANGED}, ["b"]) == (reasons(result), names(result.steps))


def test_a_differing_file_never_shares_blocks(sharing):
    content = bytearray((sharing.mine / "b").read_bytes())
    content[-1] ^= 1
    (sharing.mine / "b").write_bytes(content)
    os.sync()
    result = sharing.reclaim([sharing.copy("b")])
    assert {"b": Reason.DIFFERENT} == reasons(result)
    assert content == (sharing.mine / "b").read_bytes()


def test_gold_that_changed_is_no_original(place):
    (place.gold / "a").write_bytes(os.urandom(5000))
    result = place.reclaim(method=Method.LINK, link_gold=True)
    assert {"a": Reason.UNVERIFIED} == reasons(result)
    assert result.has_gaps


def test_versions_that_are_quarantined_or_damaged_are_no_originals(place):
    with place.context() as ctx, ctx.catalog.transaction() as tx:
        tx.set_state("faces", 1, VersionState.QUARANTINED, "why")
    assert {Reason.UNVERIFIED} == set(reasons(place.reclaim(apply=False)).values())


def test_gold_and_other_kinds_of_copies_are_left_alone(place):
    part = place.copy("a", kind=CopyKind.PARTIAL)
    gold = replace(place.copy("b"), path=os.fsencode(place.gold / "b"))
    result = place.reclaim([part, gold])
    assert {"a": Reason.NOT_EXACT, "b": Reason.GOLD} == reasons(result)


def test_a_link_on_the_way_leads_nowhere(place):
    os.rename(place.mine, place.top / "real")
    os.symlink(place.top / "real", place.mine)
    result = place.reclaim(method=Method.LINK, link_gold=True)
    assert {Reason.CHANGED} == set(reasons(result).values())
    assert not (place.top / "real" / "a").is_symlink()


def test_a_file_put_in_place_at_the_last_moment_keeps_its_name(place, monkeypatch):
    real = linking.exchange

    def late(directory, one, other):
        if not (place.mine / "new").exists() and other == b"a":
            (place.mine / "new").write_text("new")
            os.rename(place.mine / "a", place.mine / "old")
            os.rename(place.mine / "new", place.mine / "a")
            (place.mine / "new").mkdir()
        real(directory, one, other)

    monkeypatch.setattr(linking, "exchange", late)
    result = place.reclaim([place.copy("a")], Method.LINK, link_gold=True)
    assert {"a": Reason.CHANGED} == reasons(result)
    assert "new" == (place.mine / "a").read_text()
    assert ["a", "b", "c", "new", "old"] == sorted(os.listdir(place.mine))


def test_whoever_opens_a_file_in_between_gets_it_back(place, monkeypatch):
    real = linking.exchange
    calls = []

    def opened(directory, one, other):
        calls.append(other)
        real(directory, one, other)
        if len(calls) == 1:  # as an `open` that had found the file before the exchange
            with pytest.raises(BlockingIOError):
                os.open(one, os.O_RDWR | os.O_NONBLOCK, dir_fd=directory)

    monkeypatch.setattr(linking, "exchange", opened)
    result = place.reclaim([place.copy("a")], Method.LINK, link_gold=True)
    assert ({"a": Reason.IN_USE}, 2) == (reasons(result), len(calls))
    assert stat.S_ISREG(os.lstat(place.mine / "a").st_mode)


def test_a_reclaim_is_an_event_with_who_and_how_much(place):
    result = place.reclaim(method=Method.LINK, link_gold=True)
    with place.context() as ctx:
        record = ctx.catalog.reclaim(result.id)
        kinds = [event.kind for event in ctx.catalog.events()]
        (known,) = ctx.catalog.reclaims()
    assert (["reclaim.put"] * 2, record) == (kinds[-2:], known)
    assert (ReclaimState.APPLIED, 3, ("faces@1",)) == (record.state, record.files, record.versions)
    assert (result.reclaimed, os.getuid()) == (record.reclaimed, record.actor.uid)


def test_two_reclaims_of_one_home_take_turns(place):
    (place.home / "state" / "reclaim").mkdir(parents=True)
    descriptor = os.open(place.home / "state" / "reclaim", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(ConflictError, match="another reclaim"):
            place.reclaim()
    finally:
        os.close(descriptor)
