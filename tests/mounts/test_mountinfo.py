"""Lines of mountinfo: what they say, and which mount is on top."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.errors import DataguardError
from dataguard.mounts import mountinfo
from support.mountcleanup import mount_command, needs_mounts

LINE = b"36 35 98:0 /mnt1 /mnt/parent ro,noatime master:1 shared:2 - ext3 /dev/root rw,errors=x"


def escaped(name):
    for byte in (b"\\", b" ", b"\t", b"\n"):
        name = name.replace(byte, b"\\%03o" % byte[0])
    return name


def test_line_of_the_manual_page_is_understood():
    [point] = mountinfo.parse(LINE + b"\n").points
    assert (36, 35, "98:0", "/mnt1", "/mnt/parent", True, "ext3") == (
        point.mount_id,
        point.parent_id,
        point.device,
        point.root,
        point.target,
        point.read_only,
        point.filesystem,
    )


def test_superblock_flag_does_not_count():
    line = LINE.replace(b" ro,noatime", b" rw,noatime").replace(b"rw,errors", b"ro,errors")
    assert not mountinfo.parse(line).points[0].read_only


@given(st.lists(st.binary(min_size=1).filter(lambda n: b"\0" not in n), min_size=1, max_size=5))
def test_any_name_comes_back(names):
    lines = [LINE.replace(b"/mnt/parent", b"/" + escaped(name)) for name in names]
    table = mountinfo.parse(b"\n".join(lines) + b"\n")
    assert [b"/" + name for name in names] == [os.fsencode(p.target) for p in table.points]


@pytest.mark.parametrize("line", [b"x", b"36 35 98:0 / /mnt rw", LINE.replace(b"36", b"no", 1)])
def test_other_forms_are_an_error(line):
    with pytest.raises(DataguardError, match="cannot understand"):
        mountinfo.parse(line)


def test_visible_mount_comes_last_whatever_the_order():
    def line(mount_id, parent_id):
        return LINE.replace(b"36 35", b"%d %d" % (mount_id, parent_id))

    table = mountinfo.parse(b"\n".join([line(9, 7), line(5, 1), line(7, 5)]))
    assert [5, 7, 9] == [point.mount_id for point in table.at("/mnt/parent")]


def test_sibling_with_the_same_beginning_is_not_below():
    table = mountinfo.parse(LINE.replace(b"/mnt/parent", b"/mnt/parent2"))
    assert ((), 1) == (table.below("/mnt/parent"), len(table.below("/mnt")))


@needs_mounts
def test_mount_of_a_descriptor_is_the_one_on_top(area):
    target = area / "data" / "na me\n\\x"
    target.mkdir()
    mount_command("--bind", area / "gold", target)
    mount_command("--bind", area / "gold", target)
    descriptor = os.open(target, os.O_PATH)
    try:
        mount_id = mountinfo.mount_id_of(descriptor)
    finally:
        os.close(descriptor)
    stack = mountinfo.read().at(str(target))
    assert (2, mount_id) == (len(stack), stack[-1].mount_id)
