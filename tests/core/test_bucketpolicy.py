from __future__ import annotations

import json
import random
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.bucketpolicy import (
    NO_DOCUMENT,
    document_difference,
    document_words,
    joined,
    policy_digest,
    verified_under,
)
from dataguard.core.verdicts import Difference
from dataguard.model.finding import Code
from dataguard.model.mount import ProbeOutcome
from support.canaries import canary
from support.gatefacts import NOW

PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
DOCUMENTS = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
PASSED = {"PutObject": ProbeOutcome.ALLOWED}


def shuffled(value, chance):
    if isinstance(value, dict):
        names = chance.sample([*value], len(value))
        return {name: shuffled(value[name], chance) for name in names}
    if isinstance(value, list):
        return chance.sample([shuffled(item, chance) for item in value], len(value))
    return value


@given(DOCUMENTS, st.randoms(use_true_random=False))
def test_a_document_in_another_order_is_the_same(document, chance):
    other = json.dumps(shuffled(document, chance or random.Random(0)), indent=3)
    assert policy_digest(json.dumps(document)) == policy_digest(other)


def test_another_document_has_another_digest():
    texts = ('{"a":["b"]}', '{"a":"b"}', '{"a":["b","b"]}', "no json", None)
    assert len(texts) == len({policy_digest(text) for text in texts})
    assert policy_digest(None) == NO_DOCUMENT


def test_what_counts_is_the_newest_refused_canary_at_the_server_whose_document_is_known():
    records = [
        canary(policy="one", verified=NOW),
        canary(policy="two", verified=NOW + timedelta(1)),
        canary(policy=None, verified=NOW + timedelta(2)),
        canary(PASSED, policy="three", verified=NOW + timedelta(3)),
        canary(policy="four", verified=NOW + timedelta(4), endpoint="https://elsewhere"),
    ]
    found = verified_under(records, "")
    assert found is not None
    assert "two" == found.policy
    assert verified_under(records[2:4], "") is None


def test_a_document_that_differs_is_dg605_and_without_proof_nothing_differs():
    verified = canary(policy="sha256:one")
    assert document_difference("sha256:one", verified) is None
    assert document_difference("sha256:two", None) is None
    for digest, words in (("sha256:two", "another one"), (NO_DOCUMENT, "none any more")):
        found = document_difference(digest, verified)
        assert found is not None
        assert (Code.DG605, b"", True) == (found.code, found.path, words in found.message)
        assert digest == found.evidence["policy"]


def test_the_words_claim_no_more_than_was_tried():
    verified = canary(policy="sha256:one")
    assert "no canary was refused" in document_words("sha256:one", None)
    assert ", as at `policy verify` as" in document_words("sha256:one", verified)
    assert "is not that of" in document_words(NO_DOCUMENT, verified)


def test_what_is_wrong_with_a_bucket_is_one_finding():
    both = [Difference(Code.DG605, b"", "a", {"x": 1}), Difference(Code.DG605, b"", "b", {"y": 2})]
    assert [Difference(Code.DG605, b"", "a; b", {"x": 1, "y": 2})] == joined(both)
    assert [] == joined([])
