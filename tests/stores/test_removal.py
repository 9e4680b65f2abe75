"""Trees that jobs made are removed whatever they are, and nothing else is."""

from __future__ import annotations

import os
import subprocess

from dataguard.stores.removal import remove_tree
from support.mountcleanup import fingerprint


def test_tree_of_any_depth_is_removed(tmp_path):
    top = tmp_path / "top"
    top.mkdir()
    at = os.open(top, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.mkfifo("pipe", dir_fd=at)
    os.symlink("..", "link", dir_fd=at)
    os.close(at)
    try:
        remove_tree(str(top))
        assert not top.exists()
    finally:  # pytest could not remove it
        subprocess.run(["rm", "-rf", top], check=True)


def test_what_links_lead_to_stays(tmp_path):
    gold = tmp_path / "gold"
    (gold / "dir").mkdir(parents=True)
    (gold / "dir" / "file").write_text("kept")
    top = tmp_path / "top"
    (top / "dir").mkdir(parents=True)
    (top / "link").symlink_to(gold)
    (top / "dir" / "link").symlink_to(gold / "dir")
    (tmp_path / "way").symlink_to(gold)
    before = fingerprint(gold)
    for path in (top, tmp_path / "way", tmp_path / "way" / "dir"):
        remove_tree(str(path))
    assert before == fingerprint(gold)
    assert ["gold", "way"] == sorted(os.listdir(tmp_path))
