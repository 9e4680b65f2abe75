from __future__ import annotations

import base64
import json
import os
from hashlib import sha256

import pytest
import xxhash

from dataguard.cli.main import main
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.s3access import Access
from support.countingproxy import Tell

CONTENTS = {b"gold/a": b"a", b"gold/d/b": b"d/b", b"gold/d/c": b"d/c"}


GATE = ("gate", "--input", "faces@1", "--output", "/nowhere/out")


@pytest.fixture
def home(tmp_path, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.setenv("DATAGUARD_HOME", str(home))
    return home


@pytest.fixture
def acting(objectserver):
    with objectserver.acting(objectserver.admin):
        yield objectserver


@pytest.fixture
def client(acting, make_bucket):
    made = ObjectClient(Access(make_bucket(acting), acting.endpoint))
    for name in (b"a", b"d/b", b"d/c"):
        made.put(b"gold/" + name, name)
    yield made
    made.close()


@pytest.fixture
def run(home, capsys):
    assert not home.exists()

    def run(*words):
        code = main([*words, "--format", "json"])
        out, err = capsys.readouterr()
        return code, json.loads(out or err.splitlines()[-1])

    return run


def place_of(client):
    return f"s3://{client.access.bucket}/gold"


def test_registering_pins_every_object_and_again_reads_nothing(run, client):
    code, first = run("register", "faces", place_of(client))
    assert (0, True, 3, 3) == (code, first["created"], first["files"], first["hashed"])
    assert (True, "enabled") == (
        first["objects"]["pinned"],
        first["objects"]["capabilities"]["versioning"],
    )

    code, again = run("register", "faces", place_of(client) + "/")
    assert (0, False, 0) == (code, again["created"], again["hashed"])
    assert first["root"] == again["root"]
    assert [True] == [one["pinned"] for one in run("list")[1]["datasets"]]
    checks = {one["name"]: one for one in run(*GATE)[1]["checks"]}
    assert checks["object versions"]["enforced"]


def test_each_object_is_asked_for_once(run, client, acting, proxies):
    for number in range(40):
        client.put(b"gold/many/%02d" % number, b"x")
    proxy = proxies(acting.endpoint)
    code, done = run("register", "faces", place_of(client), "--endpoint-url", proxy.endpoint)

    assert (0, 43) == (code, done["hashed"])
    assert 43 == len([one for one in proxy.reads() if one.request.key.startswith(b"gold/")])
    assert len(proxy.asked("HEAD")) < 10  # the look at the bucket, and at folders


def telling(proxy, kind="XXHASH128", *, contents=CONTENTS, covers="FULL_OBJECT"):
    """Let a server keep a checksum of each object."""

    def headers(request):
        content = contents.get(request.key)
        if content is None:
            return ()
        value = base64.b64encode(xxhash.xxh3_128_digest(content)).decode()
        name = f"x-amz-checksum-{kind.lower()}"
        return ((name, value), ("x-amz-checksum-type", covers))

    for method in ("HEAD", "GET"):
        proxy.spoil(Tell(headers), method=method, times=1000)


def test_checksums_that_are_digests_are_taken_and_one_object_is_read(run, client, acting, proxies):
    proxy = proxies(acting.endpoint)
    telling(proxy)
    words = ("register", "faces", place_of(client))
    code, done = run(*words, "--endpoint-url", proxy.endpoint)
    assert (0, 1, 2) == (code, done["hashed"], done["by_checksum"])
    # The smallest shows whether the server means what it says.
    assert {b"gold/a"} == {one.request.key for one in proxy.reads() if one.status == 200}
    assert 0 == run("audit", "faces", "--level", "full")[0]

    code, again = run(*words, "--rehash")
    assert (0, 3, 0, done["root"]) == (
        code,
        again["hashed"],
        again["by_checksum"],
        again["root"],
    )


@pytest.mark.parametrize(
    "told", [{"kind": "XXHASH64"}, {"covers": "COMPOSITE"}], ids=["another", "of parts"]
)
def test_checksums_that_are_no_digests_are_not_taken(run, client, acting, proxies, told):
    proxy = proxies(acting.endpoint)
    telling(proxy, **told)
    words = ("register", "faces", place_of(client), "--endpoint-url", proxy.endpoint)
    code, done = run(*words)
    assert (0, 3, 0) == (code, done["hashed"], done["by_checksum"])


def test_checksums_of_other_content_are_refused(run, client, acting, proxies):
    proxy = proxies(acting.endpoint)
    telling(proxy, contents=dict.fromkeys(CONTENTS, b"other"))
    words = ("register", "faces", place_of(client), "--endpoint-url", proxy.endpoint)
    assert 4 == run(*words)[0]
    assert 10 == run("show", "faces")[0]


def test_lists_of_digests_exclusions_and_other_digests_serve_as_for_files(run, client, tmp_path):
    expected = tmp_path / "SHA256SUMS"
    lines = [f"{sha256(name).hexdigest()}  {name.decode()}" for name in (b"a", b"d/b")]
    expected.write_text("\n".join(lines) + "\n")
    place, words = place_of(client), ("--also", "sha256", "--exclude", "d/c")
    code, done = run("register", "faces", place, "--expect", str(expected), *words)
    assert (0, 2, 2, 0) == (code, done["files"], done["hashed"], done["unlisted"])
    code, again = run("register", "faces", place, "--rehash", *words)
    assert (0, False, 2) == (code, again["created"], again["hashed"])

    client.put(b"gold/a", b"another")
    code, refused = run("register", "others", place, "--expect", str(expected))
    assert (3, ["a"]) == (code, [one["path"] for one in refused["findings"]])
    assert 10 == run("show", "others")[0]


def test_a_local_replica_has_the_same_root(run, client, tmp_path):
    source = tmp_path / "copy"
    for name in ("a", "d/b", "d/c"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(name.encode())
    _, there = run("register", "faces", place_of(client))
    code, here = run("register", "faces", str(source), "--replica")

    assert (0, False, there["root"]) == (code, here["created"], here["root"])
    _, shown = run("show", "faces")
    assert {place_of(client), str(source)} == {one["place"] for one in shown["locations"]}


def test_other_content_is_refused_until_it_is_meant(run, client):
    run("register", "faces", place_of(client))
    client.put(b"gold/a", b"other")
    code, refused = run("register", "faces", place_of(client))
    assert (3, ["DG101"]) == (code, [one["code"] for one in refused["findings"]])

    words = ("--supersede", "--reason", "meant")
    code, done = run("register", "faces", place_of(client), *words)
    assert (0, 2, 1) == (code, done["version"], done["hashed"])
    _, changes = run("diff", "faces@1", "faces@2")
    assert ["a"] == [one["path"] for one in changes["changed"]]


def test_what_was_added_can_be_appended(run, client):
    run("register", "faces", place_of(client))
    client.put(b"gold/e", b"more")
    code, done = run("register", "faces", place_of(client), "--append", "--reason", "more")

    assert (0, 2, 1) == (code, done["version"], done["hashed"])
    assert 0 == run("audit", "faces@1", "--level", "quick")[0]


@pytest.mark.parametrize("level", ["quick", "full"])
def test_audits_find_what_was_changed_deleted_and_added(run, client, level):
    run("register", "faces", place_of(client))
    assert 0 == run("audit", "faces", "--level", level)[0]
    client.put(b"gold/a", b"x")
    client.delete(b"gold/d/b")
    client.put(b"gold/new", b"")
    code, result = run("audit", "faces", "--level", level)

    found = {(one["code"], one["path"]) for one in result["findings"]}
    assert 3 == code
    assert {("DG601", "a"), ("DG602", "d/b"), ("DG103", "new")} == found


def test_an_unversioned_bucket_is_marked_and_refused_where_the_policy_says_so(
    run, acting, make_bucket, home
):
    name = make_bucket(acting, versioned=False)
    with_objects = ObjectClient(Access(name, acting.endpoint))
    with_objects.put(b"a", b"1")
    with_objects.close()
    code, done = run("register", "faces", f"s3://{name}")
    assert (0, False) == (code, done["objects"]["pinned"])
    code, again = run("register", "faces", f"s3://{name}")
    assert (0, 0) == (code, again["hashed"])
    said = f"unpinned: versioning of the bucket is {again['objects']['capabilities']['versioning']}"
    assert [False] == [one["pinned"] for one in run("list")[1]["datasets"]]
    assert not run("show", "faces")[1]["locations"][0]["objects"]["pinned"]
    checks = {one["name"]: one for one in run(*GATE)[1]["checks"]}
    assert (True, False) == tuple(checks["object versions"][key] for key in ("ok", "enforced"))
    assert said in checks["object versions"]["reason"]

    policy = home / "strict.toml"
    policy.write_text('format = "policy/1"\nname = "s"\n[objects]\nversioning = "required"\n')
    (home / "config.toml").write_text(f'policy = "{policy}"\n')
    code, refused = run("register", "others", f"s3://{name}")
    assert (2, "policy") == (code, refused["code"])
    checks = {one["name"]: one for one in run(*GATE)[1]["checks"]}
    assert (False, "DG604") == tuple(checks["object versions"][key] for key in ("ok", "code"))


def test_names_and_no_secrets_are_kept(run, client, home, acting):
    run("register", "faces", place_of(client), "--endpoint-url", acting.endpoint)
    secret = os.environ["AWS_SECRET_ACCESS_KEY"].encode()
    for folder, _, names in os.walk(home):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                assert secret not in file.read()
    _, shown = run("show", "faces")
    assert acting.endpoint == shown["locations"][0]["objects"]["endpoint"]


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("s3://no-such-bucket-here/x", 10),
        ("gs://bucket/x", 2),
        ("s3://B/x", 2),
        ("s3://bucket//", 2),
        ("s3://..", 2),
    ],
)
@pytest.mark.usefixtures("acting")
def test_places_that_cannot_be_are_refused(run, place, code):
    assert code == run("register", "faces", place)[0]


def test_nothing_below_the_prefix_is_not_found(run, client):
    assert 10 == run("register", "faces", f"s3://{client.access.bucket}/nothing")[0]


@pytest.mark.parametrize("other", ["s3a", "s3n"])
def test_other_names_of_a_bucket_are_the_same_place(run, client, other):
    place = place_of(client)
    run("register", "faces", place)
    code, again = run("register", "faces", place.replace("s3", other, 1) + "/")
    assert (0, False, place) == (code, again["created"], again["location"])

    inside = place.replace("s3", other, 1) + "/out"
    code, decided = run("gate", "--input", "faces@1", "--output", inside)
    check = next(one for one in decided["checks"] if one["name"] == "output place")
    assert (False, "DG303") == (check["ok"], check["code"])


@pytest.mark.parametrize("words", [["--seal", "mode"], ["--chunks"]])
def test_what_only_files_have_is_refused(run, client, words):
    assert 2 == run("register", "faces", place_of(client), *words)[0]


def test_flags_of_buckets_are_refused_for_directories(run, tmp_path):
    assert 2 == run("register", "faces", str(tmp_path), "--anonymous")[0]


def test_dry_run_records_nothing(run, client):
    code, result = run("register", "faces", place_of(client), "-n")

    assert (0, True, 3) == (code, result["dry_run"], result["hashed"])
    assert 10 == run("show", "faces")[0]
