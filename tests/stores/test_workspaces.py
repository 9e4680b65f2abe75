"""Workspace files: what they say, what survives a change, and where they are wrong."""

from __future__ import annotations

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.errors import (
    ConfigurationError,
    ConflictError,
    DataguardError,
    NotFoundError,
    UsageError,
)
from dataguard.model.digest import RootDigest
from dataguard.model.workspace import LockEntry
from dataguard.stores import workspaces
from dataguard.stores.workspacetext import changed, format_lock, parse_declaration, parse_lock

ROOT = RootDigest("ab" * 32)
DECLARATION = """\
# our project
[workspace]
outputs = "/scratch/out"   # big disk

[datasets]
faces = "vision/faces@3"
# cats come later
"audio/speech" = "audio/speech"
"""

names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,8}(/[a-z0-9][a-z0-9._-]{0,8}){0,2}", fullmatch=True)
locations = st.binary(max_size=40).filter(lambda p: b"\0" not in p).map(lambda p: b"/" + p)
entries = st.builds(
    LockEntry,
    names,
    names,
    st.integers(1, 10**6),
    st.binary(min_size=32, max_size=32).map(lambda b: RootDigest(b.hex())),
    locations.map(os.fsdecode),
)


@pytest.fixture
def directory(tmp_path):
    top = str(tmp_path.resolve())
    with open(f"{top}/dataguard.toml", "w", encoding="utf-8") as stream:
        stream.write(DECLARATION)
    return top


def entry(name="faces", version=3):
    return LockEntry(name, "vision/faces", version, ROOT, "/gold/faces")


@given(st.lists(entries, unique_by=lambda e: e.name, max_size=5))
def test_lock_comes_back_and_is_determined_by_its_entries(some):
    text = format_lock(some)
    assert {e.name: e for e in some} == parse_lock("x", text.encode())
    assert text == format_lock(reversed(some))


@given(names, names, st.integers(1, 99))
def test_declared_mount_comes_back_and_goes_away(name, dataset, number):
    added = changed("x", DECLARATION.encode(), "datasets", name, f"{dataset}@{number}")
    assert f"{dataset}@{number}" == parse_declaration("x", added.encode()).datasets[name]
    removed = changed("x", added.encode(), "datasets", name, None)
    assert name not in parse_declaration("x", removed.encode()).datasets


def test_declaration_is_read(directory):
    workspace = workspaces.read(directory)
    assert {"faces": "vision/faces@3", "audio/speech": "audio/speech"} == workspace.datasets
    assert (directory, "/scratch/out", {}, None) == (
        workspace.directory,
        workspace.outputs,
        workspace.lock,
        workspace.policy,
    )


def test_relative_places_are_relative_to_the_workspace(directory):
    with open(f"{directory}/dataguard.toml", "w", encoding="utf-8") as stream:
        stream.write('[workspace]\noutputs = "out"\n[policy]\nfile = "rules.toml"\n')
    workspace = workspaces.read(directory)
    assert (f"{directory}/out", f"{directory}/rules.toml") == (workspace.outputs, workspace.policy)


def test_comments_and_order_survive(directory):
    workspaces.write_declaration(directory, "faces", "vision/faces@4")
    workspaces.write_declaration(directory, "cats", "cats@1")
    with open(f"{directory}/dataguard.toml", encoding="utf-8") as stream:
        text = stream.read()
    assert DECLARATION.replace("@3", "@4") + 'cats = "cats@1"\n' == text


def test_writing_the_same_again_does_not_touch_the_file(directory):
    before = os.stat(f"{directory}/dataguard.toml")
    workspaces.write_declaration(directory, "faces", "vision/faces@3")
    assert before == os.stat(f"{directory}/dataguard.toml")


def test_permissions_stay_but_for_setuid(directory):
    os.chmod(f"{directory}/dataguard.toml", 0o4640)
    workspaces.write_declaration(directory, "faces", "vision/faces@9")
    assert 0o640 == os.stat(f"{directory}/dataguard.toml").st_mode & 0o7777


WRITERS = {
    "dataguard.toml": lambda at: workspaces.write_declaration(at, "faces", "vision/faces@9"),
    "dataguard.lock": lambda at: workspaces.write_lock(at, []),
}


@pytest.mark.parametrize("name", WRITERS)
def test_link_in_place_of_a_file_is_read_but_never_written_through(directory, name):
    workspaces.write_lock(directory, [entry()])
    os.rename(f"{directory}/{name}", f"{directory}/real")
    os.symlink("real", f"{directory}/{name}")
    before = os.stat(f"{directory}/real").st_ctime_ns
    with pytest.raises(ConflictError, match="it is a link"):
        WRITERS[name](directory)
    with pytest.raises(ConflictError, match="it is a link"):
        workspaces.check_files(directory)
    assert before == os.stat(f"{directory}/real").st_ctime_ns
    assert ("vision/faces@3", entry()) == (
        workspaces.read(directory).datasets["faces"],
        workspaces.read(directory).lock["faces"],
    )


def test_link_that_leads_nowhere_is_not_written_through_either(directory):
    os.symlink("/nowhere/file", f"{directory}/dataguard.lock")
    with pytest.raises(ConflictError, match="it is a link"):
        workspaces.write_lock(directory, [entry()])
    os.symlink(f"{directory}/made", f"{directory}/.dataguard.toml.new")
    workspaces.write_declaration(directory, "faces", "vision/faces@9")
    assert not os.path.lexists(f"{directory}/made")


def test_pipe_in_place_of_a_file_is_refused_without_waiting(directory):
    os.mkfifo(f"{directory}/dataguard.lock")
    with pytest.raises(ConflictError, match="it is no file"):
        workspaces.write_lock(directory, [entry()])
    with pytest.raises(ConfigurationError, match="it is no file"):
        workspaces.read(directory)


def test_link_on_the_way_to_the_files_is_refused(directory, tmp_path):
    link = tmp_path.resolve() / "linked"
    link.symlink_to(directory)
    os.mkdir(f"{directory}/inner")
    for way in (link, link / "inner"):
        with pytest.raises(DataguardError):
            workspaces.write_lock(str(way), [entry()])
    assert ["inner"] == [n for n in os.listdir(directory) if n not in ("dataguard.toml", "linked")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes other people's files")
def test_file_stays_its_owners_when_root_mounts(directory):
    workspaces.write_outputs(directory, "/out")
    os.chown(f"{directory}/dataguard.toml", 65534, 65534)
    workspaces.write_declaration(directory, "faces", "vision/faces@1")
    found = os.stat(f"{directory}/dataguard.toml")
    assert (found.st_uid, found.st_gid) == (65534, 65534)


def test_leftover_of_a_crash_gives_way(directory):
    leftover = f"{directory}/.dataguard.lock.new"
    with open(leftover, "wb") as stream:
        stream.write(b"half")
    workspaces.write_lock(directory, [entry()])
    assert {"faces": entry()} == workspaces.read(directory).lock
    assert not os.path.exists(leftover)


def test_lock_file_reads_as_documented(directory):
    workspaces.write_lock(directory, [entry("faces"), entry("a/b", 1)])
    with open(f"{directory}/dataguard.lock", encoding="utf-8") as stream:
        lines = stream.read().splitlines()
    assert lines[0].startswith("# ")
    assert '[datasets."a/b"]' == lines[2]
    assert [
        "[datasets.faces]",
        'dataset = "vision/faces"',
        "version = 3",
        f'root = "{ROOT}"',
        'location = "/gold/faces"',
    ] == lines[-5:]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[workspace]\noutputs = "x"\n[datasets]\nfaces = \n', 4),
        ('[workspace]\noutputs = "x"\n[datasets]\nfaces = 3\n', 4),
        ('[workspace]\noutputs = "x"\n[datasets]\ncats = "cats"\nfaces = "Faces@0"\n', 5),
        ('[workspace]\noutputs = "x"\n\n[datasets]\n"../up" = "cats"\n', 5),
        ('[workspace]\noutputs = ""\n', 2),
        ("[workspace]\nother = 1\n", 1),
        ('workspace = "x"\n', 1),
        ('[workspace]\noutputs = "x"\n[policy]\nfile = 1\n', 4),
    ],
)
def test_mistake_in_the_declaration_is_told_with_its_line(directory, text, line):
    with open(f"{directory}/dataguard.toml", "w", encoding="utf-8") as stream:
        stream.write(text)
    with pytest.raises(ConfigurationError) as caught:
        workspaces.read(directory)
    assert caught.value.message.startswith(f"{directory}/dataguard.toml:{line}: ")


def test_bytes_that_are_no_text_are_told_with_their_line(directory):
    with open(f"{directory}/dataguard.toml", "ab") as stream:
        stream.write(b"x = '\xff'\n")
    with pytest.raises(ConfigurationError, match=":9: no UTF-8 text"):
        workspaces.read(directory)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("version = 3", 'version = "3"', 3),
        ("version = 3", "version = 0", 3),
        (str(ROOT), "dg1:12", 3),
        ("location", "place", 1),
    ],
)
def test_mistake_in_the_lock_is_told_with_its_line(directory, old, new, line):
    workspaces.write_lock(directory, [entry()])
    with open(f"{directory}/dataguard.lock", "r+", encoding="utf-8") as stream:
        text = stream.read().replace(old, new)
        stream.seek(0)
        stream.write(text)
        stream.truncate()
    with pytest.raises(ConfigurationError, match=r"dataguard.lock:\d+: ") as caught:
        workspaces.read(directory)
    assert line <= int(caught.value.message.split(":")[1])


def test_directory_without_declaration_is_no_workspace(tmp_path):
    with pytest.raises(NotFoundError) as caught:
        workspaces.read(str(tmp_path))
    assert "dataguard workspace init" in str(caught.value.hint)


def test_nearest_workspace_is_found(directory):
    os.makedirs(f"{directory}/deep/er")
    assert directory == workspaces.find(f"{directory}/deep/er")
    os.symlink(directory, f"{directory}/deep/link")
    assert directory == workspaces.find(f"{directory}/deep/link")


@pytest.mark.parametrize("place", ["", "a\0b", "\udcff"])
def test_outputs_place_that_cannot_be_written_down_is_refused(place):
    with pytest.raises(UsageError):
        workspaces.outputs_place("/ws", place)


def test_outputs_place_may_be_a_bucket():
    assert "s3://bucket/out" == workspaces.outputs_place("/ws", "s3://bucket/out")


def test_second_command_waits_for_the_first(directory):
    order = []

    def second():
        with workspaces.locked(directory):
            order.append("second")

    with workspaces.locked(directory):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.3)
        order.append("first")
    waiting.join(5)
    assert ["first", "second"] == order
    assert ["dataguard.toml"] == os.listdir(directory)


def test_lock_that_nobody_lets_go_is_a_conflict(directory, monkeypatch):
    monkeypatch.setattr(workspaces, "_ATTEMPTS", 2)
    with (
        workspaces.locked(directory),
        pytest.raises(ConflictError, match="another"),
        workspaces.locked(directory),
    ):
        pass
