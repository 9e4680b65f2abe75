"""`watch` over buckets: what listings tell, what events add, and what is never called healthy."""

from __future__ import annotations

import json
import os
import urllib.parse
import urllib.request

import pytest

from support.countingproxy import Busy, Reply, counting_proxy
from support.s3servers import free_ports
from support.warmcommands import Shell
from support.watching import watching_command

KEYS = {
    "gold/a": b"alpha",
    "gold/b": b"beta",
    "gold/c": b"gamma",
    "gold/d": b"delta",
    "gold/dir/e + f": b"plus",
    "gold/dir/e%20f": b"percent",
}


class Gold:
    """A registered bucket, and whoever writes to it."""

    def __init__(self, server, name, home):
        self.server, self.name, self.home = server, name, home
        self.versions = {key: self.put(key, data) for key, data in KEYS.items()}

    def put(self, key, data=b"new bytes"):
        with self.server.client() as s3:
            return s3.put_object(Bucket=self.name, Key=key, Body=data).get("VersionId")

    def delete(self, key, version=None):
        with self.server.client() as s3:
            more = {"VersionId": version} if version else {}
            s3.delete_object(Bucket=self.name, Key=key, **more)

    def environment(self, user=None, endpoint=""):
        own = self.server.environment(user or self.server.reader, endpoint)
        return os.environ | own | {"DATAGUARD_HOME": str(self.home)}

    def ask(self, *words, env=None):
        """What a command answers as JSON, its exit code first."""
        shell = Shell(str(self.home), environment=tuple((env or self.environment()).items()))
        done = shell.call(*words, "--format", "json")
        return done.code, done.report if done.out else done.err

    def register(self):
        words = ("register", "faces", f"s3://{self.name}/gold")
        code, _ = self.ask(*words, env=self.environment(self.server.registrar))
        assert 0 == code

    def change(self):
        """Do one of everything; return what is to be told of it."""
        self.put("gold/a")
        self.delete("gold/b")
        self.put("gold/c")
        self.delete("gold/c", self.versions["gold/c"])
        self.put("gold/new")
        self.put("gold/dir/e + f")
        self.put("beside/x")
        return {
            ("a", "overwritten", "DG601"),
            ("b", "deleted", "DG602"),
            ("c", "version_gone", "DG603"),
            ("new", "created", "DG103"),
            ("dir/e + f", "overwritten", "DG601"),
        }

    def watching(self, *words, env=None):
        beats = self.home / "state" / "watch"
        return watching_command(
            *words, "--format", "jsonl", env=env or self.environment(), heartbeats=beats
        )


def told(findings):
    return {
        (one["path"], one["evidence"]["change"], one["evidence"]["finding"])
        for one in findings
        if one["code"] == "DG301"
    }


@pytest.fixture
def ministack_gold(ministack, make_bucket, tmp_path):
    found = Gold(ministack, make_bucket(ministack), tmp_path / "home")
    found.register()
    return found


@pytest.fixture
def gold(objectserver, bucket, tmp_path):
    found = Gold(objectserver, bucket, tmp_path / "home")
    found.register()
    return found


def test_one_look_finds_every_change_and_reads_no_object(gold):
    with counting_proxy(gold.server.endpoint) as proxy:
        env = gold.environment(endpoint=proxy.endpoint)
        assert 0 == gold.ask("watch", "--once", env=env)[0]
        wanted = gold.change()
        code, result = gold.ask("watch", "--once", env=env)
        assert 0 == proxy.data_bytes()
    assert (3, True) == (code, result["complete"])
    assert wanted == told(result["findings"])
    assert {"DG301"} == {one["code"] for one in result["findings"]}
    kept = {one["path"]: one["evidence"].get("pinned_version_kept") for one in result["findings"]}
    assert {"a": True, "b": True, "c": False, "new": None, "dir/e + f": True} == kept
    writer = {"principal": "unknown", "address": "unknown"}
    assert [writer] * 5 == [one["evidence"]["writer"] for one in result["findings"]]


@pytest.mark.parametrize("words", [(), ("--interval", "1h")])
def test_bucket_is_listed_as_often_as_the_policy_says(gold, tmp_path, words):
    rules = tmp_path / "policy.toml"
    rules.write_text('format = "policy/1"\nname = "site"\n[watch]\nbucket_interval = "1s"\n')
    env = {**gold.environment(), "DATAGUARD_POLICY": str(rules)}
    with watching_command("--format", "jsonl", *words, env=env) as watcher:
        watcher.wait_for("")  # that there are no events: it is watched
        gold.put("gold/new")
        watcher.wait_for("new")


def test_changes_are_told_while_they_happen_and_resolved_when_they_are_undone(gold):
    with gold.watching("--interval", "1s") as watcher:
        gold.put("gold/new")
        watcher.wait_for("new")
        gold.delete("gold/b")
        watcher.wait_for("b")
        assert 143 == watcher.end()
    assert {("new", "created", "DG103"), ("b", "deleted", "DG602")} == told(watcher.rows)
    assert [""] == [one["path"] for one in watcher.rows if one["code"] == "DG904"]
    with gold.server.client() as s3:
        for marker in s3.list_object_versions(Bucket=gold.name)["DeleteMarkers"]:
            gold.delete(marker["Key"], marker["VersionId"])
    gold.ask("watch", "--once")
    _, left = gold.ask("findings", "list")
    assert ["new"] == [one["path"] for one in left["findings"] if one["code"] == "DG301"]


@pytest.mark.parametrize("objectserver", ["ministack"], indirect=True)
def test_a_place_that_is_excluded_from_the_version_may_change(gold, tmp_path):
    gold.home = tmp_path / "other"
    words = ("register", "faces", f"s3://{gold.name}/gold", "--exclude", "*.tmp")
    assert 0 == gold.ask(*words, env=gold.environment(gold.server.registrar))[0]
    gold.put("gold/dir/x.tmp")
    assert 0 == gold.ask("watch", "--once")[0]


@pytest.mark.parametrize("objectserver", ["ministack"], indirect=True)
def test_a_denied_listing_is_a_gap_and_no_sign_of_health(gold):
    with counting_proxy(gold.server.endpoint) as proxy:
        body = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        proxy.spoil(Reply(403, body), key=b"", times=1000)
        env = gold.environment(endpoint=proxy.endpoint)
        code, result = gold.ask("watch", "--once", env=env)
        assert (4, False) == (code, result["complete"])
        with watching_command("--format", "jsonl", "--interval", "1s", env=env) as watcher:
            watcher.wait(lambda one: any(row["code"] == "DG902" for row in one.rows))
            assert any("denied" in one["message"] for one in watcher.rows)
            assert not [*(gold.home / "state" / "watch").rglob("*.json")]


@pytest.mark.parametrize("objectserver", ["ministack"], indirect=True)
def test_a_store_that_asks_for_patience_is_a_gap(gold):
    with counting_proxy(gold.server.endpoint) as proxy:
        proxy.spoil(Busy(), key=b"", times=1000)
        code, result = gold.ask("watch", "--once", env=gold.environment(endpoint=proxy.endpoint))
    assert (4, False) == (code, result["complete"])


@pytest.mark.parametrize("objectserver", ["ministack"], indirect=True)
def test_explain_says_what_listings_see_and_what_they_do_not(gold):
    code, result = gold.ask("watch", "--explain")
    (one,) = result["watched"]
    assert (0, "objects", "s3") == (code, one["coverage"]["source"], one["coverage"]["filesystem"])
    assert any("who wrote" in word for word in one["coverage"]["blind_to"])


@pytest.mark.parametrize(
    "objectserver", ["ministack", pytest.param("seaweedfs", marks=pytest.mark.long)], indirect=True
)
def test_unversioned_buckets_are_compared_by_etag(objectserver, make_bucket, tmp_path):
    gold = Gold(objectserver, make_bucket(objectserver, versioned=False), tmp_path / "home")
    gold.register()
    assert 0 == gold.ask("watch", "--once")[0]
    gold.put("gold/a")
    gold.delete("gold/b")
    code, result = gold.ask("watch", "--once")
    assert 3 == code
    assert {("a", "overwritten", "DG101"), ("b", "deleted", "DG102")} == told(result["findings"])


def record(bucket, key, **more):
    """One event as S3 sends it."""
    return {
        "eventSource": more.get("source", "aws:s3"),
        "userIdentity": {"principalId": "AIDATRAINER"},
        "requestParameters": {"sourceIPAddress": "10.0.0.7"},
        "s3": {"bucket": {"name": bucket}, "object": {"key": key}},
    }


def test_a_pushed_event_makes_the_next_look_immediate_and_names_the_principal(gold):
    (port,) = free_ports(1)
    with gold.watching("--interval", "1h", "--events", f"listen:127.0.0.1:{port}") as watcher:
        gold.put("gold/dir/e + f")
        gold.put("gold/a")  # whose event is lost
        key = urllib.parse.quote_plus("gold/dir/e + f")
        body = json.dumps({"Records": [record(gold.name, key), record("other", "gold/b")]})
        request = urllib.request.Request(f"http://127.0.0.1:{port}/", body.encode())
        with urllib.request.urlopen(request) as reply:
            assert 200 == reply.status
        watcher.wait_for("dir/e + f")
    (found,) = [one for one in watcher.rows if one["code"] == "DG301"]
    writer = {"principal": "AIDATRAINER", "address": "10.0.0.7"}
    assert writer == found["evidence"]["writer"]
    _, result = gold.ask("watch", "--once")
    assert ("a", "overwritten", "DG601") in told(result["findings"])


@pytest.mark.long
def test_a_bucket_without_events_is_told_once_a_start_until_events_are_read(ministack_gold):
    gold, others = ministack_gold, ("DG301", "DG903")

    def no_events():
        _, found = gold.ask("findings", "list")
        return [(one["count"], one["path"]) for one in found["findings"] if one["code"] == "DG904"]

    with gold.watching("--interval", "1s") as watcher:
        gold.put("gold/new")
        watcher.wait_for("new")
        watcher.end()
    assert ["DG904"] == [one["code"] for one in watcher.rows if one["code"] not in others]
    assert "DG904" not in {one["code"] for one in gold.ask("watch", "--once")[1]["findings"]}
    assert [(1, "")] == no_events()
    (port,) = free_ports(1)
    with gold.watching("--interval", "1s", "--events", f"listen:127.0.0.1:{port}") as watcher:
        gold.put("gold/more")
        watcher.wait_for("more")
        watcher.wait(lambda _: [] == no_events())
        watcher.end()
    assert {*others} == {one["code"] for one in watcher.rows}


def test_a_queue_tells_of_writes_by_the_store_itself(ministack, make_bucket, tmp_path):
    gold = Gold(ministack, make_bucket(ministack), tmp_path / "home")
    gold.register()
    with ministack.client(ministack.admin, "sqs") as sqs, ministack.client(ministack.admin) as s3:
        url = sqs.create_queue(QueueName=f"q-{gold.name}")["QueueUrl"]
        known = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        arn = known["Attributes"]["QueueArn"]
        allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        events = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
        s3.put_bucket_notification_configuration(
            Bucket=gold.name,
            NotificationConfiguration={
                "QueueConfigurations": [{"QueueArn": arn, "Events": events}]
            },
        )
        where = f"sqs:{ministack.endpoint}{urllib.parse.urlsplit(url).path}"
        env = gold.environment(ministack.admin)
        with gold.watching("--interval", "1h", "--events", where, env=env) as watcher:
            gold.put("gold/dir/e + f")
            watcher.wait_for("dir/e + f")
            sqs.delete_queue(QueueUrl=url)
            watcher.wait(lambda one: any(row["code"] == "DG902" for row in one.rows))
    (found,) = [one for one in watcher.rows if one["code"] == "DG301"]
    assert "overwritten" == found["evidence"]["change"]
