"""Descriptions of served trees: read as they were written, and known again by everybody."""

from __future__ import annotations

from dataclasses import replace

from dataguard.model.digest import Algorithm, RootDigest
from dataguard.model.objects import ObjectPlace
from dataguard.model.served import ServedTree, identity_of, is_served
from dataguard.model.tree import Looks

TREE = ServedTree(
    home="/home",
    root=RootDigest("0" * 64),
    algorithm=Algorithm.XXH3_128,
    sheet="s",
    place="s3://bucket/gold",
    objects=ObjectPlace(endpoint="http://localhost:1"),
    bytes=7,
    files=2,
    looks=Looks(uid=1000, mtime_ns=5),
    cache="/cache",
    group=None,
    blocks=1,
)


def by(uid):
    return replace(TREE, looks=replace(TREE.looks, uid=uid))


def test_description_is_read_as_it_was_written():
    assert TREE == ServedTree.parse(TREE.text())


def test_mount_is_known_again_by_another_user_and_his_description_is_another():
    assert identity_of(f"/x-y/{TREE.name}") == identity_of(by(0).name)
    assert TREE.name != by(0).name
    assert is_served(TREE.name)


def test_what_looks_otherwise_has_another_identity():
    group = replace(TREE, looks=replace(TREE.looks, gid=7, file_mode=0o440))
    sheet, place = replace(TREE, sheet="t"), replace(TREE, place="s3://bucket/other")
    found = {identity_of(one.name) for one in (TREE, group, sheet, place)}
    assert 4 == len(found)
    assert {0} == {device for device, _ in found}
