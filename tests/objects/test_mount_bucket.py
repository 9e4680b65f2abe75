"""The story of a version in a bucket: registered, mounted from the cache, used by jobs."""

from __future__ import annotations

import os
from contextlib import closing

import pytest

from dataguard.model.objects import ObjectPlace
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.s3access import access_to
from support.cachedtrees import needs_images
from support.mountcleanup import mounts_below, swept, unmount_command

pytestmark = needs_images

CONTENTS = {b"a": b"hello\n", b"dir/b": b"deep\n", b"dir/c": b"x" * 100_000, b"empty": b""}


class Site:
    """A bucket with a version in it, a home, and a workspace; commands run as its users."""

    def __init__(self, top, server, bucket):
        self.top, self.server, self.bucket = top, server, bucket
        self.work = str(top / "work")
        self.place = f"s3://{bucket}/gold"

    def ask(self, *words, code=0, user=None):
        """Run one command in a process of its own, as a user of the store; return its object."""
        at = words.index("--") if "--" in words else len(words)
        command = [*words[:at], "--format", "json", *words[at:]]
        done = self.server.shell(self.top / "home", user).call(*command)
        assert code == done.code, done
        return done.said

    def put(self, contents):
        with self.server.acting():
            access = access_to(self.bucket, ObjectPlace(), None, os.environ)
            with closing(ObjectClient(access)) as client:
                for path, content in contents.items():
                    client.put(b"gold/" + path, content)

    def read(self, path):
        with open(f"{self.work}/data/faces/{path}", "rb") as stream:
            return stream.read()


@pytest.fixture
def site(tmp_path, objectserver, bucket):
    site = Site(tmp_path.resolve(), objectserver, bucket)
    site.put(CONTENTS)
    site.ask("register", "faces", site.place)
    site.ask("workspace", "init", site.work, "--outputs", str(tmp_path / "out"))
    with swept(site.top):
        yield site


def mounted(site):
    return site.ask("mount", "faces@1", "-w", site.work, user=site.server.reader)


def test_mount_needs_nothing_but_a_reader_and_shows_what_is_pinned(site):
    site.put(dict.fromkeys(CONTENTS, b"overwritten"))
    found = mounted(site)
    assert ("cas", "enforced", site.place) == (
        found["backend"],
        found["guarantee"],
        found["source"],
    )
    assert {"refused"} == {step["result"] for step in found["probe"]}
    assert found["pinned"] is True
    assert {path: site.read(path.decode()) for path in CONTENTS} == CONTENTS


def test_unmounting_leaves_nothing(site):
    mounted(site)
    site.ask("unmount", "faces", "-w", site.work)
    assert ([], []) == (mounts_below(site.top), os.listdir(f"{site.work}/data"))


def test_second_mount_asks_the_store_nothing(site, monkeypatch):
    mounted(site)
    site.ask("unmount", "faces", "-w", site.work)
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    monkeypatch.setattr(type(site.server), "environment", lambda *_: nowhere)
    assert "cas" == site.ask("mount", "-w", site.work)["backend"]
    assert b"hello\n" == site.read("a")


def test_mount_is_kept_by_the_next_command(site):
    mounted(site)
    again = site.ask("mount", "-w", site.work)
    assert (False, "cas") == (again["created"], again["backend"])


def test_jobs_read_it_verified_before_and_after(site):
    mounted(site)
    script = "cat $DATAGUARD_INPUT_FACES/dir/b > {out}/read"
    done = site.ask("run", "-w", site.work, "--", "sh", "-c", script)
    (given,) = done["inputs"]
    assert ("verified", "verified") == (given["before"], given["after"])
    assert ["read"] == [one["path"] for one in done["outputs"]]


def test_backends_that_show_directories_are_refused(site):
    for backend in ("bind", "overlay", "symlink", "declared"):
        words = ("mount", "faces@1", "-w", site.work, "--backend", backend)
        assert "object store" in site.ask(*words, code=11)["message"]


def test_keys_that_are_no_paths_are_refused_before_anything_is_fetched(site):
    site.server.needs("literal paths")
    site.put({b"x//y": b"odd"})
    site.ask("register", "faces", site.place, "--append", "--reason", "odd")
    error = site.ask("mount", "faces@2", "-w", site.work, code=11)
    assert "`x//y` cannot be mounted" in error["message"]
    assert not (site.top / "home" / "cache" / "xxh3-128").exists()


def test_no_configuration_is_printed_for_what_no_runtime_mounts(site):
    words = ("mount", "faces@1", "-w", site.work, "--emit", "docker")
    assert "object store" in site.ask(*words, code=11)["message"]


def test_audit_knows_the_mount(site):
    mounted(site)
    assert [] == site.ask("audit", "faces@1", "--level", "quick")["findings"]
    unmount_command(f"{site.work}/data/faces")
    found = site.ask("audit", "faces@1", "--level", "quick", code=3)["findings"]
    assert ["DG401"] == [one["code"] for one in found]


def test_job_without_a_mount_is_handed_the_place_itself(site):
    words = (
        "--input",
        "faces@1",
        "--",
        "sh",
        "-c",
        'test "$DATAGUARD_INPUT_FACES" = ' + site.place,
    )
    done = site.ask("run", "-w", site.work, *words)
    assert ["verified"] == [one["after"] for one in done["inputs"]]
