from __future__ import annotations

from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.stores.objectlisting import (
    _by_columns,
    _by_elements,
    decoded,
    parse_page,
    rows_of,
    tail_of,
)
from dataguard.stores.objectsigning import encoded_path

TEXT = st.text(
    st.characters(min_codepoint=0x20, exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"),
    min_size=1,
    max_size=12,
)
ENTRY = st.fixed_dictionaries(
    {
        "Key": TEXT,
        "Size": st.integers(0, 1 << 40).map(str),
        "ETag": st.sampled_from(['"abc"', "abc", '"d41d8-12"']),
        "LastModified": st.sampled_from(
            ["2026-11-23T19:18:41.184Z", "2026-11-23T19:18:40Z", "1999-01-01T00:00:00.000Z"]
        ),
    },
    optional={"VersionId": TEXT, "StorageClass": st.just("STANDARD")},
)


def page(entries, *, tag="Version", encoding=""):
    rows = "".join(
        f"<{tag}>"
        + "".join(f"<{name}>{escape(value)}</{name}>" for name, value in entry.items())
        + f"<Owner><ID>x</ID></Owner></{tag}>"
        for entry in entries
    )
    kind = f"<EncodingType>{encoding}</EncodingType>" if encoding else ""
    return f"<?xml version='1.0'?><ListVersionsResult>{kind}{rows}</ListVersionsResult>".encode()


@given(st.lists(ENTRY, max_size=5))
def test_both_ways_to_read_a_page_agree(entries):
    listed = page(entries)
    columns = _by_columns(listed)
    if columns is None:  # not every entry has each element: the way for odd pages
        return
    assert _by_elements(listed) == columns


@given(st.lists(TEXT, unique=True, max_size=6))
def test_keys_come_as_they_were_in_order(names):
    entries = [{"Key": name, "Size": "1", "LastModified": "2026-01-01T00:00:00Z"} for name in names]
    keys = sorted(name.encode() for name in names)

    plain = rows_of(parse_page(page(entries)), plus=False)
    quoted = [{**one, "Key": encoded_path(one["Key"].encode())} for one in entries]
    encoded = rows_of(parse_page(page(quoted, encoding="url")), plus=False)

    assert keys == plain.column("key").to_pylist()
    assert keys == encoded.column("key").to_pylist()


@pytest.mark.parametrize(
    ("keys", "plus"), [(["a+b", "a%2Bb"], True), (["a+b", "a%20b"], False), (["a+b"], None)]
)
def test_other_keys_of_a_page_show_what_a_plus_stands_for(keys, plus):
    listed = parse_page(page([{"Key": key} for key in keys], encoding="url"))

    assert (True, plus) == (listed.has_plus, listed.plus)
    assert (b"a b", b"a+b") == (decoded(b"a+b", plus=True), decoded(b"a+b", plus=False))


def test_delete_markers_have_no_size():
    body = (
        b"<ListVersionsResult><DeleteMarker><Key>a</Key><VersionId>2</VersionId>"
        b"<IsLatest>true</IsLatest><LastModified>2026-01-01T00:00:00Z</LastModified></DeleteMarker>"
        b"<Version><Key>a</Key><VersionId>1</VersionId><IsLatest>false</IsLatest><Size>3</Size>"
        b"<ETag>&quot;e&quot;</ETag><LastModified>2026-01-01T00:00:00Z</LastModified></Version>"
        b"</ListVersionsResult>"
    )
    rows = rows_of(parse_page(body), plus=False).to_pylist()

    assert [("2", True, True, None), ("1", False, False, 3)] == [
        (row["version_id"], row["is_latest"], row["is_delete_marker"], row["size"]) for row in rows
    ]
    assert [None, "e"] == [row["etag"] for row in rows]


def test_characters_that_xml_forbids_are_taken_as_servers_send_them():
    body = b"<ListVersionsResult>" + b"".join(
        b"<Version><Key>%s</Key><Size>0</Size><LastModified>2026-01-01T00:00:00Z</LastModified>"
        b"</Version>" % key
        for key in (b"a\x01b", b"c&#x2;d", b"e&#10;f&amp;lt;")
    )
    rows = rows_of(parse_page(body + b"</ListVersionsResult>"), plus=False)

    assert [b"a\x01b", b"c\x02d", b"e\nf&lt;"] == rows.column("key").to_pylist()


@pytest.mark.parametrize("body", [b"", b"<html>please log in</html>", b"{}"])
def test_what_is_no_listing_is_refused(body):
    with pytest.raises(ValueError, match="no listing"):
        tail_of(body)
