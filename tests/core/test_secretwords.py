"""Secrets in command lines of others: recognised ones are never told on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.secretwords import HIDDEN, without_secrets, words_without_secrets
from dataguard.core.writers import writer_evidence
from dataguard.model.watch import Writer


@pytest.mark.parametrize(
    "words",
    [
        ("mysqldump", "--password=S3CRET", "db"),
        ("tool", "--api-key", "S3CRET", "run"),
        ("tool", "--apiToken=S3CRET"),
        ("env", "AWS_SECRET_ACCESS_KEY=S3CRET", "aws", "s3", "cp"),
        ("curl", "-u", "me:S3CRET", "https://x"),
        ("git", "clone", "https://me:S3CRET@host/x"),
        ("curl", "-H", "Authorization: Bearer S3CRET"),
        ("curl", "-HX-Api-Key: S3CRET"),
        ("sh", "-c", "PGPASSWORD=S3CRET psql; curl https://S3CRET@h --token S3CRET"),
    ],
)
def test_secret_with_a_name_is_hidden(words):
    told = words_without_secrets(words)
    assert not any("S3CRET" in word for word in told)
    assert any(HIDDEN in word for word in told)
    assert "S3CRET" not in without_secrets(" ".join(words))


@pytest.mark.parametrize(
    "words",
    [
        ("rsync", "-a", "--exclude=*.tmp", "/data/", "host:/gold/"),
        ("tool", "--password-file", "/etc/secret", "--token-file=/run/token"),
        ("python", "train.py", "--monkey=3", "--passes", "2", "--tokenizer", "bpe"),
        ("vim", "notes about keys.txt", ""),
        ("tool", "--password", "--verbose"),
    ],
)
def test_other_words_stay_as_they_are(words):
    assert words == words_without_secrets(words)


@given(st.lists(st.text(max_size=30), max_size=6).map(tuple))
def test_number_of_words_stays_and_telling_twice_is_telling_once(words):
    once = words_without_secrets(words)
    assert (len(words), once) == (len(once), words_without_secrets(once))


def test_evidence_of_a_writer_has_no_secret():
    writer = Writer(pid=1, command=("mc", "cp", "--secret-key=S3CRET", "a"))
    assert ["mc", "cp", f"--secret-key={HIDDEN}", "a"] == writer_evidence(writer)["command"]
