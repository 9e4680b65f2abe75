"""`gold://` shows and gives exactly what a version pins."""

from __future__ import annotations

import fcntl
import io
import os
import pickle
import subprocess
import sys
import tomllib
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import pytest
import xxhash

from dataguard.hooks import goldreader
from dataguard.hooks.goldfilesystem import GoldFileSystem
from dataguard.stores.localreplica import LocalReplica
from dataguard.stores.pinnedsource import ChangedGoldError

HEAD = "vision/faces@1"
ODD = os.fsdecode(b"\xff\n")


def digest(data):
    return f"xxh3-128:{xxhash.xxh3_128_hexdigest(data)}"


def files_of(tree):
    """Path and content of what a version lists as files: links to files are such."""
    found = {}
    for directory, _, names in os.walk(tree):
        for name in names:
            path = Path(directory, name)
            if path.is_file():
                found[f"{HEAD}/{path.relative_to(tree)}"] = path.read_bytes()
    return found


def test_entry_point_names_the_class():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    named = project["project"]["entry-points"]["fsspec.specs"]
    wanted = f"{GoldFileSystem.__module__}:{GoldFileSystem.__name__}"
    assert {"gold": wanted} == named


def test_every_file_is_found_and_read(gold):
    fs, expected = gold.fs(), files_of(gold.tree)
    assert sorted(expected) == sorted(fs.find(f"gold://{HEAD}"))
    assert expected == {path: fs.cat_file(path) for path in expected}
    opened = {path: fs.open(f"gold://{path}").read() for path in expected}
    assert expected == opened
    assert expected == fs.cat(f"gold://{HEAD}", recursive=True)


def test_a_path_is_looked_up_once_to_tell_what_it_is(gold, monkeypatch):
    fs, asked, found = gold.fs(), [], goldreader.GoldReader._found
    monkeypatch.setattr(
        goldreader.GoldReader,
        "_found",
        lambda self, text: (asked.append(text), found(self, text))[1],
    )
    for ask in (fs.isdir, fs.isfile, fs.exists, fs.find, fs.info):
        ask(f"{HEAD}/labels.csv")
        assert [f"{HEAD}/labels.csv"] == asked, ask
        asked.clear()


def test_listing_has_exact_sizes_and_digests(gold):
    fs = gold.fs()
    data = (gold.tree / "train/0003.jpg").read_bytes()
    info = fs.info(f"gold://{HEAD}/train/0003.jpg")
    assert ("file", len(data), digest(data)) == (info["type"], info["size"], info["digest"])
    assert digest(data) == fs.checksum(info["name"]) == fs.ukey(info["name"])
    listed = {one["name"]: one["type"] for one in fs.ls(f"gold://{HEAD}")}
    kinds = {"train": "directory", "empty": "directory", "folder": "link", "loop": "link"}
    kinds |= dict.fromkeys(("labels.csv", "nothing", "br[1]*?", "a@b", "link", ODD), "file")
    assert {f"{HEAD}/{name}": kind for name, kind in kinds.items()} == listed
    regular = [p for p in gold.tree.rglob("*") if p.is_file() and not p.is_symlink()]
    assert sum(p.stat().st_size for p in regular) == fs.du(HEAD)
    assert fs.created(HEAD) == fs.modified(HEAD)


def test_walk_glob_and_find_agree(gold):
    fs = gold.fs()
    walked = {f"{at}/{name}" for at, _, names in fs.walk(HEAD) for name in names}
    found = set(fs.find(HEAD))
    assert found <= walked
    assert {f"{HEAD}/{name}" for name in ("folder", "loop")} == walked - found
    assert sorted(p for p in found if p.endswith(".jpg")) == fs.glob(f"{HEAD}/**/*.jpg")
    assert [f"{HEAD}/train/000{n}.jpg" for n in range(5)] == fs.glob(f"{HEAD}/train/*.jpg")
    deep = fs.find(HEAD, withdirs=True)
    assert {HEAD, f"{HEAD}/train", f"{HEAD}/empty"} <= set(deep)
    assert not [p for p in fs.find(HEAD, maxdepth=1) if "/train/" in p]


def test_links_are_followed_inside_the_version_only(unregistered):
    (unregistered.tree / "outside").symlink_to("/etc/passwd")
    (unregistered.tree / "train/far").symlink_to("../../secret")
    (unregistered.top / "secret").write_text("not gold")
    unregistered.register()
    fs = unregistered.fs()
    for name in ("outside", "train/far", "folder/far"):
        assert not fs.exists(f"{HEAD}/{name}")
        with pytest.raises(FileNotFoundError):
            fs.cat_file(f"{HEAD}/{name}")
    assert b"picture 2\n" == fs.cat_file(f"{HEAD}/folder/0002.jpg")
    assert b"picture 1\n" == fs.cat_file(f"{HEAD}/link")
    assert fs.cat_file(f"{HEAD}/labels.csv") == fs.cat_file(f"{HEAD}/folder/up")
    assert fs.isdir(f"{HEAD}/folder")
    assert f"{HEAD}/folder/0000.jpg" in fs.ls(f"{HEAD}/folder", detail=False)
    assert not fs.exists(f"{HEAD}/loop")


@pytest.mark.parametrize("name", ["br[1]*?", "a@b", ODD, "nothing"])
def test_names_are_taken_literally(gold, name):
    fs, path = gold.fs(), f"gold://{HEAD}/{name}"
    data = (gold.tree / name).read_bytes()
    assert data == fs.cat(path) == fs.cat_file(path) == fs.read_bytes(path)
    fs.get(path, str(gold.top / "copy"))
    assert data == (gold.top / "copy").read_bytes()


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 3), (2, None), (-4, None), (1, -2), (None, 5), (50, 60), (3, 3), (-99, 2)],
)
def test_parts_are_those_of_slices(gold, start, end):
    data = b"picture 4\n"
    for verify in (False, True):
        fs = gold.fs(verify=verify)
        assert data[start:end] == fs.cat_file(f"{HEAD}/train/0004.jpg", start, end)
        parts = fs.cat_ranges([f"{HEAD}/train/0004.jpg"] * 2, [start, 0], [end, 1])
        assert [data[start:end], data[:1]] == parts


def test_ranges_of_what_is_not_there_are_errors_in_their_place(gold):
    fs = gold.fs()
    paths = [f"{HEAD}/train/0000.jpg", f"{HEAD}/gone"]
    good, bad = fs.cat_ranges(paths, 0, 4)
    assert b"pict" == good
    assert isinstance(bad, FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        fs.cat_ranges(paths, 0, 4, on_error="raise")


def test_files_seek_and_read_as_files_do(gold):
    data = (gold.tree / "labels.csv").read_bytes()
    with gold.fs().open(f"{HEAD}/labels.csv") as file:
        assert (len(data), "rb") == (file.size, file.mode)
        assert (data[:4], data[4:]) == (file.read(4), file.read())
        assert 5 == file.seek(5)
        assert data[5:] == file.read()
        assert len(data) - 2 == file.seek(-2, io.SEEK_END)
        assert data[-2:] == file.read()
        file.seek(0)
        assert data.splitlines(keepends=True) == list(file)
        with pytest.raises(ValueError, match="negative"):
            file.seek(-1)
    with gold.fs().open(f"{HEAD}/labels.csv", "r") as text:
        assert data.decode() == text.read()


def test_references_of_all_forms_mean_versions(gold):
    root = gold.fs().find(HEAD) and gold.fs()._gold.versions.open(HEAD).version.root
    gold.ask("tag", HEAD, "prod")
    fs = gold.fs()
    for head in (HEAD, f"vision/faces@dg1:{root.hex[:12]}", "vision/faces@prod"):
        assert b"at" == fs.cat_file(f"gold://{head}/a@b")
    for bad in ("vision/faces", "vision/faces/a", "", "vision/faces@", "Ä@1/x"):
        with pytest.raises(ValueError, match="hint"):
            fs.info(bad)
        with pytest.raises(ValueError, match="hint"):
            fs.exists(bad)
    for absent in ("vision/faces@2/a", "other@1/a", f"{HEAD}/no"):
        assert not fs.exists(absent)
        with pytest.raises(FileNotFoundError):
            fs.cat_file(absent)


def test_a_tag_that_moves_means_the_same_to_whoever_reads_already(gold):
    gold.ask("tag", HEAD, "prod")
    fs = gold.fs()
    assert b"at" == fs.cat_file("vision/faces@prod/a@b")
    (gold.tree / "new").write_bytes(b"new")
    gold.register("vision/faces", None, "--append", "--reason", "more")
    gold.ask("tag", "vision/faces@2", "prod")
    assert not fs.exists("vision/faces@prod/new")
    goldreader._versions.cache_clear()
    assert not pickle.loads(pickle.dumps(fs)).exists("vision/faces@prod/new")
    goldreader._versions.cache_clear()
    assert gold.fs().exists("vision/faces@prod/new")


def test_pickle_holds_options_and_pins_alone(gold):
    fs = gold.fs(verify=True)
    fs.ls(HEAD)
    there = pickle.loads(pickle.dumps(fs))
    assert b"at" == there.cat_file(f"{HEAD}/a@b")
    assert {"verify": True} == there.storage_options
    assert fs.to_dict() == there.to_dict()


def in_another_environment(fs, **variables):
    """Return what a process with these variables alone says of a pickled file system."""
    told = (
        "import pickle, sys; fs = pickle.load(sys.stdin.buffer); "
        f"print(fs.cat_file('{HEAD}/a@b').decode(), fs._gold.versions.settings.home.value)"
    )
    done = subprocess.run(
        [sys.executable, "-c", told],
        input=pickle.dumps(fs),
        env={"PYTHONPATH": os.pathsep.join(sys.path), **variables},
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout.decode().split()


@pytest.mark.parametrize("asked_before", [False, True])
def test_worker_that_lacks_the_environment_reads_the_same_home(gold, asked_before):
    fs, home = gold.fs(), str(gold.top / "home")
    if asked_before:
        fs.ls(HEAD)
    other = str(gold.top / "other")
    assert (0, ["at", home]) == in_another_environment(fs, DATAGUARD_HOME=other)
    assert (0, ["at", home]) == in_another_environment(fs, HOME=str(gold.top))


def test_worker_where_there_is_no_such_home_reads_its_own(gold):
    fs, moved = gold.fs(), str(gold.top / "moved")
    os.rename(gold.top / "home", moved)
    assert (0, ["at", moved]) == in_another_environment(fs, DATAGUARD_HOME=moved)


def test_pickle_holds_no_secrets(gold, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-carry-me")
    assert b"do-not-carry-me" not in pickle.dumps(gold.fs())


# --- what is not as it was ------------------------------------------------------------------------


def change(path, data, *, keep_times=False):
    before = path.stat()
    path.write_bytes(data)
    if keep_times:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("data", [b"PICTURE 0\n", b"longer than before", b""])
@pytest.mark.parametrize("verify", [False, True])
def test_changed_files_are_refused(gold, data, verify):
    fs, path = gold.fs(verify=verify), f"{HEAD}/train/0000.jpg"
    fs.ls(HEAD)
    change(gold.tree / "train/0000.jpg", data, keep_times=True)
    for read in (fs.cat_file, fs.open, fs.cat, lambda p: fs.cat_file(p, 2, 4)):
        with pytest.raises(ChangedGoldError, match="dataguard audit vision/faces@1"):
            read(path)
    with pytest.raises(ChangedGoldError):
        fs.get(path, str(gold.top / "copy"))
    assert not [name for name in os.listdir(gold.top) if "copy" in name]
    assert b"picture 1\n" == fs.cat_file(f"{HEAD}/train/0001.jpg")


def test_files_with_another_time_and_the_same_content_are_given(gold):
    file = gold.tree / "train/0000.jpg"
    os.utime(file)
    file.chmod(0o600)
    fs = gold.fs()
    assert b"picture 0\n" == fs.cat_file(f"{HEAD}/train/0000.jpg")
    assert b"picture 0\n" == fs.open(f"{HEAD}/train/0000.jpg").read()


def test_missing_files_are_damage_and_not_absence(gold):
    os.unlink(gold.tree / "train/0000.jpg")
    with pytest.raises(ChangedGoldError, match="missing"):
        gold.fs().cat_file(f"{HEAD}/train/0000.jpg")
    assert gold.fs().exists(f"{HEAD}/train/0000.jpg")


def test_a_file_replaced_while_it_is_open_is_read_as_it_was(gold):
    file = gold.tree / "train/0000.jpg"
    with gold.fs().open(f"{HEAD}/train/0000.jpg") as opened:
        (gold.top / "other").write_bytes(b"PICTURE 0\n")
        os.replace(gold.top / "other", file)
        assert b"picture 0\n" == opened.read()


def test_a_file_overwritten_while_it_is_read_is_an_error(unregistered):
    gold = unregistered
    big = gold.tree / "big"
    big.write_bytes(os.urandom(1 << 20))
    gold.grown_old()
    gold.register()
    with gold.fs().open(f"{HEAD}/big") as opened:
        opened.read(1 << 18)
        with big.open("r+b") as writer:
            writer.seek(1 << 19)
            writer.write(b"torn")
        with pytest.raises(ChangedGoldError):
            opened.read()


def test_a_read_between_which_somebody_writes_is_no_torn_read(gold, monkeypatch):
    """The file changes after its bytes were taken and before they are given."""
    fs, file = gold.fs(), gold.tree / "train/0000.jpg"
    fs.ls(HEAD)
    taken = os.read

    def read(*words):
        data = taken(*words)
        file.write_bytes(b"PICTURE 0\n")
        return b"PIC" + data[3:]  # half of it was new already

    monkeypatch.setattr(os, "read", read)
    with pytest.raises(ChangedGoldError):
        fs.cat_file(f"{HEAD}/train/0000.jpg")


def test_a_link_made_while_a_file_is_read_is_no_damage(gold):
    with gold.fs().open(f"{HEAD}/train/0000.jpg") as opened:
        os.link(gold.tree / "train/0000.jpg", gold.top / "another name")
        assert b"picture 0\n" == opened.read()


def test_verified_reading_to_the_end_finds_what_no_time_tells(gold, monkeypatch):
    """Rotten bits: size, times and inode are as they were."""
    monkeypatch.setattr(LocalReplica, "_is_known", lambda *_: True)
    change(gold.tree / "train/0000.jpg", b"PICTURE 0\n")
    path = f"{HEAD}/train/0000.jpg"
    assert b"PICTURE 0\n" == gold.fs().cat_file(path)
    fs = gold.fs(gold_verify="true")
    for read in (
        fs.cat_file,
        lambda p: fs.open(p).read(),
        lambda p: [*fs.open(p)],
        lambda p: fs.cat_file(p, 0, 2),
        lambda p: fs.cat_ranges([p], 1, 2, on_error="raise"),
    ):
        with pytest.raises(ChangedGoldError):
            read(path)
    with fs.open(path) as opened:
        opened.seek(3)
        with pytest.raises(ChangedGoldError):
            opened.read(1)


def test_new_files_are_hashed_before_they_are_given(unregistered):
    """What was registered a moment after it was written may have changed without a trace."""
    gold = unregistered
    gold.register()
    fs = gold.fs()
    assert files_of(gold.tree) == {p: fs.open(p).read() for p in fs.find(HEAD)}


# --- replicas and the state of versions -----------------------------------------------------------


def test_the_next_replica_is_read_where_one_is_damaged(gold):
    copy = gold.top / "copy"
    os.system(f"cp -a {gold.tree} {copy}")
    gold.register("vision/faces", copy, "--replica")
    fs = gold.fs()
    for place in (gold.tree, copy):
        change(place / "train/0000.jpg", b"PICTURE 0\n")
        if place == gold.tree:
            assert b"picture 0\n" == fs.cat_file(f"{HEAD}/train/0000.jpg")
    with pytest.raises(ChangedGoldError):
        fs.cat_file(f"{HEAD}/train/0000.jpg")
    os.rename(gold.tree, gold.top / "away")
    assert b"picture 1\n" == gold.fs().cat_file(f"{HEAD}/train/0001.jpg")
    os.rename(copy, gold.top / "away too")
    goldreader._versions.cache_clear()
    with pytest.raises(OSError, match="can be reached"):
        gold.fs().ls(HEAD)


def test_quarantined_versions_are_given_verified_alone(gold):
    fs = gold.fs()
    assert b"at" == fs.cat_file(f"{HEAD}/a@b")
    gold.ask("quarantine", HEAD, "--reason", "a finding")
    assert b"at" == fs.cat_file(f"{HEAD}/a@b")
    assert not fs._gold.versions.open(HEAD).replicas[0].bytes._trusts_baseline
    change(gold.tree / "a@b", b"AT", keep_times=True)
    with pytest.raises(ChangedGoldError):
        fs.open(f"{HEAD}/a@b")


def test_withdrawn_versions_are_refused_to_whoever_reads_already(gold):
    fs = gold.fs()
    assert b"at" == fs.cat_file(f"{HEAD}/a@b")
    gold.ask("withdraw", HEAD, "--reason", "wrong labels")
    with pytest.raises(PermissionError, match="wrong labels"):
        fs.cat_file(f"{HEAD}/a@b")


def test_superseded_content_is_given_where_it_is_still_there(gold):
    fs = gold.fs()
    change(gold.tree / "train/0000.jpg", b"another picture")
    gold.register("vision/faces", None, "--supersede", "--reason", "better")
    assert b"picture 1\n" == fs.cat_file(f"{HEAD}/train/0001.jpg")
    with pytest.raises(ChangedGoldError):
        fs.cat_file(f"{HEAD}/train/0000.jpg")
    assert b"another picture" == fs.cat_file("vision/faces@2/train/0000.jpg")


def test_a_damaged_manifest_is_no_absence(gold):
    manifest = next((gold.top / "home/manifests").glob("*.parquet"))
    manifest.chmod(0o600)
    data = bytearray(manifest.read_bytes())
    data[len(data) // 3] ^= 1
    manifest.write_bytes(data)
    goldreader._versions.cache_clear()
    fs = gold.fs()
    for ask in (fs.exists, fs.isfile, fs.ls, fs.find, lambda p: list(fs.walk(p))):
        with pytest.raises(OSError, match=r"damaged|holds other content|manifest"):
            ask(HEAD)


def test_nothing_is_written_by_reading(gold):
    def state():
        places = [gold.tree, gold.top / "home", *(gold.top / "home").rglob("*")]
        return {str(p): (p.stat().st_mtime_ns, p.stat().st_ctime_ns) for p in places}

    before = state()
    fs = gold.fs(verify=True)
    for path in fs.find(HEAD):
        fs.cat_file(path)
    assert before == state()


def test_no_home_is_made(gold, monkeypatch):
    monkeypatch.setenv("DATAGUARD_HOME", str(gold.top / "none"))
    with pytest.raises(FileNotFoundError, match="no catalog"):
        gold.fs().ls(HEAD)
    assert not (gold.top / "none").exists()


def test_reading_beside_a_writer_waits_for_nobody(gold):
    with (gold.top / "home/catalog.db").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # not what SQLite locks with
        assert b"at" == gold.fs().cat_file(f"{HEAD}/a@b")


# --- runs -----------------------------------------------------------------------------------------

JOB = """
import sys, warnings
warnings.simplefilter("error")
from dataguard.hooks.goldfilesystem import GoldFileSystem
fs = GoldFileSystem()
sys.stdout.write(fs.cat_file(sys.argv[1] + "/a@b").decode())
try:
    fs.rm(sys.argv[1] + "/a@b")
except OSError as err:
    sys.stdout.write(str(err))
"""


def in_a_run(gold, reference, capfd):
    import sys

    (gold.top / "work").mkdir(exist_ok=True)
    gold.ask("workspace", "init", gold.top / "work", "--outputs", gold.outputs)
    words = ("run", "-w", gold.top / "work", "--input", HEAD, "--unconfined", "--")
    from dataguard.cli import main

    capfd.readouterr()
    code = main([*map(str, words), sys.executable, "-c", JOB, reference])
    return code, *capfd.readouterr()


def test_a_run_reads_its_inputs_and_is_told_its_outputs(gold, capfd):
    code, out, _ = in_a_run(gold, HEAD, capfd)
    assert 0 == code
    assert out.startswith("at[Errno 30]")
    assert f"write to {gold.outputs}/runs/" in out


def test_a_run_that_reads_what_is_not_among_its_inputs_is_warned(gold, capfd):
    gold.register("other", gold.tree)
    code, _, err = in_a_run(gold, "other@1", capfd)
    assert 1 == code
    assert "UnrecordedInputWarning: other@1 is not among the inputs of run" in err


def test_outside_of_runs_nobody_is_warned(gold):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert b"at" == gold.fs().cat_file(f"{HEAD}/a@b")


def test_versions_were_registered_before_now(gold):
    age = datetime.now(UTC) - gold.fs().created(HEAD)
    assert timedelta() <= age < timedelta(hours=1)


def test_fsspec_knows_the_scheme(gold):
    assert GoldFileSystem is type(fsspec.filesystem("gold"))
    with fsspec.open(f"gold://{HEAD}/labels.csv", "rt") as file:
        assert (gold.tree / "labels.csv").read_text() == file.read()
