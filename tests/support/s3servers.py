"""Object servers on the loopback device, the people who use them, and buckets for one test.

Two are pip-installed and start within a second or two: MiniStack (the AWS dialect, with IAM and
SQS) and SeaweedFS (a real store). Either starts when the first test asks for it and ends with the
session, by process group and, should the session be killed, by the kernel.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from support.warmcommands import Shell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "LOOPBACK",
    "REGION",
    "ObjectServer",
    "ObjectUser",
    "answers",
    "bucket",
    "free_ports",
    "make_bucket",
    "ministack",
    "objectserver",
    "private_cloud",
    "seaweedfs",
    "server_process",
    "why_no_server",
]

REGION = "us-east-1"
LOOPBACK = "127.0.0.1"
_ACCOUNT = "000000000000"  # both servers put their users here
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

_LOOK = ["s3:GetObject*", "s3:GetBucket*", "s3:List*"]


@dataclass(frozen=True, slots=True)
class ObjectUser:
    """Somebody with keys; `arn` is how bucket policies of that server call them."""

    name: str
    access_key: str
    secret_key: str
    arn: str


@dataclass(frozen=True, slots=True)
class ObjectServer:
    """A server that answers at `endpoint`; `lacks` gives a reason for what it cannot do.

    `admin` may do everything. `registrar` and `trainer` may do everything with objects and look at
    how buckets are set up, as far as no bucket policy denies it; `reader` may list and get.
    """

    name: str
    endpoint: str
    pid: int
    admin: ObjectUser
    registrar: ObjectUser
    trainer: ObjectUser
    reader: ObjectUser
    lacks: Mapping[str, str]

    def needs(self, capability: str) -> None:
        """Skip the test, with the reason, where the server lacks this."""
        if capability in self.lacks:
            pytest.skip(f"{self.name}: {self.lacks[capability]}")

    def environment(self, user: ObjectUser | None = None, endpoint: str = "") -> dict[str, str]:
        """Variables that make any program this user's; `endpoint` names a proxy before it."""
        who = user or self.registrar
        return {
            "AWS_ACCESS_KEY_ID": who.access_key,
            "AWS_SECRET_ACCESS_KEY": who.secret_key,
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }

    def shell(
        self,
        home: Path,
        user: ObjectUser | None = None,
        endpoint: str = "",
        *,
        directory: str = "/",
        **variables: str,
    ) -> Shell:
        """Return where commands are given as this user."""
        environment = {**self.environment(user, endpoint), **variables}
        return Shell(str(home), directory, environment=tuple(environment.items()))

    @contextlib.contextmanager
    def acting(self, user: ObjectUser | None = None, endpoint: str = "") -> Iterator[None]:
        """Let this process and the commands that it starts be this user."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment(user, endpoint).items():
                patch.setenv(name, value)
            yield

    @contextlib.contextmanager
    def client(
        self, user: ObjectUser | None = None, service: str = "s3", endpoint: str = "", **config: Any
    ) -> Iterator[Any]:
        """A client of botocore for this user that looks at nothing in the environment."""
        client = _client(endpoint or self.endpoint, user or self.registrar, service, **config)
        try:
            yield client
        finally:
            client.close()


def why_no_server(name: str) -> str:
    """Return why this server cannot be started here; empty where it can."""
    command = {"ministack": "ministack", "seaweedfs": "weed"}[name]
    return "" if _program(command) else f"{command} is not installed: pip install 'dataguard[dev]'"


@pytest.fixture(scope="session", autouse=True)
def private_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep every test away from the credentials, endpoints and proxies of whoever runs it."""
    nowhere = tmp_path_factory.mktemp("cloud")
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("AWS_", "FSSPEC_", "BOTO_")):
                patch.delenv(name)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nowhere / "credentials"))
        patch.setenv("AWS_CONFIG_FILE", str(nowhere / "config"))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("FSSPEC_CONFIG_DIR", str(nowhere))
        for name in ("no_proxy", "NO_PROXY"):
            patch.setenv(name, ",".join(filter(None, (os.environ.get(name), LOOPBACK))))
        loaded = sys.modules.get("fsspec.config")  # it has read its files when it was imported
        if loaded is not None:
            patch.setattr(loaded, "conf", {})
        yield


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """MiniStack, with IAM enforced."""
    with _started("ministack", tmp_path_factory, _ministack_command, _ministack_users) as server:
        yield server


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """SeaweedFS, all of it in one process."""
    with (
        _started("seaweedfs", tmp_path_factory, _weed_command, _weed_users) as server,
        _spares(server),
    ):
        yield server


@pytest.fixture(params=["ministack", "seaweedfs"])
def objectserver(request: pytest.FixtureRequest) -> ObjectServer:
    """Each server in turn."""
    server: ObjectServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def make_bucket() -> Iterator[Callable[..., str]]:
    """Make empty buckets that are gone after the test: `make_bucket(server, versioned=True)`."""
    with contextlib.ExitStack() as undo:

        def make(server: ObjectServer, *, versioned: bool = True, locked: bool = False) -> str:
            spare = _SPARES.get(server.endpoint) if versioned and not locked else None
            client = undo.enter_context(server.client(server.admin))
            name = spare() if spare else _new_bucket(client, versioned=versioned, locked=locked)
            if server.name != "ministack":  # there it is a little memory, and slow to remove
                undo.callback(_remove_bucket, client, name)
            return name

        yield make


@pytest.fixture
def bucket(objectserver: ObjectServer, make_bucket: Callable[..., str]) -> str:
    """An empty versioned bucket on each server in turn."""
    return make_bucket(objectserver)


def _new_bucket(client: Any, *, versioned: bool, locked: bool = False) -> str:
    name = f"gold-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=locked)
    if versioned and not locked:
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


# Functions that hand out new buckets at once, by endpoint.
_SPARES: dict[str, Callable[[], str]] = {}


@contextlib.contextmanager
def _spares(server: ObjectServer) -> Iterator[None]:
    """Make versioned buckets ahead: the first object in each waits a fifth of a second here."""

    def warm() -> str:
        name = _new_bucket(client, versioned=True)
        version = client.put_object(Bucket=name, Key="warm", Body=b"warm")["VersionId"]
        client.delete_object(Bucket=name, Key="warm", VersionId=version)
        return name

    def take() -> str:
        ahead.append(workers.submit(warm))
        return ahead.popleft().result()

    with server.client(server.admin) as client, ThreadPoolExecutor(2) as workers:
        ahead = deque(workers.submit(warm) for _ in range(4))
        _SPARES[server.endpoint] = take
        try:
            yield
        finally:
            del _SPARES[server.endpoint]
            for future in ahead:
                future.cancel()


def _remove_bucket(client: Any, name: str) -> None:
    """Remove a bucket with all versions; what a lock or a policy holds stays until the end."""
    with contextlib.suppress(client.exceptions.ClientError):
        client.delete_bucket_policy(Bucket=name)
        for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
            rows = (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
            wanted = [{"Key": row["Key"], "VersionId": row["VersionId"]} for row in rows]
            if wanted:
                client.delete_objects(
                    Bucket=name,
                    Delete={"Objects": wanted, "Quiet": True},
                    BypassGovernanceRetention=True,
                )
        client.delete_bucket(Bucket=name)


# --- starting and ending ------------------------------------------------------------------------


@contextlib.contextmanager
def _started(
    name: str,
    places: pytest.TempPathFactory,
    command: Callable[[Path, _Admin], _Command],
    people: Callable[[ObjectServer], ObjectServer],
) -> Iterator[ObjectServer]:
    reason = why_no_server(name)
    if reason:
        pytest.skip(reason)
    place = places.mktemp(name)
    with contextlib.ExitStack() as undo:
        undo.callback(shutil.rmtree, place, ignore_errors=True)
        for attempt in range(3):  # a free port may be taken before the server is there
            with contextlib.ExitStack() as one:
                server = one.enter_context(_running(name, place / str(attempt), command))
                if server is not None:
                    server = people(server)
                    undo.push(one.pop_all())
                    break
        else:
            log = (place / "2" / "log").read_text(errors="replace")
            pytest.fail(f"{name} does not start:\n{log[-2000:]}")
        yield server


@dataclass(frozen=True, slots=True)
class _Admin:
    """Keys made up for one session."""

    access_key: str
    secret_key: str


@dataclass(frozen=True, slots=True)
class _Command:
    words: Sequence[str]
    environment: Mapping[str, str]
    endpoint: str
    litter: Sequence[str] = ()  # files outside its place that it leaves behind


@contextlib.contextmanager
def _running(
    name: str, place: Path, command: Callable[[Path, _Admin], _Command]
) -> Iterator[ObjectServer | None]:
    """Start a server in a process group of its own; None where it ended or never answered."""
    place.mkdir()
    keys = _Admin(f"{name}admin", uuid.uuid4().hex)
    start = command(place, keys)
    try:
        with server_process(start.words, place, "log", start.environment) as process:
            server = _server(name, start.endpoint, process.pid, keys)
            yield server if answers(process, server) else None
    finally:
        for path in start.litter:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


@contextlib.contextmanager
def server_process(
    words: Sequence[str], place: Path, log: str, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in a process group of its own until the block ends, or this process does."""
    with open(place / log, "wb") as file:
        process = subprocess.Popen(
            words,
            env={"PATH": os.environ["PATH"], "HOME": str(place), "TMPDIR": str(place)}
            | dict(environment),
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - one system call, which takes no lock
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def answers(process: subprocess.Popen[bytes], server: ObjectServer) -> bool:
    """Wait until an object can be written: an open port is not enough."""
    import botocore.exceptions

    bucket, end = f"ready-{uuid.uuid4().hex[:8]}", time.monotonic() + 60
    with server.client(server.admin, retries={"max_attempts": 0}, read_timeout=10) as client:
        while process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(
                botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError
            ):
                client.create_bucket(Bucket=bucket)
                client.put_object(Bucket=bucket, Key="ready", Body=b"ready")
                client.delete_object(Bucket=bucket, Key="ready")
                client.delete_bucket(Bucket=bucket)
                return True
            time.sleep(0.05)
            bucket = f"ready-{uuid.uuid4().hex[:8]}"
    return False


def _program(name: str) -> str | None:
    beside = os.path.join(os.path.dirname(sys.executable), name)
    return beside if os.access(beside, os.X_OK) else shutil.which(name)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    with contextlib.ExitStack() as held:
        found = []
        for _ in range(count):
            sock = held.enter_context(socket.socket())
            sock.bind((LOOPBACK, 0))
            found.append(int(sock.getsockname()[1]))
        return found


def _client(endpoint: str, user: ObjectUser, service: str, **config: Any) -> Any:
    import botocore.config

    return _session().create_client(
        service,
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id=user.access_key,
        aws_secret_access_key=user.secret_key,
        config=botocore.config.Config(s3={"addressing_style": "path"}, proxies={}, **config),
    )


@functools.cache
def _session() -> Any:
    """One for all clients, as each would parse anew what botocore knows; it has no profile."""
    import botocore.session

    return botocore.session.Session(session_vars={"profile": (None, None, None, None)})


def _server(name: str, endpoint: str, pid: int, keys: _Admin) -> ObjectServer:
    admin = ObjectUser(
        name="admin",
        access_key=keys.access_key,
        secret_key=keys.secret_key,
        arn=f"arn:aws:iam::{_ACCOUNT}:{'root' if name == 'ministack' else 'user/admin'}",
    )
    return ObjectServer(
        name=name,
        endpoint=endpoint,
        pid=pid,
        admin=admin,
        registrar=_user("registrar"),
        trainer=_user("trainer"),
        reader=_user("reader"),
        lacks=_LACKS[name],
    )


def _user(name: str, access_key: str = "", secret_key: str = "") -> ObjectUser:
    arn = f"arn:aws:iam::{_ACCOUNT}:user/{name}"
    return ObjectUser(name, access_key or f"{name}key", secret_key or f"{name}secret", arn)


# What the servers of the pinned versions cannot do, as tests/objects/test_conformance*.py found.
_LACKS: Mapping[str, Mapping[str, str]] = {
    "ministack": {
        "versioning held by locks": "suspends versioning of buckets with a lock",
        "denials row by row": "refuses a request for many deletes as a whole",
        "ranges of versions": "sends all of a version whatever range was asked for",
        "pages of null versions": "begins pages of unversioned buckets with the last key again",
    },
    "seaweedfs": {
        "checksum types": "does not say what the checksum of an object covers",
        "checksums in attributes": "GetObjectAttributes has no checksums",
        "literal paths": "takes `a//b` and `a\\b` for `a/b`, and refuses `.` and `..`",
        "bytes in directories": "drops the bytes of keys that end with a slash",
        "complete pages": "walks directories, so pages lose keys that sort beside their names",
    },
}


# --- MiniStack ----------------------------------------------------------------------------------


def _ministack_command(place: Path, keys: _Admin) -> _Command:
    (port,) = free_ports(1)
    program = _program("ministack")
    assert program is not None
    environment = {
        "AUTH": "true",  # without it nothing that IAM or a bucket policy says is enforced
        "BIND_HOST": LOOPBACK,
        "GATEWAY_PORT": str(port),
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "S3_DATA_DIR": str(place / "s3"),
        "IOT_MTLS_ENABLED": "0",  # a listener of its own, on every interface
        "SFTP_ENABLED": "0",
        # At its start and end it stops containers that it takes for its own.
        "DOCKER_HOST": f"unix://{place}/no-docker.sock",
    }
    return _Command([program], environment, f"http://{LOOPBACK}:{port}")


def _ministack_users(server: ObjectServer) -> ObjectServer:
    """Make the users; the server makes up their keys."""
    with server.client(server.admin, "iam") as iam:
        return replace(
            server,
            registrar=_ministack_user(iam, "registrar", ["s3:*"]),
            trainer=_ministack_user(iam, "trainer", ["s3:*"]),
            reader=_ministack_user(iam, "reader", _LOOK),
        )


def _ministack_user(iam: Any, name: str, actions: Sequence[str]) -> ObjectUser:
    allowed = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="work", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return _user(name, key["AccessKeyId"], key["SecretAccessKey"])


# --- SeaweedFS ----------------------------------------------------------------------------------


def _weed_command(place: Path, keys: _Admin) -> _Command:
    master, master_rpc, volume, volume_rpc, filer, filer_rpc, s3, s3_rpc, admin, admin_rpc = (
        free_ports(10)
    )
    (place / "data").mkdir()
    (place / "s3.json").write_text(json.dumps({"identities": _weed_identities(keys)}))
    program = _program("weed")
    assert program is not None
    words = [
        *(program, "-logtostderr=true", "mini", f"-dir={place}/data"),
        *(f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}", f"-metricsIp={LOOPBACK}"),
        *(f"-master.port={master}", f"-master.port.grpc={master_rpc}"),
        *(f"-volume.port={volume}", f"-volume.port.grpc={volume_rpc}"),
        *(f"-filer.port={filer}", f"-filer.port.grpc={filer_rpc}"),
        *(f"-s3.port={s3}", f"-s3.port.grpc={s3_rpc}"),
        *(f"-admin.port={admin}", f"-admin.port.grpc={admin_rpc}"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false"),
        *(f"-s3.localSocket={place}/s3.sock", f"-filer.localSocket={place}/filer.sock"),
        "-master.telemetry=false",
        # Every bucket has volumes of its own: of the default size they would fill the disk.
        *("-master.volumeSizeLimitMB=64", "-volume.max=400"),
        f"-s3.config={place}/s3.json",
    ]
    sockets = (("master", master_rpc), ("volume", volume_rpc), ("filer", filer_rpc))
    sockets += (("s3", s3_rpc), ("admin", admin_rpc))
    litter = [f"/tmp/seaweedfs-{part}-grpc-{port}.sock" for part, port in sockets]
    # One new volume for each bucket where it would make seven: their number is limited.
    growth = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
    return _Command(words, growth, f"http://{LOOPBACK}:{s3}", litter)


def _weed_users(server: ObjectServer) -> ObjectServer:
    """They are in the configuration that it was started with."""
    return server


def _weed_identities(keys: _Admin) -> list[dict[str, object]]:
    admin = ObjectUser("admin", keys.access_key, keys.secret_key, "")
    look = ["Read", "List", "GetObjectRetention", "GetObjectLegalHold"]
    look += ["GetBucketObjectLockConfiguration"]
    write = ["Write", "Tagging"]
    people = (
        (admin, ["Admin", *write, *look]),
        (_user("registrar"), [*write, *look, "PutObjectRetention", "PutObjectLegalHold"]),
        (_user("trainer"), [*write, *look]),
        (_user("reader"), look),
    )
    return [
        {
            "name": user.name,
            "credentials": [{"accessKey": user.access_key, "secretKey": user.secret_key}],
            "actions": actions,
        }
        for user, actions in people
    ]
