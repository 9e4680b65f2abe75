"""What `show` says of the protection of a bucket: what a canary proved, or that none was sent."""

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
