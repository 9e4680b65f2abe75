from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from support.loopimages import flip_byte, mounted_image, why_no_loop


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_flipped_byte_changes_content_and_nothing_else(loop_image, kind):
    image = loop_image(kind)
    path = Path(image.top, "file")
    path.write_bytes(bytes(range(256)) * 64)
    os.sync()
    before, facts = path.read_bytes(), path.stat()
    flip_byte(image, str(path), 5000)
    after = path.read_bytes()
    assert [5000] == [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert facts == path.stat()


def test_flipped_byte_stays_flipped_after_a_new_read_of_the_device(loop_ext4):
    path = Path(loop_ext4.top, "file")
    path.write_bytes(b"a" * 5000)
    flip_byte(loop_ext4, str(path))
    assert path.read_bytes()[:2] == bytes([ord("a") ^ 0xFF, ord("a")])


def test_btrfs_is_refused_because_it_checks_its_blocks(loop_btrfs):
    path = Path(loop_btrfs.top, "file")
    path.write_bytes(b"a" * 5000)
    with pytest.raises(ValueError, match="read error"):
        flip_byte(loop_btrfs, str(path))


def test_hole_has_no_byte_to_flip(loop_ext4):
    path = Path(loop_ext4.top, "hole")
    with path.open("wb") as file:
        file.truncate(1 << 20)
    with pytest.raises(ValueError, match="no plain extent"):
        flip_byte(loop_ext4, str(path))


@pytest.mark.skipif(bool(why_no_loop("ext4")), reason=why_no_loop("ext4"))
def test_nothing_is_left_after_a_failure_with_an_open_file(tmp_path):
    with contextlib.ExitStack() as files:
        with pytest.raises(ZeroDivisionError):
            fail_with_open_file(tmp_path, files)
        assert not os.path.ismount(tmp_path / "ext4")
        assert not (tmp_path / "ext4.img").exists()
        assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")


def fail_with_open_file(directory, files):
    with mounted_image("ext4", str(directory)) as image:
        files.callback(os.close, os.open(f"{image.top}/open", os.O_WRONLY | os.O_CREAT))
        raise ZeroDivisionError
