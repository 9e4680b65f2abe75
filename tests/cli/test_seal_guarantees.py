"""One test for each sentence about seals, which it has as its docstring."""

from __future__ import annotations

import ctypes
import os

import pytest

from support.mountcleanup import fingerprint, in_child
from support.namespaces import become
from support.sealcleanup import needs_flags, opened_again

pytestmark = needs_flags

BOUNDING_SET_DROP, CAP_LINUX_IMMUTABLE = 24, 9
OTHER = 12345


@pytest.fixture
def gold(registered):
    """faces@1, writable for everybody, and without a seal again at the end."""
    for directory, _, files in os.walk(registered.gold):
        for name in (".", *files):
            os.chmod(os.path.join(directory, name), 0o777)
    registered.top.chmod(0o755)
    registered.register("--supersede", "--reason", "modes")
    with opened_again(registered.top):
        yield registered


def tries(top):
    """Everything that the sentence names, by the registered path."""
    a = f"{top}/a"
    yield "write", lambda: os.close(os.open(a, os.O_WRONLY))
    yield "empty", lambda: os.truncate(a, 0)
    yield "rename", lambda: os.rename(a, f"{top}/c")
    yield "remove", lambda: os.unlink(f"{top}/dir/b")
    yield "add", lambda: os.mkdir(f"{top}/new")
    yield "mode", lambda: os.chmod(a, 0o700)
    yield "owner", lambda: os.chown(a, OTHER, OTHER)
    yield "times", lambda: os.utime(a, (1, 1))
    yield "attributes", lambda: os.setxattr(a, "user.x", b"x")


def passed(top, names):
    """Return which of these operations were not refused."""
    found = []
    for name, act in tries(top):
        try:
            if name in names:
                act()
                found.append(name)
        except OSError:
            pass
    return found


ALL = [name for name, _ in tries("")]


def without_the_capability(act):
    """Do something as root, who cannot clear flags, in a child."""

    def lowered():
        ctypes.CDLL(None).prctl(BOUNDING_SET_DROP, CAP_LINUX_IMMUTABLE, 0, 0, 0)
        return act()

    return in_child(lowered)


def test_guarantee_of_seal_immutable(gold):
    """no process without CAP_LINUX_IMMUTABLE can write, empty, rename, remove or add files, or
    change their modes, owners, times and attributes, whatever path, mount or hard link it uses
    """
    os.link(gold.gold / "a", gold.top / "linked")
    gold.ask_json("seal", "faces")
    before = fingerprint(gold.gold)
    assert "[]" == without_the_capability(lambda: passed(gold.gold, ALL))
    with pytest.raises(PermissionError):
        os.truncate(gold.top / "linked", 0)
    assert before == fingerprint(gold.gold)


def test_guarantee_of_seal_mode(gold):
    """nobody but the owner and root can write to files or directories that others could write
    before
    """
    content = ["write", "empty", "rename", "remove", "add"]

    def others_try():
        become(OTHER, str(gold.top))
        return len(os.listdir(gold.gold)), passed(gold.gold, content)

    gold.ask_json("seal", "faces", "--seal", "mode")
    assert str((4, [])) == in_child(others_try)
    assert ["write"] == passed(gold.gold, ["write"])
    gold.ask_json("unseal", "faces", "--reason", "why", "--for", "1h")
    assert str((4, content)) == in_child(others_try)
