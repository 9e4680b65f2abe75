"""What is said of the protection of a bucket: what a canary proved, or that none was sent."""

from __future__ import annotations

import json

import pytest

from dataguard.cli.main import main


@pytest.fixture
def shown(objectserver, bucket, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DATAGUARD_HOME", str(tmp_path))
    with objectserver.client() as s3:
        s3.put_object(Bucket=bucket, Key="gold/a", Body=b"bytes")
    place = f"s3://{bucket}/gold"

    def run(*command):
        main([*command])
        return capsys.readouterr().out

    with objectserver.acting():
        run("register", "d", place)
        yield lambda *command: run(*(place if word == "PLACE" else word for word in command))


def test_show_says_what_canaries_proved(shown):
    assert "not enforced: no canary was sent" in shown("show", "d")
    assert [] == json.loads(shown("show", "d", "--format", "json"))["canaries"]

    shown("policy", "verify", "PLACE")

    assert "got through" in shown("show", "d")
    (canary,) = json.loads(shown("show", "d", "--format", "json"))["canaries"]
    assert "not enforced" == canary["state"]


def test_list_and_audits_say_of_each_location_whether_and_when_it_was_proven(shown, bucket):
    place = f"s3://{bucket}/gold"
    assert f"canary at {place}: not enforced: no canary was sent" in shown("list", "-v")
    assert "canary" not in shown("list")
    (row,) = json.loads(shown("list", "--format", "json"))["datasets"]
    assert [(place, "not enforced", None)] == [
        (one["place"], one["state"], one["verified"]) for one in row["canaries"]
    ]

    shown("policy", "verify", "PLACE")

    assert "got through (tried 20" in shown("list", "-v")
    (row,) = json.loads(shown("list", "--format", "json"))["datasets"]
    assert [(place, "not enforced")] == [(one["place"], one["state"]) for one in row["canaries"]]
    assert row["canaries"][0]["verified"] is not None
    assert "got through (tried 20" in shown("audit", "d", "--level", "1")
    shown("audit", "d", "--level", "3", "--slice", "1/1")
    assert "got through (tried 20" in shown("audit", "d", "--level", "3", "--merge")
