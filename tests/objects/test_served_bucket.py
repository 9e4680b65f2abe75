"""Versions in a bucket, mounted by a server that fetches what is read, and nothing else."""

from __future__ import annotations

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from test_mount_bucket import CONTENTS, Site

from support.countingproxy import Cut, Flip
from support.mountcleanup import mounts_below, needs_fuse, needs_mounts, swept

pytestmark = [needs_mounts, needs_fuse]

on_one = pytest.mark.parametrize("objectserver", ["seaweedfs"], indirect=True)
"""What does not depend on the server is tried on one, a real store."""

LARGE = b"".join(b"%015d\n" % n for n in range(5 << 16)) + b"end"


@pytest.fixture
def site(tmp_path, objectserver, bucket):
    site = Site(tmp_path.resolve(), objectserver, bucket)
    site.put({**CONTENTS, b"large": LARGE})
    site.ask("register", "faces", site.place)
    site.ask("workspace", "init", site.work, "--outputs", str(tmp_path / "out"))
    with swept(site.top):
        yield site


@pytest.fixture
def proxied(site, proxies):
    """A proxy between what is mounted from now on and the server."""
    proxy = proxies(site.server.endpoint)
    site.server = replace(site.server, endpoint=proxy.endpoint)
    return proxy


def mounted(site, **how):
    words = ("mount", "faces@1", "-w", site.work, "--backend", "fuse")
    return site.ask(*words, user=site.server.reader, **how)


def test_what_is_pinned_is_shown_and_nothing_is_cached(site):
    site.put(dict.fromkeys((*CONTENTS, b"large"), b"overwritten"))
    found = mounted(site)
    assert ("fuse", "enforced", site.place) == (
        found["backend"],
        found["guarantee"],
        found["source"],
    )
    assert "ALLOWED" not in {step["result"].upper() for step in found["probe"]}
    assert {path: site.read(path.decode()) for path in CONTENTS} == CONTENTS
    assert LARGE == site.read("large")
    assert not (site.top / "home" / "cache" / "xxh3-128").exists()
    check_names(f"{site.work}/data/faces")


def check_names(top):
    assert ["a", "dir", "empty", "large"] == sorted(os.listdir(top))
    assert ["b", "c"] == sorted(os.listdir(f"{top}/dir"))
    seen = os.stat(f"{top}/large")
    assert (0o100444, len(LARGE)) == (seen.st_mode, seen.st_size)
    assert time.time() - 3600 < seen.st_mtime < time.time() + 3600
    assert 0o40555 == os.stat(f"{top}/dir").st_mode
    with pytest.raises(FileNotFoundError):
        os.stat(f"{top}/dir/none")


@on_one
def test_any_part_is_read_by_several_at_once(site):
    mounted(site)
    path = f"{site.work}/data/faces/large"
    places = [(n * 7_654_321 % len(LARGE), 100_000) for n in range(40)]

    def part(place):
        with open(path, "rb", buffering=0) as stream:
            return os.pread(stream.fileno(), place[1], place[0])

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(part, places))
    assert [LARGE[at : at + length] for at, length in places] == found


@on_one
def test_mount_is_kept_refuses_writes_and_is_undone_without_a_trace(site):
    mounted(site)
    again = site.ask("mount", "-w", site.work)
    assert (False, "fuse") == (again["created"], again["backend"])
    words = ["sh", "-c", f"echo x > {site.work}/data/faces/a"]
    assert 0 != subprocess.run(words, check=False, capture_output=True).returncode
    assert [("DG302", "a")] == told(site)
    assert ([], []) == (mounts_below(site.top), os.listdir(f"{site.work}/data"))


@on_one
def test_version_that_does_not_fit_into_the_cache_is_served(site):
    (site.top / "home" / "config.toml").write_text('[cache]\nhigh = "1M"\nlow = "1M"\n')
    found = site.ask("mount", "faces@1", "-w", site.work)
    assert "fuse" == found["backend"]
    assert "do not fit" in found["weaker_because"]
    assert CONTENTS[b"a"] == site.read("a")


@on_one
def test_jobs_read_it_with_the_pins_checked_before_and_after(site):
    mounted(site)
    script = "cat $DATAGUARD_INPUT_FACES/large | wc -c > {out}/read"
    done = site.ask("run", "-w", site.work, "--", "sh", "-c", script)
    (given,) = done["inputs"]
    assert ("verified", "verified") == (given["before"], given["after"])


@on_one
def test_whole_files_of_the_node_cache_are_read_there(site, proxied):
    site.ask("workspace", "init", f"{site.work}2", "--outputs", str(site.top / "out2"))
    site.ask("mount", "faces@1", "-w", f"{site.work}2", "--backend", "cas")
    mounted(site)
    proxied.forget()
    assert LARGE == site.read("large")
    assert () == proxied.reads()


@on_one
def test_only_what_is_read_is_fetched_and_only_once(site, proxied):
    mounted(site)
    proxied.forget()
    with ThreadPoolExecutor(4) as pool:
        assert {CONTENTS[b"dir/c"]} == set(pool.map(site.read, ["dir/c"] * 4))
    assert len(CONTENTS[b"dir/c"]) == proxied.data_bytes()


def failed(site, path):
    with pytest.raises(OSError, match="Input/output"):
        site.read(path)


def told(site):
    site.ask("unmount", "faces", "-w", site.work)
    return [(one["code"], one["path"]) for one in site.ask("findings", "list")["findings"]]


def test_version_that_went_is_an_error_and_found_when_it_is_unmounted(site, bucket):
    mounted(site)
    with site.server.client() as client:
        listed = client.list_object_versions(Bucket=bucket, Prefix="gold/large")["Versions"]
        for one in listed:
            client.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])
    failed(site, "large")
    assert CONTENTS[b"a"] == site.read("a")
    assert [("DG603", "large")] == told(site)


@on_one
@pytest.mark.parametrize("place", [1_000_000, len(LARGE) - (len(LARGE) >> 20 << 20) - 1])
def test_wrong_bytes_are_never_given_to_their_end(site, proxied, place):
    """Where the server's disk rots, or somebody on the way changes a byte."""
    proxied.spoil(Flip(place), key=b"gold/large", times=1)
    mounted(site)
    failed(site, "large")
    failed(site, "large")
    assert CONTENTS[b"a"] == site.read("a")
    assert [("DG101", "large")] == told(site)


@on_one
def test_job_that_met_wrong_bytes_is_not_complete(site, proxied):
    mounted(site)
    proxied.spoil(Flip(7), key=b"gold/dir/c", times=1)
    words = (
        "run",
        "-w",
        site.work,
        "--",
        "sh",
        "-c",
        "cat $DATAGUARD_INPUT_FACES/dir/c >/dev/null; true",
    )
    done = site.ask(*words, code=3)
    assert (["DG304"], "changed") == (
        [one["code"] for one in done["findings"]],
        done["inputs"][0]["after"],
    )


@on_one
def test_connection_that_breaks_is_made_good(site, proxied):
    proxied.spoil(Cut(300_000), key=b"gold/large", times=2)
    mounted(site)
    assert LARGE == site.read("large")


@on_one
def test_plain_bucket_is_read_while_its_etags_stay(tmp_path, objectserver, make_bucket):
    site = Site(tmp_path.resolve(), objectserver, make_bucket(objectserver, versioned=False))
    site.put({b"a": b"first", b"b": b"other"})
    site.ask("register", "faces", site.place)
    site.ask("workspace", "init", site.work, "--outputs", str(tmp_path / "out"))
    with swept(site.top):
        mounted(site)
        site.put({b"a": b"again"})
        failed(site, "a")
        assert b"other" == site.read("b")
        assert [("DG601", "a")] == told(site)
