"""The policy document of a bucket in audits: the one under which a canary was refused, or not."""

from __future__ import annotations

import contextlib
import json

import pytest

from dataguard.cli.main import main
from support.countingproxy import Reply, counting_proxy


@pytest.fixture
def verified(gold):
    """Gold that is proven not to be writable by the trainer, under a policy."""
    server = gold.server
    words = [word for one in (server.registrar, server.admin) for word in ("--exempt", one.arn)]
    dialect = {"ministack": "aws", "seaweedfs": "seaweedfs"}[server.name]
    _, made = gold.run("policy", "export", gold.place, "--dialect", dialect, *words)
    apply(gold, made["document"])
    code, found = verify(gold)
    assert (0, True) == (code, found["protected"])
    return gold, made["document"]


def other(gold):
    """A statement that no policy of dataguard has."""
    return {
        "Sid": "Other",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:PutObject"],
        "Resource": [f"arn:aws:s3:::{gold.bucket}/elsewhere/*"],
    }


def verify(gold):
    """Send canaries as the trainer; the policy is read as whoever runs the command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOB_ACCESS_KEY_ID", gold.server.trainer.access_key)
        patch.setenv("JOB_SECRET_ACCESS_KEY", gold.server.trainer.secret_key)
        return gold.run("policy", "verify", gold.place, "--credential-env", "JOB")


def apply(gold, document):
    gold.admin.put_bucket_policy(Bucket=gold.bucket, Policy=json.dumps(document))


def test_an_audit_says_which_document_stands_on_the_bucket(gold):
    code, found = gold.audit("1")
    (version,) = found["versions"]
    assert (0, "none") == (code, version["policy_document"])
    assert "no policy stands on the bucket" in version["protection"][-1]
    assert gold.audit("0")[1]["versions"][0]["policy_document"] is None


def test_the_document_of_the_proof_is_no_finding_however_it_is_written(verified):
    gold, document = verified
    apply(gold, {**document, "Statement": document["Statement"][::-1]})
    code, found = gold.audit("1")
    (version,) = found["versions"]
    assert (0, []) == (code, found["findings"])
    assert ("sha256:", True) == (
        version["policy_document"][:7],
        "as at" in version["protection"][-1],
    )


def test_another_document_than_that_of_the_proof_is_dg605_until_it_is_proven(verified):
    gold, document = verified
    weaker = {**document, "Statement": document["Statement"][:1]}
    apply(gold, weaker)
    assert [] == gold.codes("0")
    assert [("DG605", "")] == gold.codes("1")
    apply(gold, document)
    assert [] == gold.codes("1")
    assert [] == gold.run("findings", "list")[1]["findings"]
    apply(gold, {**document, "Statement": [*document["Statement"], other(gold)]})
    assert [("DG605", "")] == gold.codes("4")
    assert 0 == verify(gold)[0]
    assert [] == gold.codes("1")


def test_a_document_that_was_removed_is_dg605(verified):
    gold, _ = verified
    gold.admin.delete_bucket_policy(Bucket=gold.bucket)
    _, found = gold.audit("1")
    (finding,) = found["findings"]
    assert ("DG605", "none") == (finding["code"], finding["evidence"]["policy"])
    assert "none any more" in finding["message"]


@pytest.mark.parametrize("status", [403, 405, 501])
def test_a_document_that_may_not_be_read_is_unchecked_where_there_is_one_to_compare(
    verified, status
):
    gold, _ = verified
    with spoiled(gold, status) as break_it:
        verify(gold)
        break_it()
        code, found = gold.audit("1")
    assert (4, [], [""]) == (code, found["findings"], [one["path"] for one in found["unreadable"]])
    assert "was not looked at" in found["versions"][0]["protection"][-1]


def test_a_document_that_may_not_be_read_is_said_where_nothing_was_proven(gold):
    with spoiled(gold, 403) as break_it:
        break_it()
        code, found = gold.audit("1")
    (version,) = found["versions"]
    assert (0, None) == (code, version["policy_document"])
    assert "was not looked at" in version["protection"][-1]


@contextlib.contextmanager
def spoiled(gold, status):
    with counting_proxy(gold.server.endpoint) as proxy:
        fault = Reply(status)
        with gold.server.acting(gold.server.admin, endpoint=proxy.endpoint):
            yield lambda: proxy.spoil(fault, key=b"", method="GET", query="policy", times=100)


def test_jobs_are_not_stopped_by_a_document_that_changed(verified, tmp_path):
    gold, document = verified
    apply(gold, {**document, "Statement": [other(gold)]})
    report = tmp_path / "report.json"
    words = ("--input", "faces@1", "--output", str(tmp_path / "out"), "--report", str(report))
    code = main(["run", *words, "--unconfined", "--", "true"])
    assert (0, []) == (code, json.loads(report.read_text())["findings"])
