"""What answers to canary writes prove, and for how long."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.canary import (
    is_proven,
    masked,
    meaning,
    protection_words,
    role_of,
)
from dataguard.model.canary import OPERATIONS, SETTINGS, CanaryState
from dataguard.model.mount import ProbeOutcome
from support.canaries import canary
from support.gatefacts import NOW

REFUSED, ALLOWED = ProbeOutcome.REFUSED, ProbeOutcome.ALLOWED
SKIPPED, FAILED = ProbeOutcome.SKIPPED, ProbeOutcome.FAILED
ANSWERS = {
    (200, ""): ALLOWED,
    (204, ""): ALLOWED,
    (404, "NoSuchKey"): ALLOWED,
    (404, "NoSuchVersion"): ALLOWED,
    (412, "PreconditionFailed"): ALLOWED,
    (409, "OperationAborted"): ALLOWED,
    (403, "AccessDenied"): REFUSED,
    (200, "AccessDenied"): REFUSED,
    (403, "403"): REFUSED,
    (403, "SignatureDoesNotMatch"): FAILED,
    (403, "InvalidAccessKeyId"): FAILED,
    (403, "RequestTimeTooSkewed"): FAILED,
    (400, "ExpiredToken"): FAILED,
    (404, "NoSuchBucket"): FAILED,
    (400, "InvalidRequest"): FAILED,
    (301, "PermanentRedirect"): FAILED,
    (500, "InternalError"): FAILED,
    (503, "SlowDown"): FAILED,
    (200, "InternalError"): FAILED,
    (501, "NotImplemented"): SKIPPED,
    (405, "MethodNotAllowed"): SKIPPED,
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_mean_what_they_say(answer):
    assert ANSWERS[answer] is meaning(*answer)


@given(st.dictionaries(st.sampled_from(OPERATIONS), st.sampled_from(list(ProbeOutcome))))
def test_protected_is_only_what_was_refused_and_nothing_else(changed):
    one = canary(changed)
    objects = [s.result for s in one.probe.steps if s.operation not in SETTINGS]

    if one.state is CanaryState.PROTECTED:
        assert ALLOWED not in [s.result for s in one.probe.steps]
        assert FAILED not in objects
        assert {REFUSED} == {
            s.result for s in one.probe.steps if s.operation in ("PutObject", "DeleteObject")
        }
    assert (one.state is CanaryState.EXPOSED) == (ALLOWED in [s.result for s in one.probe.steps])


@given(st.dictionaries(st.sampled_from(OPERATIONS), st.sampled_from(list(ProbeOutcome))))
def test_protected_is_said_of_nothing_else(changed):
    one = canary(changed)
    said = protection_words(one, timedelta(days=1), NOW)

    assert said.startswith("protected (") == (one.state is CanaryState.PROTECTED)
    assert said.startswith(("protected (", "not enforced: ", "not verified: "))


def test_what_no_policy_could_write_back_is_named():
    one = canary({"PutBucketPolicy": FAILED})

    assert CanaryState.PROTECTED is one.state
    assert not one.complete
    assert "not tried: PutBucketPolicy" in protection_words(one)


@pytest.mark.parametrize(
    ("age", "valid"),
    [
        (timedelta(days=30), True),
        (timedelta(days=30, seconds=1), False),
        (timedelta(minutes=-4), True),
        (timedelta(minutes=-6), False),
    ],
)
def test_proof_counts_for_a_time_and_not_from_the_future(age, valid):
    assert valid is is_proven(canary(verified=NOW - age), timedelta(days=30), NOW)


def test_proof_that_is_too_old_is_not_verified():
    said = protection_words(canary(verified=NOW - timedelta(days=31)), timedelta(days=30), NOW)

    assert said.startswith("not verified: the last proof is of 2026-01-29 12:00 UTC")


def test_nothing_recorded_is_not_enforced():
    assert protection_words(None).startswith("not enforced: no canary")


@given(st.text(min_size=1, max_size=40))
def test_masked_keys_show_half_of_themselves_at_most(key):
    shown = masked(key).replace("...", "", 1)

    assert len(shown) <= min(8, len(key) / 2)


def test_sessions_of_a_role_are_one_identity():
    role = "arn:aws:iam::111122223333:role/trainer"
    sessions = [f"arn:aws:sts::111122223333:assumed-role/trainer/{n}" for n in "ab"]

    assert {role} == {role_of(one) for one in (*sessions, role)}
    assert "arn:aws:iam::1:user/u" == role_of("arn:aws:iam::1:user/u")
