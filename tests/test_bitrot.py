"""Bytes that change under the file system's feet, and edits that try to look like it."""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from support.loopimages import flip_byte, mounted_image, why_no_loop
from support.warmcommands import Shell

SIZE = 5000
KINDS = [
    pytest.param(kind, marks=pytest.mark.skipif(bool(why_no_loop(kind)), reason=why_no_loop(kind)))
    for kind in ("ext4", "xfs")
]


def fill(top):
    gold = Path(top, "gold")
    (gold / "part").mkdir(parents=True)
    for name in ("rotten", "part/sound", "part/other"):
        (gold / name).write_bytes(name.encode() * (SIZE // len(name)))
    return gold


def size_of(gold):
    return sum(path.stat().st_size for path in gold.rglob("*") if path.is_file())


@pytest.fixture(params=KINDS)
def image(request, loop_image):
    return loop_image(request.param)


@pytest.fixture
def shell(tmp_path):
    return Shell(str(tmp_path / "home"))


@pytest.fixture
def gold(image, shell):
    gold = fill(image.top)
    shell.ask("register", "demo", gold)
    return gold


def audit(shell, level, *, code=0):
    return shell.ask("audit", "demo", "--level", level, codes=(code,))


def found(report):
    return [(one["code"], one["path"]) for one in report["findings"]]


@contextlib.contextmanager
def on_another_device(image):
    """Mount the same image at the same place from another loop device."""
    run("umount", image.top)
    run("blockdev", "--flushbufs", image.device)
    device = run("losetup", "--find", "--show", image.image).strip()
    try:
        run("mount", "-t", image.kind, device, image.top)
        yield replace(image, device=device)
        run("umount", image.top)
    finally:
        run("losetup", "--detach", device)


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_quick_audit_passes_rotten_bits_and_says_that_it_read_nothing(image, gold, shell):
    flip_byte(image, str(gold / "rotten"))
    quick = audit(shell, "quick")
    assert (quick["level"], quick["complete"], quick["findings"]) == ("quick", True, [])
    assert (quick["checked_files"], quick["checked_bytes"]) == (3, 0)


def test_full_audit_calls_rotten_bits_bit_rot(image, gold, shell):
    flip_byte(image, str(gold / "rotten"), offset=1000)
    full = audit(shell, "full", code=3)
    assert found(full) == [("DG107", "rotten")]
    assert full["checked_bytes"] == size_of(gold)


def test_bit_rot_stays_open_until_a_full_audit_no_longer_sees_it(image, gold, shell):
    flip_byte(image, str(gold / "rotten"))
    audit(shell, "full", code=3)
    audit(shell, "quick")
    assert found(shell.ask("findings", "list")) == [("DG107", "rotten")]
    refused = shell.ask("gate", "--input", "demo@1", "--output", "/nowhere", codes=(3,))
    assert [one["name"] for one in refused["checks"] if not one["ok"]] == ["audit result"]

    flip_byte(image, str(gold / "rotten"))  # back to what it was
    audit(shell, "full")
    assert found(shell.ask("findings", "list")) == []
    shell.ask("gate", "--input", "demo@1", "--output", "/nowhere")


def test_register_again_trusts_the_baseline_unless_told_to_read(image, gold, shell):
    flip_byte(image, str(gold / "rotten"))
    assert shell.ask("register", "demo", gold)["hashed"] == 0
    refused = shell.ask("register", "demo", gold, "--rehash", codes=(3,))
    assert [path for _, path in found(refused)] == ["rotten"]


@pytest.mark.usefixtures("image")
def test_edit_of_equal_size_and_time_is_found_by_the_quick_audit(gold, shell, tmp_path):
    file = gold / "part" / "sound"
    run("touch", "-r", file, tmp_path / "times")
    content = file.read_bytes()
    file.write_bytes(b"S" + content[1:])
    run("touch", "-r", tmp_path / "times", file)
    quick = audit(shell, "quick", code=3)
    assert found(quick) == [("DG101", "part/sound")]
    assert quick["checked_bytes"] == len(content)
    assert found(audit(shell, "full", code=3)) == [("DG101", "part/sound")]


def test_edit_within_the_second_is_found_where_times_are_whole_seconds(loop_image, shell):
    """Inodes of 128 bytes have no room for nanoseconds, whatever the kernel promises for ext4."""
    top = Path(loop_image("ext4", options=("-I", "128")).top)
    for name in (f"try{number}" for number in range(20)):
        file = top / name / "file"
        file.parent.mkdir()
        file.write_bytes(b"before")
        shell.ask("register", name, file.parent)
        before = file.stat()
        file.write_bytes(b"after!")
        after = file.stat()
        if (before.st_mtime_ns, before.st_ctime_ns) == (after.st_mtime_ns, after.st_ctime_ns):
            break
    else:
        pytest.skip("this machine is too slow to edit within a second of a registration")
    report = shell.ask("audit", name, "--level", "quick", codes=(3,))
    assert [("DG101", "file")] == found(report)


def test_copy_on_another_file_system_at_the_same_place_has_no_baseline(
    image, gold, shell, tmp_path
):
    with mounted_image(image.kind, tmp_path / "other") as other:
        run("cp", "-a", gold, other.top)
        run("mount", "--bind", other.top, image.top)
        size = size_of(gold)

        quick = audit(shell, "quick")
        assert (quick["checked_bytes"], quick["versions"][0]["baseline"]) == (size, False)

        flip_byte(other, str(gold / "rotten"))
        for level in ("quick", "full"):
            report = audit(shell, level, code=3)
            assert found(report) == [("DG101", "rotten")]
            assert report["findings"][0]["evidence"]["cause"] == "unknown"
            assert report["checked_bytes"] == size
        run("umount", image.top)


def test_other_file_system_with_the_same_device_number_has_no_baseline(loop_image, shell):
    image = loop_image("ext4")
    gold = fill(image.top)
    shell.ask("register", "demo", gold)
    run("umount", image.top)
    run("mkfs.ext4", "-q", "-F", image.device)
    run("mount", "-t", "ext4", image.device, image.top)
    fill(image.top)
    (gold / "rotten").write_bytes(b"x" * SIZE)

    quick = audit(shell, "quick", code=3)

    assert not quick["versions"][0]["baseline"]
    assert quick["findings"][0]["evidence"]["cause"] == "unknown"


KERNEL = tuple(int(number) for number in os.uname().release.split(".")[:2])
TELLS_UUIDS = pytest.mark.skipif(KERNEL < (6, 9), reason="the kernel does not tell XFS's UUID")


@pytest.mark.parametrize("kind", ["ext4", pytest.param("xfs", marks=TELLS_UUIDS)])
def test_baseline_outlives_another_loop_device(loop_image, shell, kind):
    image = loop_image(kind)
    gold = fill(image.top)
    shell.ask("register", "demo", gold)
    with on_another_device(image) as again:
        quick = audit(shell, "quick")
        assert (quick["checked_bytes"], quick["versions"][0]["baseline"]) == (0, True)
        flip_byte(again, str(gold / "rotten"))
        assert found(audit(shell, "full", code=3)) == [("DG107", "rotten")]
