"""Which keys the servers of the tests keep as they are, and in what order pages list them."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# Keys that every server has to take literally: reserved characters, Unicode twins, long names.
KEYS = [
    *("a", "a-b", "a b", "a+b", "a%41", "a%2Fb", "?q", "[x]", "*", "k?versionId=1", "a\tb"),
    *("é", "e\u0301", "🎉", "\uffee", "\x7f", "~", " lead", "s p/ ", "AWS&<>'\""),
    *("dir/file", "x" * 200 + "/" + "y" * 200, "n" * 900),
]
PATHS = [
    "a//b",
    "/lead",
    "x/../y",
    "./z",
    "x/./y",
    "..",
    "a\\b",
]  # what a file system would make shorter

# A name beside a directory that sorts between it and its files: `-` and `.` come before `/`.
BESIDE = ["d-1", "d.x", "d/a", "d/b", "d0", "e"]


@pytest.fixture
def s3(objectserver):
    with objectserver.client() as client:
        yield client


def listed(s3, bucket, operation, size):
    keys = []
    for page in s3.get_paginator(operation).paginate(
        Bucket=bucket, PaginationConfig={"PageSize": size}
    ):
        keys += [row["Key"] for row in page.get("Contents", page.get("Versions", ()))]
    return keys


def bytewise(keys):
    return sorted(keys, key=str.encode)


def fill(s3, bucket, keys):
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())


def test_keys_are_kept_literally(s3, bucket):
    fill(s3, bucket, KEYS)
    for key in KEYS:
        answer = s3.get_object(Bucket=bucket, Key=key)
        assert key.encode() == answer["Body"].read()
    for operation in ("list_objects_v2", "list_object_versions"):
        assert bytewise(KEYS) == bytewise(listed(s3, bucket, operation, 1000))


@pytest.mark.parametrize("key", PATHS)
def test_keys_that_look_like_paths_are_kept_literally(objectserver, s3, bucket, key):
    objectserver.needs("literal paths")
    fill(s3, bucket, [key])
    assert [key] == listed(s3, bucket, "list_object_versions", 1000)
    assert key.encode() == s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def test_server_that_makes_keys_shorter_takes_two_keys_for_one(objectserver, s3, bucket):
    if "literal paths" not in objectserver.lacks:
        pytest.skip(f"{objectserver.name}: keeps keys as they are")
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"first")
    s3.put_object(Bucket=bucket, Key="a//b", Body=b"second")
    assert ["a/b"] == listed(s3, bucket, "list_objects_v2", 1000)
    assert b"second" == s3.get_object(Bucket=bucket, Key="a/b")["Body"].read()
    with pytest.raises(ClientError, match="InvalidRequest"):
        s3.put_object(Bucket=bucket, Key="x/../y", Body=b"")


def test_key_with_a_slash_at_its_end_is_an_object(s3, bucket):
    fill(s3, bucket, ["trail"])
    s3.put_object(Bucket=bucket, Key="dir/", Body=b"")
    assert {"dir/", "trail"} == set(listed(s3, bucket, "list_object_versions", 1000))
    assert {"dir/", "trail"} == set(listed(s3, bucket, "list_objects_v2", 1000))


def test_key_with_a_slash_at_its_end_may_have_bytes(objectserver, s3, bucket):
    objectserver.needs("bytes in directories")
    s3.put_object(Bucket=bucket, Key="dir/", Body=b"bytes")
    assert b"bytes" == s3.get_object(Bucket=bucket, Key="dir/")["Body"].read()


@pytest.mark.parametrize("operation", ["list_objects_v2", "list_object_versions"])
@pytest.mark.parametrize("size", [1000, 3, 2, 1])
def test_pages_of_any_size_list_each_key_once_in_bytewise_order(
    objectserver, s3, bucket, operation, size
):
    if size < 1000 or operation == "list_objects_v2":
        objectserver.needs("complete pages")
    keys = [*BESIDE, "a", "a/b", *(f"many/{number}" for number in range(5))]
    fill(s3, bucket, keys)
    assert bytewise(keys) == listed(s3, bucket, operation, size)


def test_server_whose_pages_are_incomplete_says_nothing_of_it(objectserver, s3, bucket):
    """The trap: no error, no sign in any answer, and one key is not there."""
    if "complete pages" not in objectserver.lacks:
        pytest.skip(f"{objectserver.name}: pages are complete")
    fill(s3, bucket, BESIDE)
    assert bytewise(BESIDE) == listed(s3, bucket, "list_object_versions", 1000)
    assert {"d.x"} == set(BESIDE) - set(listed(s3, bucket, "list_object_versions", 2))


def test_pages_of_current_objects_lose_a_key_that_is_a_directory_too(objectserver, s3, bucket):
    """The same trap in the other listing: only for a key with others below it, at a page's end."""
    if "complete pages" not in objectserver.lacks:
        pytest.skip(f"{objectserver.name}: pages are complete")
    keys = ["a", "a+b", "a-b", "a/b", "b"]
    fill(s3, bucket, keys)
    assert {"a"} == set(keys) - set(listed(s3, bucket, "list_objects_v2", 2))
    assert b"a" == s3.get_object(Bucket=bucket, Key="a")["Body"].read()


def test_versions_of_unversioned_buckets_come_once_in_pages(objectserver, s3, make_bucket):
    objectserver.needs("pages of null versions")
    bucket = make_bucket(objectserver, versioned=False)
    fill(s3, bucket, ["a", "b", "c", "d"])
    assert ["a", "b", "c", "d"] == listed(s3, bucket, "list_object_versions", 2)


def test_prefix_is_taken_literally(s3, bucket):
    fill(s3, bucket, ["gold/a", "gold*/a", "goldx/a", "gold[x]/a", "Gold/a"])
    for prefix in ("gold/", "gold*/", "gold[x]/", "Gold/"):
        for operation in ("list_objects_v2", "list_object_versions"):
            pages = s3.get_paginator(operation).paginate(Bucket=bucket, Prefix=prefix)
            found = [
                row["Key"]
                for page in pages
                for row in page.get("Contents", page.get("Versions", ()))
            ]
            assert [f"{prefix}a"] == found


# Segments without control characters, surrogates, dots and slashes, in which servers differ.
SEGMENTS = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Cn"), exclude_characters="/.\\"),
    min_size=1,
    max_size=20,
)


@settings(
    max_examples=10,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(segments=st.lists(SEGMENTS, min_size=1, max_size=4))
def test_any_key_of_ordinary_segments_comes_back_as_it_was_given(s3, bucket, segments):
    key = "/".join(segments)
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert key.encode() == s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    assert key in listed(s3, bucket, "list_object_versions", 1000)
    s3.delete_object(Bucket=bucket, Key=key)
    for row in s3.list_object_versions(Bucket=bucket, Prefix=key).get("Versions", ()):
        s3.delete_object(Bucket=bucket, Key=row["Key"], VersionId=row["VersionId"])
