"""The smallest Ceph cluster: a monitor, a store in memory and a gateway, on the loopback device.

It stands for object stores of some years ago: versions and locks, but no checksums, no conditional
writes, and policies that are stored and not enforced. Debian has it:
`apt-get install --no-install-recommends radosgw ceph-mon ceph-osd ceph-common`; CI does not.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from support.s3servers import (
    LOOPBACK,
    ObjectServer,
    ObjectUser,
    answers,
    free_ports,
    server_process,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["ceph", "why_no_ceph"]

_PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")

_CONFIGURATION = """\
[global]
fsid={fsid}
mon initial members=a
mon host={monitors}
public addr={loopback}
cluster addr={loopback}
auth cluster required=none
auth service required=none
auth client required=none
keyring=/dev/null
osd pool default size=1
osd pool default min size=1
mon allow pool size one=true
osd crush chooseleaf type=0
osd pool default pg num=8
osd pool default pg autoscale mode=off
mon data={place}/mon
mon data avail crit=1
osd data={place}/osd
osd objectstore=memstore
memstore device bytes=2147483648
osd class load list=*
osd class default list=*
ms bind ipv6=false
admin socket={place}/run/$name.asok
pid file={place}/run/$name.pid
log file={place}/log/$name.log
run dir={place}/run
[client.rgw]
ms mon client mode=crc secure
rgw frontends=beast endpoint={loopback}:{gateway}
rgw data={place}/rgw
rgw dynamic resharding=false
"""

_LACKS = {
    "checksums": "ignores checksums and keeps none",
    "conditional writes": "ignores If-None-Match",
    "attributes": "answers GetObjectAttributes with the object",
}


def why_no_ceph() -> str:
    """Return why no cluster can be started here; empty where it can."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    return f"{missing[0]} is not installed" if missing else ""


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """A gateway whose users are its owner `admin` and others, who may what policies allow."""
    reason = why_no_ceph()
    if reason:
        pytest.skip(reason)
    place = tmp_path_factory.mktemp("ceph")
    try:
        with _cluster(place) as server:
            yield server
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def _cluster(place: Path) -> Iterator[ObjectServer]:
    second, first, gateway = free_ports(3)
    fsid, disk = str(uuid.uuid4()), str(uuid.uuid4())
    monitors = f"[v2:{LOOPBACK}:{second},v1:{LOOPBACK}:{first}]"
    for name in ("mon", "osd", "rgw", "run", "log"):
        (place / name).mkdir()
    text = _CONFIGURATION.format(
        fsid=fsid, monitors=monitors, loopback=LOOPBACK, gateway=gateway, place=place
    )
    (place / "ceph.conf").write_text(text)
    _tell(place, "monmaptool", "--create", "--fsid", fsid, "--addv", "a", monitors, "monmap")
    _tell(place, "ceph-mon", "--mkfs", "-i", "a", "--monmap", "monmap")
    with contextlib.ExitStack() as undo:
        _start(undo, place, "ceph-mon", "-f", "-i", "a")
        _tell(place, "ceph", "osd", "new", disk)
        # Without its own identity the disk waits to be let in for ever.
        _tell(place, "ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)
        _start(undo, place, "ceph-osd", "-f", "-i", "0")
        _wait_for_the_disk(place)
        process = _start(undo, place, "radosgw", "-f", "-n", "client.rgw")
        people = {name: _user(place, name) for name in ("admin", "registrar", "trainer", "reader")}
        endpoint = f"http://{LOOPBACK}:{gateway}"
        server = ObjectServer("ceph", endpoint, process.pid, lacks=_LACKS, **people)
        if not answers(process, server):
            pytest.fail("the gateway does not answer: see the log beside it")
        yield server


def _start(undo: contextlib.ExitStack, place: Path, *words: str) -> subprocess.Popen[bytes]:
    environment = {"CEPH_CONF": f"{place}/ceph.conf"}
    return undo.enter_context(server_process(words, place, f"{words[0]}.out", environment))


def _tell(place: Path, *words: str) -> str:
    done = subprocess.run(
        words,
        cwd=place,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "CEPH_CONF": f"{place}/ceph.conf"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{' '.join(words)}: {done.stderr[-2000:]}")
    return done.stdout


def _wait_for_the_disk(place: Path) -> None:
    end = time.monotonic() + 90
    while "1 up" not in _tell(place, "ceph", "osd", "stat"):
        if time.monotonic() > end:
            pytest.fail("the store of the cluster does not come up")
        time.sleep(0.2)


def _user(place: Path, name: str) -> ObjectUser:
    keys = (f"{name}key", uuid.uuid4().hex)
    _tell(
        place,
        *("radosgw-admin", "user", "create", f"--uid={name}", f"--display-name={name}"),
        *(f"--access-key={keys[0]}", f"--secret-key={keys[1]}"),
    )
    return ObjectUser(name, *keys, f"arn:aws:iam:::user/{name}")
