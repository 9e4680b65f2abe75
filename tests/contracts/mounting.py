"""What every mount backend must do: inherit `MountContract` and say how it is made."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest
from mountrecords import record_of

from dataguard.errors import ConflictError, StoreUnreachableError
from dataguard.model.mount import BACKEND_SENTENCES, Guarantee, ProbeOutcome
from dataguard.model.mountpoint import TargetKind
from dataguard.mounts.probe import OPERATIONS, probe
from dataguard.mounts.view import look
from support.mountcleanup import fingerprint, mount_command, mounts_below, needs_mounts

__all__ = ["MountContract"]

BARE = (TargetKind.ABSENT, TargetKind.EMPTY)
EVIL = ("a b", "quo'te\"", "co:lon,comma", "new\nline", "back\\slash", "-dash", "%0A", "\udcff")


class MountContract:
    """The laws of `MountBackend`; `visible` and `table` are what the backend promises to show."""

    visible = True
    """Whether the version can be read at the target."""

    table: dict[str, ProbeOutcome] = dict.fromkeys(OPERATIONS, ProbeOutcome.REFUSED)
    """What the probe finds, by operation."""

    @pytest.fixture
    def backend(self):
        raise NotImplementedError

    @pytest.fixture
    def target(self, area):
        return str(area / "data" / "faces")

    @pytest.fixture
    def record(self, area, backend, target):
        return record_of(area / "gold", target, backend.name)

    def test_it_works_here_or_says_why_not(self, backend):
        assert backend.unavailable() is None

    def test_what_is_made_is_known_by_the_directory_it_shows(self, area, backend, target):
        made = backend.make(str(area / "gold"), target)
        gold = os.stat(area / "gold")
        assert (gold.st_dev, gold.st_ino) == (made.root_device, made.root_inode)

    def test_content_is_visible_where_it_is_promised(self, area, backend, target):
        backend.make(str(area / "gold"), target)
        if not self.visible:
            assert [] == os.listdir(target)
            return
        assert ["a", "dir", "link"] == sorted(os.listdir(target))
        with open(f"{target}/dir/b", "rb") as deep:
            assert b"deep\n" == deep.read()
        assert "a" == os.readlink(f"{target}/link")

    def test_making_and_undoing_changes_nothing_in_the_source(self, area, backend, target, record):
        before = fingerprint(area / "gold")
        backend.make(str(area / "gold"), target)
        backend.undo(record)
        assert before == fingerprint(area / "gold")

    def test_probe_gives_the_table_of_the_backend(self, area, backend, target):
        backend.make(str(area / "gold"), target)
        before = fingerprint(area / "gold")
        probed = probe(target, backend.name)
        assert self.table == {step.operation: step.result for step in probed.steps}
        assert (backend.guarantee is Guarantee.ENFORCED) == probed.proves_read_only
        assert before == fingerprint(area / "gold")

    def test_undo_after_make_leaves_an_empty_directory_at_most(self, area, backend, target, record):
        backend.make(str(area / "gold"), target)
        backend.undo(record)
        backend.undo(record)
        assert ([], True) == (mounts_below(area), look(target).kind in BARE)
        assert b"hello\n" == (area / "gold" / "a").read_bytes()

    def test_undo_before_make_does_nothing(self, area, backend, record):
        backend.undo(record)
        assert [] == os.listdir(area / "data")

    def test_it_can_be_made_again_after_undo(self, area, backend, target, record):
        for _ in range(3):
            backend.make(str(area / "gold"), target)
            backend.undo(record)
        assert ([], True) == (mounts_below(area), look(target).kind in BARE)

    def test_file_at_the_target_stays(self, area, backend, target, record):
        (area / "data" / "faces").write_bytes(b"mine")
        with pytest.raises(ConflictError):
            backend.make(str(area / "gold"), target)
        backend.undo(record)
        assert b"mine" == (area / "data" / "faces").read_bytes()

    def test_link_on_the_way_to_the_target_is_refused(self, area, backend):
        (area / "elsewhere").mkdir()
        os.symlink(area / "elsewhere", area / "data" / "group")
        with pytest.raises(ConflictError, match="link"):
            backend.make(str(area / "gold"), str(area / "data" / "group" / "faces"))
        assert ([], []) == (mounts_below(area), os.listdir(area / "elsewhere"))

    @needs_mounts
    def test_what_somebody_else_mounted_at_the_target_stays(self, area, backend, target, record):
        os.mkdir(target)
        mount_command("-t", "tmpfs", "none", target)
        with suppress(ConflictError):  # those that mount nothing have nothing to say about it
            backend.undo(record)
        assert [target] == mounts_below(area)

    def test_source_that_is_not_there_is_unreachable(self, area, backend, target):
        with pytest.raises(StoreUnreachableError):
            backend.make(str(area / "nowhere"), target)

    @pytest.mark.parametrize("name", EVIL, ids=ascii)
    def test_any_name_will_do(self, area, backend, name):
        gold, target = area / f"gold {name}", str(area / "data" / name)
        (area / "gold").rename(gold)
        backend.make(str(gold), target)
        assert self.visible == os.path.exists(f"{target}/a")
        backend.undo(record_of(gold, target, backend.name))
        assert ([], True) == (mounts_below(area), look(target).kind in BARE)

    def test_its_sentence_is_one_that_can_be_relied_on(self, backend):
        assert BACKEND_SENTENCES[backend.name]
