"""Each way a bucket can go wrong, found by the level that can see it, under a code of its own."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from dataguard.cli.main import main
from support.countingproxy import Reply, counting_proxy


@dataclass
class Gold:
    """A registered version of three objects, and who may change its bucket."""

    server: Any
    admin: Any
    bucket: str
    run: Any

    @property
    def place(self):
        return f"s3://{self.bucket}/gold"

    def put(self, name, data, **more):
        return self.admin.put_object(Bucket=self.bucket, Key=f"gold/{name}", Body=data, **more)

    def delete(self, name, **more):
        return self.admin.delete_object(Bucket=self.bucket, Key=f"gold/{name}", **more)

    def version(self, name):
        return self.admin.head_object(Bucket=self.bucket, Key=f"gold/{name}").get("VersionId")

    def audit(self, level, *words):
        return self.run("audit", "faces", "--level", level, *words)

    def codes(self, level):
        code, found = self.audit(level)
        assert found["findings"] == [] or code == 3
        return sorted((one["code"], one["path"]) for one in found["findings"])


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DATAGUARD_HOME", str(tmp_path / "home"))

    def run(*words):
        code = main([*words, "--format", "json"])
        out, err = capsys.readouterr()
        return code, json.loads(out or err.splitlines()[-1])

    return run


@pytest.fixture
def make_gold(objectserver, make_bucket, run):
    undone = []

    def make(*, server=objectserver, **how):
        client = server.client(server.admin)
        admin = client.__enter__()
        undone.append(client)
        acting = server.acting(server.admin)
        acting.__enter__()
        undone.append(acting)
        gold = Gold(server, admin, make_bucket(server, **how), run)
        for name in ("a", "d/b", "d/c"):
            gold.put(name, name.encode())
        code, _ = run("register", "faces", gold.place)
        assert code == 0
        return gold

    yield make
    for one in reversed(undone):
        one.__exit__(None, None, None)


@pytest.fixture
def gold(make_gold):
    return make_gold()


# --- nothing is wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["0", "1", "4"])
def test_what_is_as_registered_is_clean_and_the_result_says_what_that_proves(gold, level):
    code, found = gold.audit(level)
    (version,) = found["versions"]
    assert (0, True, [], 3) == (code, found["complete"], found["findings"], found["checked_files"])
    assert (int(level), version["level"]) == (found["level_number"], found["level"])
    assert ("every byte" in version["proves"]) is (level == "4")
    assert ("nothing was read" in version["proves"]) is (level != "4")
    assert (7 if level == "4" else 0) == found["checked_bytes"]


def test_quick_is_level_1_and_full_level_4(gold):
    assert [1, 4] == [gold.audit(word)[1]["level_number"] for word in ("quick", "full")]


# --- what went wrong, and which level sees it ---------------------------------------------------


def test_an_overwritten_object_is_told_by_every_level_and_the_pin_still_holds(gold):
    gold.put("d/b", b"other content")
    for level in ("0", "1", "4"):
        assert [("DG601", "d/b")] == gold.codes(level)


def test_the_same_content_put_again_shows_only_where_versions_are_asked_for(gold):
    gold.put("d/b", b"d/b")
    assert [] == gold.codes("0")
    assert [("DG601", "d/b")] == gold.codes("1")


def test_a_delete_marker_is_no_deletion(gold):
    gold.delete("a")
    assert [("DG102", "a")] == gold.codes("0")
    assert [("DG602", "a")] == gold.codes("1")
    assert [("DG602", "a")] == gold.codes("4")


def test_a_version_deleted_for_good_is_gone(gold):
    gold.delete("a", VersionId=gold.version("a"))
    assert [("DG102", "a")] == gold.codes("0")
    assert [("DG603", "a")] == gold.codes("1")
    assert [("DG603", "a")] == gold.codes("4")


def test_a_version_deleted_under_another_one_of_the_same_content_is_gone(gold):
    pinned = gold.version("a")
    gold.put("a", b"a")
    gold.delete("a", VersionId=pinned)
    assert [] == gold.codes("0")
    assert [("DG603", "a")] == gold.codes("1")


def test_an_extra_key_is_told(gold):
    gold.put("d/x", b"new")
    for level in ("0", "1", "4"):
        assert [("DG103", "d/x")] == gold.codes(level)


def test_suspended_versioning_is_told_from_level_1_on(gold):
    gold.admin.put_bucket_versioning(
        Bucket=gold.bucket, VersioningConfiguration={"Status": "Suspended"}
    )
    assert [] == gold.codes("0")
    assert [("DG604", "")] == gold.codes("1")
    gold.admin.put_bucket_versioning(
        Bucket=gold.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    assert [] == gold.codes("1")


def test_a_bucket_without_versions_is_compared_by_etag_and_said_to_be_held_by_nothing(make_gold):
    gold = make_gold(versioned=False)
    _, clean = gold.audit("1")
    assert "no version holds it" in clean["versions"][0]["proves"]
    gold.put("a", b"b")
    gold.delete("d/c")
    for level in ("0", "1", "4"):
        assert [("DG102", "d/c"), ("DG601", "a")] == gold.codes(level)


# --- what cannot be asked -----------------------------------------------------------------------


def test_a_listing_that_is_denied_leaves_everything_unchecked(gold):
    with gold.server.acting(nobody(gold.server)):
        for level in ("0", "1"):
            code, found = gold.audit(level)
            assert (4, False, []) == (code, found["complete"], found["findings"])


def nobody(server):
    return replace(server.reader, secret_key="wrong")


def test_metadata_that_is_denied_is_unchecked_and_not_missing(gold):
    with spoiled(gold, Reply(403), b"gold/d/b", "HEAD"):
        code, found = gold.audit("2")
    assert (4, False, []) == (code, found["complete"], found["findings"])
    assert [("d/b", "permission denied")] == gaps(found)


def test_what_the_listing_shows_is_told_also_where_the_rest_is_denied(make_gold, ministack):
    gold = make_gold(server=ministack)
    gold.put("d/b", b"other content")
    with spoiled(gold, Reply(403), b"gold/d/b", "HEAD"):
        code, found = gold.audit("1")
    assert (3, False) == (code, found["complete"])
    assert ["DG601"] == [one["code"] for one in found["findings"]]
    assert [("d/b", "permission denied")] == gaps(found)


@pytest.mark.parametrize("status", [403, 501])
def test_a_bucket_that_does_not_tell_whether_it_keeps_versions_is_unchecked(gold, status):
    with spoiled(gold, Reply(status), b"", "GET", query="versioning"):
        code, found = gold.audit("1")
    assert (4, False, []) == (code, found["complete"], found["findings"])
    assert [""] == [path for path, _ in gaps(found)]


@pytest.mark.parametrize("status", [403, 500])
def test_a_listing_that_ends_in_the_middle_is_unchecked(gold, status):
    with spoiled(gold, Reply(status), b"", "GET", query="prefix"):
        for level in ("0", "1", "4"):
            code, found = gold.audit(level)
            assert (4, False, []) == (code, found["complete"], found["findings"])


# --- what is asked for --------------------------------------------------------------------------


def test_levels_0_to_2_read_no_content_and_4_reads_all_of_it(gold):
    gold.put("d/b", b"other content")
    gold.delete("a")
    gold.put("d/x", b"new")
    with (
        counting_proxy(gold.server.endpoint) as proxy,
        gold.server.acting(gold.server.admin, endpoint=proxy.endpoint),
    ):
        for level in ("0", "1", "2"):
            assert 3 == gold.audit(level)[0]
        assert () == proxy.reads()
        assert {"GET", "HEAD"} == {seen.request.method for seen in proxy.seen}
        assert 3 == gold.audit("4")[0]
        assert 7 == proxy.data_bytes()


def gaps(found):
    return [(one["path"], one["reason"]) for one in found["unreadable"]]


@contextlib.contextmanager
def spoiled(gold, fault, key, method, query=None):
    with counting_proxy(gold.server.endpoint) as proxy:
        proxy.spoil(fault, key=key, method=method, query=query, times=1000)
        with gold.server.acting(gold.server.admin, endpoint=proxy.endpoint):
            yield
