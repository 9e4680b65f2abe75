"""`policy export` and `policy verify` against object servers: what is said, holds."""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import replace

import pytest

DIALECT = {"ministack": "aws", "seaweedfs": "seaweedfs"}
OBJECTS = (
    *("CreateMultipartUpload", "PutObjectTagging", "DeleteObjectVersion", "DeleteObjects"),
    *("PutObject", "DeleteObject"),
)
UPLOADS_AND_DELETES = ("CreateMultipartUpload", "DeleteObjectVersion", "DeleteObjects")
SETTINGS = ("PutBucketVersioning", "PutBucketPolicy")


class Store:
    """A prefix of a bucket with gold in it, and what the bucket's admin sees."""

    def __init__(self, server, name, admin, ask):
        self.server, self.name, self.admin, self._ask = server, name, admin, ask
        self.prefix = f"gold-{uuid.uuid4().hex[:8]}"
        self.place = f"s3://{name}/{self.prefix}"
        admin.put_object(Bucket=name, Key=f"{self.prefix}/a", Body=b"hello")

    def verify(self, user, *words, code=0):
        with self.server.acting(user):
            return self._ask("policy", "verify", self.place, *words, code=code)

    def export(self, *exempt):
        words = [word for one in exempt for word in ("--exempt", one.arn)]
        dialect = ("--dialect", DIALECT[self.server.name])
        return self._ask("policy", "export", self.place, *dialect, *words)["document"]

    def apply(self, document):
        self.admin.put_bucket_policy(Bucket=self.name, Policy=json.dumps(document))

    def content(self):
        """Everything that a canary could have touched."""
        below = {"Bucket": self.name, "Prefix": self.prefix}
        listed = self.admin.list_object_versions(**below)
        uploads = self.admin.list_multipart_uploads(**below).get("Uploads", [])
        rows = [*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())]
        return (
            sorted((row["Key"], row["VersionId"], row["LastModified"]) for row in rows),
            [upload["Key"] for upload in uploads],
            self.admin.get_bucket_versioning(Bucket=self.name).get("Status"),
            self.policy(),
        )

    def policy(self):
        try:
            return json.loads(self.admin.get_bucket_policy(Bucket=self.name)["Policy"])
        except self.admin.exceptions.ClientError:
            return None


@pytest.fixture(scope="module")
def buckets():
    """One versioned bucket on each server that is asked for, with a client of its admin."""
    found = {}
    with contextlib.ExitStack() as undo:

        def bucket(server):
            if server.name not in found:
                admin = undo.enter_context(server.client(server.admin))
                name = f"gold-{uuid.uuid4().hex[:12]}"
                admin.create_bucket(Bucket=name)
                versioned = {"Status": "Enabled"}
                admin.put_bucket_versioning(Bucket=name, VersioningConfiguration=versioned)
                found[server.name] = name, admin
            return found[server.name]

        yield bucket


@pytest.fixture
def store(objectserver, buckets, world):
    name, admin = buckets(objectserver)
    yield Store(objectserver, name, admin, world.ask_json)
    with contextlib.suppress(admin.exceptions.ClientError):  # there may be none
        admin.delete_bucket_policy(Bucket=name)


def results(found):
    (record,) = found["records"]
    return {step["operation"]: step["result"] for step in record["operations"]}


def _read(client, store):
    return client.get_object(Bucket=store.name, Key=f"{store.prefix}/a")["Body"].read()


def statement(document, index):
    return {**document, "Statement": [document["Statement"][index]]}


def test_exported_policy_refuses_everything_to_a_trainer_and_nothing_to_the_registrar(store):
    server = store.server
    store.apply(store.export(server.registrar, server.admin))
    before = store.content()

    found = store.verify(server.trainer)
    assert (True, False) == (found["protected"], found["unchecked"])
    assert dict.fromkeys((*OBJECTS, *SETTINGS), "refused") == results(found)
    assert "protected" == found["records"][0]["state"]
    with server.client(server.trainer) as trainer, server.client(server.registrar) as registrar:
        assert b"hello" == _read(trainer, store)
        assert before == store.content()
        registrar.put_object(Bucket=store.name, Key=f"{store.prefix}/b", Body=b"new")
        trainer.put_object(Bucket=store.name, Key="outputs/b", Body=b"mine")


def test_writes_that_get_through_are_findings_and_leave_nothing(store):
    before = store.content()
    found = store.verify(store.server.trainer, code=3)

    assert not found["protected"]
    assert "skipped" == results(found)["PutObjectTagging"]  # the name was not found
    assert {"allowed"} == {results(found)[name] for name in UPLOADS_AND_DELETES}
    assert {"skipped"} == {results(found)[name] for name in (*OBJECTS[4:], *SETTINGS)}
    (finding,) = found["findings"]
    assert ("DG605", "error", store.place) == (
        *(finding["code"], finding["severity"]),
        finding["path"],
    )
    assert [] == found["records"][0]["left_behind"]
    assert before == store.content()


def test_finding_ends_when_the_same_credential_is_refused(store, world):
    server = store.server
    (finding,) = store.verify(server.trainer, code=3)["findings"]
    store.apply(store.export(server.registrar, server.admin))
    store.verify(server.trainer)

    (after,) = world.ask_json("findings", "show", finding["id"])["findings"]
    assert "resolved" == after["state"]


def test_reader_without_a_policy_is_refused_by_its_own_rights(store):
    before = store.content()
    found = store.verify(store.server.reader)

    assert {"refused"} == {results(found)[name] for name in OBJECTS}
    assert before == store.content()


def test_settings_that_can_be_written_are_found_and_stay_as_they_were(store):
    server = store.server
    store.apply(statement(store.export(server.registrar, server.admin), 0))
    before = store.content()
    found = store.verify(server.trainer, code=3)

    assert {"refused"} == {results(found)[name] for name in OBJECTS}
    assert "allowed" == results(found)["PutBucketVersioning"]
    assert before == store.content()


def test_policy_that_can_be_replaced_is_written_as_it_was(store):
    server = store.server
    if server.name == "seaweedfs":
        pytest.skip("seaweedfs: lets nobody but its admins write bucket policies")
    document = store.export(server.registrar, server.admin)
    document["Statement"][1]["Action"] = ["s3:PutBucketVersioning"]
    store.apply(document)
    before = store.content()

    assert "allowed" == results(store.verify(server.trainer, code=3))["PutBucketPolicy"]
    assert before == store.content()


def test_bucket_without_a_policy_has_none_after_the_canary(store):
    server = store.server
    if server.name == "seaweedfs":
        pytest.skip("seaweedfs: lets nobody but its admins write bucket policies")
    with server.client(server.admin, "iam") as iam:
        actions = ["s3:List*", "s3:GetObject*", "s3:*BucketPolicy"]
        allowed = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [allowed]}
        iam.create_user(UserName=store.name)
        iam.put_user_policy(
            UserName=store.name, PolicyName="p", PolicyDocument=json.dumps(document)
        )
        key = iam.create_access_key(UserName=store.name)["AccessKey"]
    user = replace(server.trainer, access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
    found = store.verify(user, code=3)

    assert ("failed", "allowed") == (
        results(found)["PutBucketVersioning"],
        results(found)["PutBucketPolicy"],
    )
    assert store.policy() is None


def test_form_that_a_server_stores_and_ignores_is_caught(store):
    server = store.server
    if server.name == "seaweedfs":
        pytest.skip("seaweedfs: refuses NotPrincipal, so nobody can take it for a protection")
    document = store.export(server.registrar, server.admin)
    for one in document["Statement"]:
        del one["Principal"], one["Condition"]
        one["NotPrincipal"] = {"AWS": [server.registrar.arn, server.admin.arn]}
    store.apply(document)

    assert "allowed" == results(store.verify(server.trainer, code=3))["CreateMultipartUpload"]


def test_what_cannot_be_taken_back_is_told(store):
    server = store.server
    if server.name == "ministack":
        pytest.skip("ministack: asks for s3:DeleteObject to delete several versions too")
    document = store.export(server.registrar, server.admin)
    document["Statement"][0]["Action"] = ["s3:Put*", "s3:DeleteObjectVersion", "s3:Abort*"]
    store.apply(document)
    found = store.verify(server.trainer, code=3)

    assert "allowed" == results(found)["DeleteObject"]
    (left,) = found["records"][0]["left_behind"]
    assert left.startswith(f"{store.place}/.dataguard-canary-")


def test_keys_that_nobody_knows_prove_nothing(store):
    for broken in (
        replace(store.server.trainer, secret_key="wrong"),
        replace(store.server.trainer, access_key="nobody"),
    ):
        found = store.verify(broken, code=4)
        assert ("not verified", {"failed"}) == (
            found["records"][0]["state"],
            {*results(found).values()},
        )


def test_server_that_does_not_answer_proves_nothing(store):
    found = store.verify(store.server.trainer, "--endpoint-url", "http://127.0.0.1:9", code=4)

    assert {"failed"} == {*results(found).values()}
    assert [] == found["findings"]


def test_bucket_without_versions_is_tried_too(objectserver, make_bucket, world):
    name = make_bucket(objectserver, versioned=False)
    with objectserver.client(objectserver.admin) as admin:
        store = Store(objectserver, name, admin, world.ask_json)
        before = store.content()
        refused = results(store.verify(objectserver.reader))
        store.verify(objectserver.trainer, code=3)

    assert ({"refused"}, "skipped") == (
        {refused[name] for name in OBJECTS},
        refused["PutBucketVersioning"],
    )
    with objectserver.client(objectserver.admin) as store.admin:
        assert before == store.content()


def test_neither_key_nor_secret_is_kept_or_shown(store, world):
    trainer = store.server.trainer
    with store.server.acting(store.server.reader):
        patch = pytest.MonkeyPatch()
        patch.setenv("JOB_ACCESS_KEY_ID", trainer.access_key)
        patch.setenv("JOB_SECRET_ACCESS_KEY", trainer.secret_key)
        words = ("policy", "verify", store.place, "--credential-env", "JOB")
        answers = [world.ask(*words), world.ask(*words, "--format", "json", "-v")]
        patch.undo()
    kept = b"".join(p.read_bytes() for p in world.home.rglob("*") if p.is_file())

    assert [3, 3] == [answer.code for answer in answers]
    shown = "".join(answer.out + answer.err for answer in answers).encode()
    for text in (trainer.secret_key, trainer.access_key):
        if text not in store.place:
            assert text.encode() not in kept + shown
    assert b"not enforced: CreateMultipartUpload, " in shown


def test_two_credentials_and_unknown_ones_are_refused(world):
    place = "s3://gold/faces"
    both = world.fails("policy", "verify", place, "--profile", "a", "--credential-env", "B")
    unset = world.fails("policy", "verify", place, "--credential-env", "NOBODY")
    unknown = world.fails("policy", "verify", place, "--profile", "nobody")

    assert [2, 2, 12] == [error["exit_code"] for error in (both, unset, unknown)]
    assert "NOBODY_ACCESS_KEY_ID" in unset["message"]


def test_directory_is_tried_as_whoever_asks(world):
    found = world.ask_json("policy", "verify", str(world.gold), code=3)
    assert ["DG402"] == [finding["code"] for finding in found["findings"]]
    assert ["a", "dir", "empty", "link"] == sorted(p.name for p in world.gold.iterdir())
    code, refused = world.ask_as_user("policy", "verify", str(world.gold))
    assert (0, True) == (code, refused["protected"])
    assert 10 == world.fails("policy", "verify", str(world.top / "nowhere"))["exit_code"]


def test_policy_of_an_identity_refuses_the_trainer(ministack, buckets, world):
    name, admin = buckets(ministack)
    store = Store(ministack, name, admin, world.ask_json)
    words = ("policy", "export", store.place, "--as", "iam-policy", "--dialect", "aws")
    document = json.dumps(world.ask_json(*words)["document"])
    user = {"UserName": "trainer", "PolicyName": "dataguard-gold"}
    with ministack.client(ministack.admin, "iam") as iam:
        iam.put_user_policy(**user, PolicyDocument=document)
        try:
            assert store.verify(ministack.trainer)["protected"]
            store.verify(ministack.registrar, code=3)
        finally:
            iam.delete_user_policy(**user)


def test_exported_lock_keeps_new_versions(objectserver, make_bucket, world):
    name = make_bucket(objectserver, locked=True)
    words = ("policy", "export", f"s3://{name}/gold", "--as", "object-lock", "--lock-days", "1")
    lock = world.ask_json(*words)["document"]
    with objectserver.client(objectserver.admin) as admin:
        admin.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=lock)
        written = admin.put_object(Bucket=name, Key="gold/a", Body=b"held")
        with pytest.raises(admin.exceptions.ClientError):
            admin.delete_object(Bucket=name, Key="gold/a", VersionId=written["VersionId"])


def test_text_of_an_export_is_the_document_alone(world):
    words = ("policy", "export", "s3://data/gold", "--dialect", "ceph", "--exempt", "registrar")
    answer = world.ask(*words)

    assert world.ask_json(*words)["document"] == json.loads(answer.out)
    assert "it does not stop:" in answer.err
    assert "aws s3api put-bucket-policy --bucket data" in answer.err


def test_exports_that_would_lock_out_or_protect_nothing_are_refused(world):
    place = "s3://data/gold"
    refused = (
        (),
        ("--dialect", "minio", "--exempt", "registrar"),
        ("--exempt", "registrar"),
        ("--endpoint-url", "http://localhost:1", "--exempt", "registrar"),
        ("--dialect", "gcs", "--exempt", "registrar"),
    )
    errors = [world.fails("policy", "export", place, *words) for words in refused]

    assert {2} == {error["exit_code"] for error in errors}
    assert all(error["hint"] for error in errors)
    assert 2 == world.fails("policy", "export", "/data/gold", "--exempt", "me")["exit_code"]


def test_local_version_is_sent_to_seal(registered):
    error = registered.fails("policy", "export", "faces@1", "--exempt", "me")

    assert (2, "a local source is protected by `dataguard seal faces@1`") == (
        error["exit_code"],
        error["hint"],
    )


def write_protection(found):
    (check,) = [one for one in found["checks"] if one["name"] == "write protection"]
    return check["ok"], check["reason"]


def test_gate_refuses_a_job_until_its_own_credential_is_proven_harmless(store, world):
    server = store.server
    rules = world.top / "rules.toml"
    rules.write_text('format = "policy/1"\nname = "ours"\n[objects]\ncanary = "required"\n')
    asked = ("gate", "--input", "faces@1", "--output", str(world.top / "out"))
    required = (*asked, "--policy", str(rules))
    with server.acting(server.registrar):
        assert 0 == world.ask_process("register", "faces", store.place).code
    with server.acting(server.trainer):
        assert (False, True) == (
            write_protection(world.ask_json(*required, code=3))[0],
            "not enforced: no canary" in write_protection(world.ask_json(*asked))[1],
        )
    (finding,) = store.verify(server.trainer, code=3)["findings"]
    assert ("faces", 1) == (finding["dataset"], finding["version"])
    with server.acting(server.trainer):
        assert "got through" in write_protection(world.ask_json(*required, code=3))[1]
    store.apply(store.export(server.registrar, server.admin))
    store.verify(server.trainer)

    with server.acting(server.trainer):
        allowed, reason = write_protection(world.ask_json(*required))
        assert (True, True) == (allowed, ": protected (verified " in reason)
    with server.acting(server.registrar):
        assert not write_protection(world.ask_json(*required, code=3))[0]


def test_reference_means_the_place_and_the_server_where_it_was_registered(store, world):
    server = store.server
    with server.acting(server.registrar):
        assert 0 == world.ask_process("register", "faces", store.place).code
    words = ("policy", "export", "faces@1", "--exempt", "registrar")
    dialect = world.fails(*words)
    made = world.ask_json(*words, "--dialect", "ceph")

    assert (2, True) == (dialect["exit_code"], server.endpoint in dialect["message"])
    assert [store.place] == made["places"]
    assert all(f"--endpoint-url {server.endpoint}" in one for one in made["apply"][:2])
    beside = ("policy", "export", f"s3://{store.name}/x", *words[3:], "--dialect", "ceph")
    missed = {
        form: [
            remark.partition(": ")[2]
            for remark in world.ask_json(*beside, "--as", form)["remarks"]
            if store.place in remark
        ]
        for form in ("s3-bucket-policy", "iam-policy", "object-lock")
    }
    assert {
        "s3-bucket-policy": ["name it too, a bucket has one policy"],
        "iam-policy": ["name it too, one of the same name is replaced"],
        "object-lock": [],  # which is the whole bucket's
    } == missed


@pytest.mark.ceph
def test_policy_for_ceph_exempts_two_and_the_form_of_aws_is_caught_there(ceph, buckets, world):
    name, admin = buckets(ceph)
    store = Store(ceph, name, admin, world.ask_json)
    resources = [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]
    people = {"AWS": [ceph.trainer.arn, ceph.registrar.arn]}
    allowed = {"Effect": "Allow", "Principal": people, "Action": ["s3:*"], "Resource": resources}
    names = ("--exempt", "registrar", "--exempt", ceph.admin.name)
    words = ("policy", "export", store.place, "--dialect", "ceph")
    document = world.ask_json(*words, *names)["document"]
    ignored = json.loads(
        json.dumps(document)
        .replace("StringNotLike", "ArnNotLike")
        .replace("StringNotEquals", "ArnNotEquals")
        .replace("aws:username", "aws:PrincipalArn")
    )
    for statements, code in ((ignored["Statement"], 3), (document["Statement"], 0)):
        store.apply({**document, "Statement": [allowed, *statements]})
        store.verify(ceph.trainer, code=code)
    store.verify(ceph.registrar, code=3)
    admin.delete_bucket_policy(Bucket=name)
