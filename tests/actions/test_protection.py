"""Whose canary a gate believes: that of its own credential, at the same server."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dataguard.actions.protection import found_protection
from dataguard.catalog.codec import decode, encode
from dataguard.core.canary import credential_hash
from dataguard.model.canary import Caller, CanaryRecord
from dataguard.model.mount import ProbeOutcome
from support.canaries import canary

ENDPOINT = "http://127.0.0.1:9"


def context(*records):
    catalog = SimpleNamespace(canaries=lambda _: records, locations_at=lambda _: ())
    return SimpleNamespace(catalog=catalog)


def found(*records):
    return found_protection(context(*records), SimpleNamespace(place="s3://data/gold"))


@pytest.fixture
def trainer(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "trainer")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", ENDPOINT)
    return Caller(credential_hash("trainer"), "t...r")


@pytest.mark.usefixtures("trainer")
def test_canary_of_another_credential_proves_nothing():
    assert found(canary(endpoint=ENDPOINT)).record is None


def test_canary_at_another_server_proves_nothing(trainer):
    assert found(canary(caller=trainer, endpoint="http://127.0.0.1:8")).record is None


def test_newest_canary_of_the_own_credential_counts(trainer):
    mine = canary(caller=trainer, endpoint=ENDPOINT)

    assert mine is found(canary(endpoint=ENDPOINT), mine, canary(caller=trainer)).record


def test_credential_that_cannot_be_found_proves_nothing():
    protection = found(canary())

    assert (None, True) == (protection.record, "no credentials" in protection.error)


def test_record_comes_back_from_the_catalog_as_it_was():
    record = canary({"PutBucketPolicy": ProbeOutcome.FAILED}, left=("s3://data/gold/x",))

    assert record == decode(CanaryRecord, encode(record))


def test_nobody_looks_for_credentials_where_nothing_is_recorded():
    assert ("", None) == (found().error, found().record)
