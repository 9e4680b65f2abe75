"""Nothing that a file system, its files or what they are built on can do changes gold."""

from __future__ import annotations

import asyncio
import errno
import inspect
import io
import os
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest
from fsspec import AbstractFileSystem
from fsspec.asyn import AbstractAsyncStreamedFile, AsyncFileSystem
from fsspec.callbacks import Callback
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileOpener, LocalFileSystem
from fsspec.implementations.reference import ReferenceFileSystem
from fsspec.spec import AbstractBufferedFile

from dataguard.actions import outputplaces
from dataguard.hooks import goldfilesystem
from dataguard.hooks.goldfilesystem import GoldFileSystem

HEAD = "vision/faces@1"
FILE = f"{HEAD}/a@b"

try:
    from s3fs import S3FileSystem
    from s3fs.core import S3File
except ImportError:
    S3FileSystem, S3File = AsyncFileSystem, AbstractBufferedFile

FILE_SYSTEMS = (
    AbstractFileSystem,
    AsyncFileSystem,
    S3FileSystem,
    LocalFileSystem,
    ReferenceFileSystem,
    DirFileSystem,
)
FILES = (AbstractBufferedFile, S3File, LocalFileOpener, AbstractAsyncStreamedFile)

READERS = frozenset(
    {
        *("cat", "cat_file", "cat_ranges", "checksum", "clear_instance_cache", "created"),
        *("current", "disk_usage", "download", "du", "exists", "expand_path", "find"),
        *("from_dict", "from_json", "fsid", "get", "get_file", "get_mapper", "glob", "head"),
        *("info", "invalidate_cache", "isdir", "isfile", "lexists", "listdir", "ls", "modified"),
        *("open", "read_block", "read_bytes", "read_text", "size", "sizes", "stat", "tail"),
        *("to_dict", "to_json", "tree", "ukey", "unstrip_protocol", "walk"),
    }
)
"""What `gold://` does: reviewed by hand, so that a new method of fsspec cannot slip in."""

WRITERS = frozenset(
    {
        *("pipe", "pipe_file", "put", "put_file", "upload", "cp", "cp_file", "copy", "mv"),
        *("move", "rename", "rm", "rm_file", "delete", "rmdir", "mkdir", "mkdirs", "makedir"),
        *("makedirs", "touch", "write_text", "write_bytes", "start_transaction", "transaction"),
        *("end_transaction", "sign", "_rm", "_pipe", "_pipe_file", "_put", "_put_file"),
        *("_cp_file", "_copy", "_mv_file", "_rm_file", "_rmdir", "_mkdir", "_makedirs"),
        *("_touch", "_bulk_delete", "chmod", "_chmod", "setxattr", "put_tags", "merge"),
        *("call_s3", "_call_s3", "make_bucket_versioned", "clear_multipart_uploads"),
        *("abort_mpu", "url", "s3", "fs", "_rm_versioned_bucket_contents"),
        *("get_delegated_s3pars", "link", "symlink", "truncate", "utime", "save_json"),
        *("mv_file", "open_async", "set_session"),
    }
)

WORDS = (
    (),
    (FILE,),
    (FILE, b"changed"),
    (FILE, f"{HEAD}/elsewhere"),
    ([FILE],),
    ({FILE: b"changed"},),
    (f"{HEAD}/new",),
    (f"{HEAD}/new", "x"),
    (f"{HEAD}/train", f"{HEAD}/copy", True),
)


def state(gold):
    """Every path with what it holds and when it changed."""
    found = {}
    for path in [gold.tree, *gold.tree.rglob("*")]:
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[path] = (status.st_mode, status.st_mtime_ns, status.st_ctime_ns, content)
    return found


def methods(*kinds):
    return sorted({name for kind in kinds for name in dir(kind) if not name.startswith("__")})


def refused(gold, act):
    """Whether something is refused with an error that names the right place."""
    try:
        result = act()
        if inspect.isawaitable(result):
            asyncio.run(asyncio.wait_for(result, 10))
    except OSError as err:
        return err.errno == errno.EROFS and f"write to {gold.outputs}" in str(err)
    except Exception:  # noqa: BLE001  whatever else: it is no refusal
        return False
    return False


@pytest.fixture
def here(gold, monkeypatch):
    """Gold, seen from a workspace."""
    work = gold.top / "work"
    gold.ask("workspace", "init", work, "--outputs", gold.outputs)
    monkeypatch.chdir(work)
    return gold


def called(fs, name, words):
    found = getattr(fs, name)
    return found(*words) if callable(found) else found


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_each_method_that_writes_names_the_right_place(here, name):
    fs, before = here.fs(), state(here)
    for words in WORDS:
        assert refused(here, lambda words=words: called(fs, name, words)), words
    assert before == state(here)


def test_there_are_as_many_as_promised():
    assert len(WRITERS) >= 43


def test_no_method_of_any_file_system_changes_gold(here):
    """Also those that nobody thought of: either known to read, or refused, or not there."""
    fs, before = here.fs(), state(here)
    reads_privately = {"_parent", "_open", "_strip_protocol", "_get_kwargs_from_urls", "_fs_token"}
    reads_privately |= {"_get_pyarrow_filesystem", "_isfilestore"}
    unknown = [
        (name, words)
        for name in methods(*FILE_SYSTEMS)
        if name not in READERS | reads_privately and is_there(fs, name)
        for words in WORDS
        if not refused(here, lambda name=name, words=words: called(fs, name, words))
    ]
    assert [] == unknown
    assert before == state(here)


def is_there(fs, name):
    """Whether a name means more than a value, as `sep` or what an instance keeps."""
    static = inspect.getattr_static(GoldFileSystem, name, None)
    if static is not None:
        return callable(static) or isinstance(static, property | classmethod | staticmethod)
    try:
        return hasattr(fs, name) and name not in vars(fs)
    except OSError:
        return True


@pytest.mark.parametrize("name", sorted(READERS))
def test_what_is_allowed_changes_nothing(here, name):
    """With arguments that would write elsewhere, and copying to places in gold."""
    fs, before = here.fs(), state(here)
    inside = str(here.tree / "train")
    for words in (*WORDS, (FILE, f"{inside}/copy"), (FILE, inside), (HEAD, inside, True)):
        try:
            found = called(fs, name, words)
            if inspect.isgenerator(found):
                list(found)
        except (OSError, ValueError, TypeError, AttributeError, LookupError, AssertionError):
            continue
    assert before == state(here)


@pytest.mark.parametrize("copy", ["get", "download", "get_file"])
def test_copies_into_gold_are_refused_by_every_path(here, copy):
    (here.top / "alias").symlink_to(here.tree)
    fs, before = here.fs(), state(here)
    for place in (here.tree / "a@b", here.tree / "new/deep", here.top / "alias" / "x"):
        assert refused(here, lambda place=place: getattr(fs, copy)(FILE, str(place))), place
    assert refused(here, lambda: fs.get(HEAD, str(here.tree) + "/", recursive=True))
    assert before == state(here)
    fs.get(FILE, str(here.outputs / "copy"))
    assert b"at" == (here.outputs / "copy").read_bytes()


def test_what_becomes_gold_while_files_are_copied_is_refused(here):
    new = here.top / "new"
    new.mkdir()

    class Registers(Callback):
        def relative_update(self, _inc=1):
            (new / "theirs").write_bytes(b"x")
            here.register("other", new)

    fs, copies = here.fs(), [str(here.outputs / "copy"), str(new / "copy")]
    assert refused(here, lambda: fs.get([FILE, FILE], copies, callback=Registers()))
    assert (["theirs"], b"at") == (os.listdir(new), (here.outputs / "copy").read_bytes())


def counting(called, name, act):
    def told(*words, **options):
        called.append(name)
        return act(*words, **options)

    return told


def test_settings_and_policy_are_read_once_for_a_tree_that_is_copied(here, monkeypatch):
    read = []
    for module, name in ((goldfilesystem, "load"), (outputplaces, "load_policy")):
        act = getattr(module, name)
        monkeypatch.setattr(module, name, counting(read, name, act))
    fs = here.fs()
    read.clear()
    fs.get(f"{HEAD}/train", str(here.outputs / "all"), recursive=True)
    assert ["load", "load_policy"] == read
    assert len(os.listdir(here.outputs / "all")) > 5


@pytest.mark.parametrize("mode", ["w", "wb", "a", "ab", "x", "xb", "r+", "rb+", "w+b", "r+b"])
def test_no_mode_but_reading_opens(here, mode):
    fs, before = here.fs(), state(here)
    assert refused(here, lambda: fs.open(FILE, mode))
    assert refused(here, lambda: fs._open(FILE, mode))
    assert refused(here, lambda: fsspec.open(f"gold://{HEAD}/sub/new", mode).open())
    assert refused(here, lambda: fsspec.open_files([f"gold://{HEAD}/new"], mode)) or "w" not in mode
    assert before == state(here)


FILE_WRITERS = (
    *("write", "writelines", "truncate", "commit", "discard", "setxattr"),
    *("_call_s3", "fs", "s3", "_upload_chunk", "_initiate_upload"),
)


@pytest.mark.parametrize("name", FILE_WRITERS)
def test_files_refuse_to_write_and_lead_nowhere(here, name):
    with here.fs().open(FILE) as file:
        for words in ((b"x",), ([b"x"],), (0,)):
            assert refused(here, lambda words=words: called(file, name, words)), name


def test_files_have_no_way_to_what_is_below(here):
    with here.fs().open(FILE) as file:
        for act in (file.fileno, file.detach):
            with pytest.raises(io.UnsupportedOperation):
                act()
        assert not file.writable()
        reached = {
            name: getattr(file, name, None)
            for name in dir(file)
            if not name.startswith("_") and name not in FILE_WRITERS
        }
        for name, value in {**reached, **vars(file)}.items():
            assert not isinstance(value, AbstractFileSystem | io.FileIO), name


def test_no_method_of_files_changes_gold(here):
    before = state(here)
    for name in methods(*FILES):
        for words in ((), (b"x",), (0,), ("user.x", b"1")):
            with here.fs().open(FILE) as file:
                try:
                    called(file, name, words)
                except (OSError, ValueError, TypeError, AttributeError):
                    continue
    assert before == state(here)


def test_wrappers_of_file_systems_pass_refusals_on(here):
    fs, before = here.fs(), state(here)
    inner = DirFileSystem(path=HEAD, fs=fs)
    assert b"at" == inner.cat_file("a@b")
    wrapped = AsyncFileSystemWrapper(fs, asynchronous=False)
    for one, at in ((inner, "a@b"), (wrapped, FILE)):
        for act in (
            lambda one=one, at=at: one.pipe_file(at, b"x"),
            lambda one=one, at=at: one.rm_file(at),
            lambda one=one, at=at: one.rm(at),
            lambda one=one, at=at: one.cp_file(at, at + "2"),
            lambda one=one, at=at: one.mkdir(at + "3"),
            lambda one=one, at=at: one.put_file(__file__, at),
        ):
            assert refused(here, act)
    mapper = fs.get_mapper(HEAD)
    assert b"at" == mapper["a@b"]
    assert refused(here, lambda: mapper.setitems({"a@b": b"x"}))
    assert refused(here, lambda: mapper.__setitem__("a@b", b"x"))
    assert refused(here, lambda: fs.get_mapper(f"{HEAD}/new", create=True))
    assert refused(here, lambda: fs.get_mapper(HEAD, check=True))
    for act in (mapper.clear, lambda: mapper.pop("a@b"), lambda: mapper.__delitem__("a@b")):
        try:
            act()
        except (OSError, KeyError):
            continue
    assert before == state(here)


def test_arrow_cannot_write(here):
    table, fs, before = pa.table({"a": [1]}), here.fs(), state(here)
    write = pyarrow.parquet.write_table
    assert refused(here, lambda: write(table, f"{HEAD}/t.parquet", filesystem=fs))
    dataset = pyarrow.dataset.write_dataset
    options = {"format": "parquet", "filesystem": fs}
    assert refused(here, lambda: dataset(table, f"{HEAD}/d", **options))
    assert before == state(here)


def test_outside_of_workspaces_and_runs_the_way_to_have_outputs_is_named(gold, monkeypatch):
    with pytest.raises(OSError, match="dataguard workspace init DIR --outputs PLACE"):
        gold.fs().rm(FILE)
    monkeypatch.setenv("DATAGUARD_OUTPUTS", "/scratch/runs/1")
    with pytest.raises(OSError, match="write to /scratch/runs/1"):
        gold.fs().rm(FILE)


def test_refusals_do_not_need_the_current_directory(gold, monkeypatch, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    fs = gold.fs()
    gone.rmdir()
    with pytest.raises(OSError, match="read-only"):
        fs.rm(FILE)


def test_copies_are_complete_or_absent(gold):
    path, fs = gold.outputs / "deep" / "copy", gold.fs()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"before")
    Path(gold.tree / "a@b").write_bytes(b"AT")
    with pytest.raises(OSError, match="pins"):
        fs.get_file(FILE, str(path))
    assert (["copy"], b"before") == (os.listdir(path.parent), path.read_bytes())
    out = io.BytesIO()
    fs.get_file(f"{HEAD}/labels.csv", out)
    assert (gold.tree / "labels.csv").read_bytes() == out.getvalue()
