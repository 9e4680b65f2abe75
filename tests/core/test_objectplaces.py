from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.objectplaces import alias_of, bucket_of, normal_place, prefix_of
from dataguard.errors import UsageError

KEYS = st.text(min_size=1).filter(lambda key: not key.endswith("/") and key.isprintable())


@given(KEYS, st.sampled_from(["s3", "s3a", "s3n"]), st.sampled_from(["", "/"]))
def test_every_name_of_a_place_has_one_normal_text(key, scheme, end):
    written = f"{scheme}://bucket/{key}{end}"
    place = normal_place(written)

    assert place == normal_place(place) == alias_of(written)
    assert ("bucket", f"{key}/".encode()) == (bucket_of(place), prefix_of(place))


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("S3A://bucket/gold//", "s3://bucket/gold"),
        ("s3n://bucket/", "s3://bucket"),
        ("s3://B/x", "s3://B/x"),
        ("gs://bucket/gold", "gs://bucket/gold"),
        ("/data/gold", "/data/gold"),
    ],
)
def test_what_a_url_means_is_known_also_where_no_place_could_be_registered(url, meant):
    assert meant == alias_of(url)


@pytest.mark.parametrize("place", ["s3://B_/x", "s3://a/x", "s3://bucket//", "gs://bucket"])
def test_what_is_no_place_is_refused(place):
    with pytest.raises(UsageError):
        normal_place(place)
