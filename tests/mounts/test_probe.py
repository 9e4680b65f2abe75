"""The probe: refused on a read-only mount, without a trace on a writable one."""

from __future__ import annotations

import os
import tempfile
import time

import pytest

from dataguard.model.mount import Backend, ProbeOutcome
from dataguard.mounts.bind import BindBackend
from dataguard.mounts.probe import OPERATIONS, probe
from support.mountcleanup import as_user, fingerprint, mount_command, needs_mounts, swept

HARMLESS = ("open", "rename", "unlink", "rmdir")


def results(probed):
    return {step.operation: step.result for step in probed.steps}


@pytest.fixture
def target(area):
    return str(area / "data" / "faces")


@needs_mounts
def test_read_only_mount_refuses_everything(area, target):
    BindBackend().make(str(area / "gold"), target)
    before = fingerprint(area / "gold")
    probed = probe(target, Backend.BIND)
    assert dict.fromkeys(OPERATIONS, ProbeOutcome.REFUSED) == results(probed)
    assert probed.proves_read_only
    assert before == fingerprint(area / "gold")


@needs_mounts
def test_writable_mount_is_told_and_not_touched(area, target):
    os.mkdir(target)
    mount_command("--bind", area / "gold", target)
    old = time.time_ns() - 10 * 24 * 3600 * 10**9
    for path in (area / "gold", area / "gold" / "dir", area / "gold" / "a"):
        os.utime(path, ns=(old, old))  # relatime would move such an access time
    before = fingerprint(area / "gold")
    probed = probe(target, Backend.BIND)
    assert before == fingerprint(area / "gold")
    assert not probed.proves_read_only
    expected = dict.fromkeys(OPERATIONS, ProbeOutcome.SKIPPED)
    expected |= dict.fromkeys(("mountinfo", "statvfs", *HARMLESS), ProbeOutcome.ALLOWED)
    assert expected == results(probed)


@needs_mounts
def test_writable_submount_is_found(area, target):
    BindBackend().make(str(area / "gold"), target)
    mount_command("-t", "tmpfs", "none", f"{target}/dir")
    probed = probe(target, Backend.BIND)
    assert (ProbeOutcome.ALLOWED, False) == (results(probed)["mountinfo"], probed.proves_read_only)
    assert f"writable: {target}/dir" == probed.steps[0].detail


@needs_mounts
def test_dataset_without_a_file_is_proven_by_the_rest(area, target):
    empty = area / "empty"
    empty.mkdir()
    BindBackend().make(str(empty), target)
    probed = probe(target, Backend.BIND)
    skipped = {name for name, result in results(probed).items() if result is ProbeOutcome.SKIPPED}
    assert ({"open", "link", "truncate"}, True) == (skipped, probed.proves_read_only)


@needs_mounts
def test_ordinary_user_can_probe():
    with tempfile.TemporaryDirectory() as top, swept(top):
        os.chmod(top, 0o755)
        os.mkdir(f"{top}/gold")
        with open(f"{top}/gold/a", "wb") as stream:
            stream.write(b"x")
        BindBackend().make(f"{top}/gold", f"{top}/faces")
        answer = as_user(lambda: probe(f"{top}/faces", Backend.BIND).proves_read_only)
    assert answer == "True"


def test_missing_mount_proves_nothing(area):
    probed = probe(str(area / "gold"), Backend.BIND)
    assert (ProbeOutcome.FAILED, False) == (results(probed)["mountinfo"], probed.proves_read_only)


@pytest.mark.parametrize("backend", [Backend.SYMLINK, Backend.DECLARED])
def test_only_bind_mounts_are_tried(area, backend):
    before = fingerprint(area / "gold")
    probed = probe(str(area / "gold"), backend)
    assert dict.fromkeys(OPERATIONS, ProbeOutcome.SKIPPED) == results(probed)
    assert (before, False) == (fingerprint(area / "gold"), probed.proves_read_only)
