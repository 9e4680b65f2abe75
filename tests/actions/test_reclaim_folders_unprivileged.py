"""An ordinary user lets a whole folder of their own become a link, and gets it back."""

from __future__ import annotations

import os

from dataguard.core.paths import display
from support.mountcleanup import as_user, needs_mounts, swept
from support.reclaimfolders import FolderPlace, tree_facts

pytestmark = needs_mounts

USER = 12345


def own(top, uid, mounted=""):
    """Give a tree to a user, but for what is mounted in it."""
    for directory, folders, files in os.walk(top):
        paths = [directory, *(os.path.join(directory, name) for name in (*folders, *files))]
        for path in paths:
            if not mounted or not path.startswith(mounted):
                os.chown(path, uid, uid, follow_symlinks=False)


def given(place):
    """Give the workspace and the home to a user, and open the ways to them."""
    # What is imported late is loaded now: users may not be able to read the interpreter.
    told(place.give_back(apply=False))
    display(b"\n")
    own(place.home, USER)
    own(place.mine, USER, mounted=str(place.mine / "data" / "faces"))
    for above in (place.gold, place.top, *place.top.parents):
        if os.stat(above).st_mode & 0o005 != 0o005:
            os.chmod(above, 0o755)


def told(result):
    steps = [
        (os.fsdecode(os.path.basename(one.path)), one.done) for one in result.steps if one.folder
    ]
    left = {os.fsdecode(os.path.basename(one.path)): str(one.reason) for one in result.left}
    return f"{steps} {left} {result.id}"


def test_the_owner_of_a_folder_gives_it_back_and_undoes_it(tmp_path, monkeypatch):
    with swept(tmp_path):
        monkeypatch.setenv("DATAGUARD_HOME", str(tmp_path / "home"))
        place = FolderPlace(tmp_path, tmp_path / "home")
        place.fill_tree()
        place.workspace()
        os.chmod(place.folder / "val", 0o555)
        given(place)
        before = tree_facts(place.folder)
        *rest, made = as_user(lambda: told(place.give_back())).split(" ")
        assert "[('copy', True)] {}" == " ".join(rest)
        assert (USER, True) == (os.lstat(place.folder).st_uid, place.folder.is_symlink())
        assert "((), True)" == as_user(lambda: _undone(place, made))
        assert before == tree_facts(place.folder)


def test_nobody_gives_back_the_folder_of_another_user(tmp_path, monkeypatch):
    with swept(tmp_path):
        monkeypatch.setenv("DATAGUARD_HOME", str(tmp_path / "home"))
        place = FolderPlace(tmp_path, tmp_path / "home")
        place.fill_tree()
        place.workspace()
        for directory, folders, files in os.walk(place.folder):
            os.chmod(directory, 0o755)
            for name in (*folders, *files):
                path = os.path.join(directory, name)
                if not os.path.islink(path):
                    os.chmod(path, 0o755)
        given(place)
        own(place.folder, 54321)
        assert "'copy': 'belongs to somebody else'" in as_user(lambda: told(place.give_back()))
        assert not place.folder.is_symlink()


def _undone(place, made):
    result = place.undo(made)
    return f"({result.left}, {result.undone})"
