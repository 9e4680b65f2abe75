"""JSON text of items by templates is what the general way gives."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from dataguard.model.copies import Copy, CopyKind, FileState, ListedPath
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.finding import Code, Finding, FindingState, Severity
from dataguard.report.encode import encode
from dataguard.report.jsonitem import item_text

TEXT = st.text(st.characters(codec="utf-8")) | st.text("a%s\\\"'\n\x00{}é€𐍈", max_size=9)
NUMBERS = st.integers(-(2**63), 2**64)
VALUES = NUMBERS | TEXT | st.none() | st.booleans() | st.floats(allow_nan=False)
EVIDENCE = st.dictionaries(
    TEXT, VALUES | st.lists(VALUES, max_size=3) | st.dictionaries(TEXT, VALUES, max_size=2)
)
PATHS = st.binary(max_size=20) | TEXT.map(str.encode)
STATES = st.builds(FileState, *[NUMBERS] * 8)
COPIES = st.builds(
    Copy,
    path=PATHS,
    kind=st.sampled_from(CopyKind),
    dataset=TEXT,
    version=NUMBERS,
    entry=PATHS,
    original=st.none() | PATHS,
    bytes=NUMBERS,
    reclaimable=NUMBERS,
    state=st.none() | STATES,
    evidence=EVIDENCE,
)
TIMES = st.integers(0, 2**40).map(lambda seconds: datetime.fromtimestamp(seconds / 7, UTC))
FINDINGS = st.builds(
    Finding,
    code=st.sampled_from(Code),
    severity=st.sampled_from(Severity),
    path=PATHS,
    message=TEXT,
    first_seen=TIMES,
    last_seen=TIMES,
    dataset=st.none() | TEXT,
    version=st.none() | NUMBERS,
    count=NUMBERS,
    state=st.sampled_from(FindingState),
    evidence=EVIDENCE,
)
OTHERS = st.builds(ListedPath, PATHS) | st.builds(
    Unreadable, PATHS, st.sampled_from(Obstacle), TEXT
)


@given(COPIES | FINDINGS | OTHERS | EVIDENCE | st.sampled_from(Code) | VALUES)
def test_text_of_an_item_is_that_of_its_json(value: object) -> None:
    assert item_text(value) == json.dumps(encode(value))


def test_text_with_a_name_that_is_not_utf8_has_both_its_forms() -> None:
    shown = json.loads(item_text(ListedPath(b"a\xff")))
    assert shown == {"path": "a\\xff", "path_b64": "Yf8="}
