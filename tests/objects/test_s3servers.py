"""The servers of the tests themselves: who may do what, and that nothing of them is left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def refused(call, **arguments):
    import botocore.exceptions

    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(**arguments)
    return error.value.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize("name", ["admin", "registrar", "trainer"])
def test_writers_write_and_read_back(objectserver, bucket, name):
    with objectserver.client(getattr(objectserver, name)) as s3:
        s3.put_object(Bucket=bucket, Key="a", Body=b"bytes")
        assert b"bytes" == s3.get_object(Bucket=bucket, Key="a")["Body"].read()


def test_readers_list_and_get_but_write_nothing(objectserver, bucket):
    with objectserver.client() as s3:
        s3.put_object(Bucket=bucket, Key="a", Body=b"bytes")
    with objectserver.client(objectserver.reader) as s3:
        assert b"bytes" == s3.get_object(Bucket=bucket, Key="a")["Body"].read()
        assert ["a"] == [row["Key"] for row in s3.list_objects_v2(Bucket=bucket)["Contents"]]
        assert 403 == refused(s3.put_object, Bucket=bucket, Key="b", Body=b"")
        assert 403 == refused(s3.delete_object, Bucket=bucket, Key="a")


def test_wrong_secrets_get_nothing(objectserver, bucket):
    from dataclasses import replace

    stranger = replace(objectserver.registrar, secret_key="guessed")
    with objectserver.client(stranger) as s3:
        assert 403 == refused(s3.list_objects_v2, Bucket=bucket)


def test_commands_get_their_user_from_the_environment(objectserver, bucket):
    program = (
        "import boto3, sys; client = boto3.client('s3');"
        "client.put_object(Bucket=sys.argv[1], Key='from-a-command', Body=b'')"
    )
    environment = os.environ | objectserver.environment(objectserver.trainer)
    subprocess.run([sys.executable, "-c", program, bucket], env=environment, check=True)
    with objectserver.client() as s3:
        assert 0 == s3.head_object(Bucket=bucket, Key="from-a-command")["ContentLength"]


def test_this_process_is_whom_it_acts_for_and_nobody_else_afterwards(objectserver, bucket):
    import boto3
    import botocore.exceptions

    with objectserver.acting(objectserver.reader):
        client = boto3.session.Session().client("s3")
        assert 0 == client.list_objects_v2(Bucket=bucket)["KeyCount"]
        client.close()
    client = boto3.session.Session(region_name="us-east-1").client("s3")
    with pytest.raises(botocore.exceptions.NoCredentialsError):
        client.list_buckets()
    client.close()


def test_servers_listen_on_loopback_alone(objectserver):
    inodes = set()
    for link in Path(f"/proc/{objectserver.pid}/fd").iterdir():
        target = os.readlink(link)
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    listening = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                listening.add(fields[1].partition(":")[0])
    assert {"0100007F"} == listening


def test_nothing_of_a_killed_session_goes_on(tmp_path):
    program = (
        "import os, signal, sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from support import s3servers\n"
        "keys = s3servers._Admin('key', 'secret')\n"
        "place = Path(sys.argv[2]) / 'server'\n"
        "with s3servers._running('ministack', place, s3servers._ministack_command) as server:\n"
        "    print(server.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    if not (Path(sys.executable).parent / "ministack").exists():
        pytest.skip("ministack is not installed beside the interpreter")
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program, tests, str(tmp_path)], capture_output=True, check=False
    )
    from support.startedcommands import wait_for

    pid = int(done.stdout)
    wait_for(lambda: not Path(f"/proc/{pid}").exists() or "\nState:\tZ" in status(pid))


def status(pid):
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "\nState:\tZ"
