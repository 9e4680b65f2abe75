"""Reports are read as `json.load` reads them, in pieces of any size."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.errors import UsageError
from dataguard.stores import reportfile
from dataguard.stores.reportfile import read_report

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
REPORTS = st.dictionaries(st.sampled_from(["rows", "a", "b", "\u00e9"]), VALUES)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("reports") / "report.json"


def told(file, text, piece):
    """Return what is read of a text in pieces of a size, its rows put back."""
    file.write_text(text)
    rows = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reportfile, "_PIECE", piece)
        found = read_report(str(file), "rows", rows.append)
    if isinstance(found.get("rows"), list):
        assert [] == found["rows"]
        found["rows"] = rows
    return found


@given(REPORTS, st.integers(1, 40), st.sampled_from([None, 1]), st.booleans())
def test_report_is_what_json_reads(file, report, piece, indent, ascii_only):
    text = json.dumps(report, indent=indent, ensure_ascii=ascii_only)
    assert report == told(file, text, piece)


@given(REPORTS, st.integers(1, 40), st.data())
def test_what_json_refuses_is_refused(file, report, piece, data):
    text = json.dumps(report)
    at = data.draw(st.integers(0, len(text) - 1))
    spoilt = text[:at] + data.draw(st.sampled_from(["", "}", "]", ",", "x"])) + text[at + 1 :]
    try:
        expected = json.loads(spoilt)
    except ValueError:
        expected = None
    if isinstance(expected, dict):
        assert expected == told(file, spoilt, piece)
    else:
        with pytest.raises((ValueError, TypeError)):  # as json says it, or in words of its own
            told(file, spoilt, piece)


@pytest.mark.parametrize("text", ["", "[]", "1", "{} {}", '{"rows": [1 2]}', '{"rows": [1,]}'])
def test_what_is_no_object_is_refused(file, text):
    with pytest.raises(ValueError):  # noqa: PT011  as above
        told(file, text, 1)


def test_rows_are_given_while_the_file_is_read(file):
    file.write_text(json.dumps({"rows": list(range(1000))}) + "x")
    rows = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reportfile, "_PIECE", 16)
        with pytest.raises(ValueError, match="more follows"):
            read_report(str(file), "rows", rows.append)
    assert list(range(1000)) == rows


def test_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"nothing\.json"):
        read_report(str(tmp_path / "nothing.json"), "rows", print)
