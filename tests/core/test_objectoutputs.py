"""Places for outputs in object stores: what can be told from gold by its name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.objectoutputs import all_names, bucket_in_host, output_place
from dataguard.errors import UsageError

PARTS = st.text(st.characters(min_codepoint=33, max_codepoint=1000, exclude_characters="/\\%"))


@pytest.mark.parametrize("scheme", ["s3", "s3a", "s3n"])
def test_all_schemes_name_one_place(scheme):
    assert "s3://results/me" == output_place(f"{scheme}://results/me/")


@pytest.mark.parametrize(
    "place",
    [
        "s3://results/a//b",
        "s3://results//gold",
        "s3://results/out/../gold",
        "s3://results/./gold",
        "s3://results/..",
        "s3://results/out\\gold",
        "s3://results/out%2f..%2Fgold",
        "s3://results/%252e",
        "s3://results/out\n",
        "s3://results/out//",
        "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/mine/out",
        "arn:aws:s3:::results/out",
        "s3://mine-abcdef-s3alias/out",
        "s3://mine-abcdef--ol-s3/out",
        "s3://m1n2.mrap/out",
        "s3://../out",
        "https://results.s3.amazonaws.com/out",
        "gs://results/out",
        "s3://",
    ],
)
def test_place_that_may_mean_another_is_refused(place):
    with pytest.raises(UsageError):
        output_place(place)


@given(st.lists(PARTS.filter(lambda part: part not in ("", ".", "..") and part.isprintable())))
def test_a_place_is_its_own_text(parts):
    place = output_place("/".join(("s3://results", *parts)))
    assert place == output_place(place)
    assert place in all_names(place)


def test_names_of_buckets_have_no_case():
    assert ("s3://Results/A", "s3://results/A") == all_names("s3a://Results/A")


@pytest.mark.parametrize(
    ("endpoint", "bucket"),
    [
        ("https://gold.s3.eu-west-1.amazonaws.com", "gold"),
        ("https://gold.s3.amazonaws.com", "gold"),
        ("https://mine-123.s3-accesspoint.eu-west-1.amazonaws.com", "mine-123"),
        ("https://Gold.store.example:9000", "gold"),
        ("https://s3.eu-west-1.amazonaws.com", None),
        ("https://s3.dualstack.eu-west-1.amazonaws.com", None),
        ("https://bucket.vpce-1a2b.s3.eu-west-1.vpce.amazonaws.com", None),
        ("https://store.example:9000", None),
        ("", None),
    ],
)
def test_host_that_names_a_bucket_is_known(endpoint, bucket):
    assert bucket == bucket_in_host(endpoint, ["results", "gold"])
