"""Each way a bucket can go wrong, found by the level that can see it, under a code of its own."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dataguard.stores import objectwire
from support.countingproxy import Flip, Hide, Reply, counting_proxy

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


@pytest.mark.parametrize(("status", "levels"), [(403, "014"), (500, "1")])
def test_a_listing_that_ends_in_the_middle_is_unchecked(gold, status, levels, monkeypatch):
    monkeypatch.setattr(objectwire, "_PAUSE_S", 0.001)  # a server that fails is asked again
    with spoiled(gold, Reply(status), b"", "GET", query="prefix"):
        for level in levels:
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


# --- locks --------------------------------------------------------------------------------------

YEAR = timedelta(days=365)


@pytest.fixture
def wanted(tmp_path, monkeypatch):
    """Ask for this of objects, in a policy of this user."""

    def ask(rules):
        policy = tmp_path / "policy.toml"
        policy.write_text(f'format = "policy/1"\nname = "locks"\n\n[objects]\n{rules}\n')
        monkeypatch.setenv("DATAGUARD_POLICY", str(policy))

    return ask


@pytest.fixture
def locked(make_gold, wanted):
    """Gold below a lock, and a policy that asks for one for a year."""
    gold = make_gold(locked=True)
    for name in ("a", "d/b", "d/c"):
        retain(gold, name, "GOVERNANCE", YEAR)
    wanted('lock = "governance"\nretention = "300d"')
    return gold


def retain(gold, name, mode, duration, **more):
    gold.admin.put_object_retention(
        Bucket=gold.bucket,
        Key=f"gold/{name}",
        VersionId=gold.version(name),
        Retention={"Mode": mode, "RetainUntilDate": datetime.now(UTC) + duration},
        **more,
    )


def test_a_lock_that_is_as_wanted_is_said_apart_from_the_content(locked):
    assert [] == locked.codes("1")
    _, found = locked.audit("1")
    assert "the lock that the policy asks for holds it" in found["versions"][0]["proves"]
    locked.put("a", b"other content")
    assert [("DG601", "a")] == locked.codes("1")


def test_a_shortened_lock_is_told_of_its_object_alone(locked):
    retain(locked, "d/b", "GOVERNANCE", timedelta(days=2), BypassGovernanceRetention=True)
    assert [] == locked.codes("0")
    for level in ("1", "4"):
        assert [("DG605", "d/b")] == locked.codes(level)


def test_an_object_that_no_lock_holds_is_told(locked):
    locked.put("e", b"e")
    code, _ = locked.run("register", "faces", locked.place, "--append", "--reason", "more")
    assert code == 0
    assert [("DG605", "e")] == locked.codes("1")


def test_a_weaker_mode_than_wanted_is_told_of_every_object(locked, wanted):
    wanted('lock = "compliance"')
    assert [("DG605", name) for name in ("a", "d/b", "d/c")] == locked.codes("1")


def test_a_bucket_without_a_lock_is_told_once(gold, wanted):
    wanted('lock = "governance"')
    assert [("DG605", "")] == gold.codes("1")


def test_a_lock_that_is_not_told_is_unchecked(locked):
    with counting_proxy(locked.server.endpoint) as proxy:
        proxy.spoil(Hide(b"x-amz-object-lock-mode"), key=b"gold/a", method="HEAD", times=100)
        proxy.spoil(Reply(403), key=b"gold/a", query="retention", times=100)
        with locked.server.acting(locked.server.admin, endpoint=proxy.endpoint):
            code, found = locked.audit("1")
    assert (4, [], [("a", "permission denied")]) == (code, found["findings"], gaps(found))


# --- checksums, slices, and what follows --------------------------------------------------------


def test_level_2_compares_the_checksums_that_the_store_keeps(gold):
    code, found = gold.audit("2")
    told = "checksums that the store keeps" in found["versions"][0]["proves"]
    assert (0, True, 2) == (code, told, found["level_number"])


def test_an_object_without_a_kept_checksum_is_unchecked_at_level_2(gold):
    with spoiled(gold, Hide(b"x-amz-checksum-crc32"), b"gold/d/b", "HEAD"):
        code, found = gold.audit("2")
    assert (4, [], [("d/b", "was not looked at")]) == (code, found["findings"], gaps(found))


def test_a_checksum_that_is_not_the_registered_one_is_another_content(gold):
    answer = gold.admin.head_object(Bucket=gold.bucket, Key="gold/d/b")
    headers = (
        ("etag", answer["ETag"]),
        ("x-amz-version-id", answer["VersionId"]),
        ("x-amz-checksum-crc32", "AAAAAA=="),
        ("content-length", "3"),
    )
    with spoiled(gold, Reply(200, b"", headers), b"gold/d/b", "HEAD"):
        assert [("DG101", "d/b")] == gold.codes("2")


def test_wrong_bytes_of_the_pinned_version_are_bit_rot(gold):
    with spoiled(gold, Flip(0), b"gold/d/b", "GET"):
        assert [("DG107", "d/b")] == gold.codes("4")


def test_a_part_at_a_time_makes_a_full_audit(gold):
    assert 2 == gold.audit("3")[0]
    gold.put("a", b"other content")
    gold.put("d/x", b"new")
    parts = [gold.audit("3", "--slice", f"{part}/3")[1] for part in (1, 2, 3)]
    assert [7, 3] == [
        sum(one[name] for one in parts) for name in ("checked_bytes", "checked_files")
    ]
    code, merged = gold.audit("3", "--merge")
    assert (3, True, "full") == (code, merged["complete"], merged["versions"][0]["level"])
    found = sorted((one["code"], one["path"]) for one in merged["findings"])
    assert [("DG103", "d/x"), ("DG601", "a")] == found


def test_what_is_mended_is_resolved_by_the_level_that_can_see_it(gold):
    gold.delete("a")
    assert [("DG602", "a")] == gold.codes("1")
    newest = gold.admin.list_object_versions(Bucket=gold.bucket, Prefix="gold/a")
    (marker,) = newest["DeleteMarkers"]
    gold.delete("a", VersionId=marker["VersionId"])
    assert [] == gold.codes("0")
    assert ["DG602"] == [one["code"] for one in gold.run("findings", "list")[1]["findings"]]
    assert [] == gold.codes("1")
    assert [] == gold.run("findings", "list")[1]["findings"]
