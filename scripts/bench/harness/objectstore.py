"""A store of objects on the loopback device, filled once, whose own CPU time is measured too."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dataguard.errors import DataguardError
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.objectrequest import Request
from dataguard.stores.s3access import Access
from harness.running import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.running import Command, Run

__all__ = ["Server", "seaweedfs"]

KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "benchsecret"}
REGION = {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
PORTS = ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3", "s3.grpc")
MORE_PORTS = ("admin", "admin.grpc")
OFF = ("s3.port.iceberg=0", "s3.port.lance=0", "webdav=false", "admin.ui=false")
ENABLED = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
START_S = 60
FILLING = 16
"""Requests under way while a bucket is filled."""


@dataclass(slots=True)
class Server:
    """A running store. `cpu_s` has what it spent while each command ran, by the words of it."""

    endpoint: str
    pid: int
    cpu_s: dict[tuple[str, ...], list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def variables(self) -> dict[str, str]:
        """Variables with which any client finds the store."""
        return {**KEYS, **REGION, "AWS_ENDPOINT_URL": self.endpoint}

    def fill(self, bucket: str, count: int, size: int) -> None:
        """Make a versioned bucket with so many objects below `gold/`, all different."""
        body = os.urandom(size)
        puts = (
            Request(
                "PUT", b"gold/%03d/%06d" % (n % 100, n), body=(b"%010d" % n + body)[: max(size, 10)]
            )
            for n in range(count)
        )
        with contextlib.closing(ObjectClient(Access(bucket, self.endpoint))) as client:
            client.text(Request("PUT"))
            client.text(Request("PUT", query=(("versioning", ""),), body=ENABLED))
            for reply in client.ask_many(puts, FILLING):
                client.whole(reply)

    def measure(self, command: Command) -> Run:
        """Run a command; what the store spent meanwhile is noted, and no disturbance."""
        before = self._spent()
        taken = run(command)
        spent = self._spent() - before
        self.cpu_s[command.words].append(spent)
        return replace(taken, others_s=max(taken.others_s - spent, 0.0))

    def _spent(self) -> float:
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime, stime


@contextlib.contextmanager
def seaweedfs(program: str, work: Path) -> Iterator[Server]:
    """Start SeaweedFS, and have this process reach it; it ends with the block.

    Raises:
        SystemExit: it does not start.
    """
    ports = dict(zip((*PORTS, *MORE_PORTS), free_ports(len(PORTS + MORE_PORTS)), strict=True))
    server = Server(f"http://127.0.0.1:{ports['s3']}", 0)
    with (
        contextlib.ExitStack() as stack,
        open(work / "weed.log", "wb") as log,
    ):
        process = subprocess.Popen(command(program, work, ports), stdout=log, stderr=log, cwd=work)
        stack.callback(process.wait)
        stack.callback(process.kill)
        server.pid = process.pid
        before = {name: os.environ.get(name) for name in server.variables}
        stack.callback(restore, before)
        os.environ |= server.variables
        wait_for(server, process)
        yield server


def command(program: str, work: Path, ports: dict[str, int]) -> list[str]:
    """Return how it is started: on the loopback device alone, one user, small volumes."""
    who = {"accessKey": KEYS["AWS_ACCESS_KEY_ID"], "secretKey": KEYS["AWS_SECRET_ACCESS_KEY"]}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {"name": "bench", "credentials": [who], "actions": actions}
    (work / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (work / "weed").mkdir()
    options = [f"{name.replace('.grpc', '')}.port" for name in ports]
    numbers = [
        f"-{option}{'.grpc' if '.grpc' in name else ''}={port}"
        for option, (name, port) in zip(options, ports.items(), strict=True)
    ]
    sockets = [f"-s3.localSocket={work}/s3.sock", f"-filer.localSocket={work}/filer.sock"]
    place = [f"-dir={work}/weed", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-metricsIp=127.0.0.1"]
    volumes = ["-master.volumeSizeLimitMB=64", "-volume.max=400", "-master.telemetry=false"]
    off = [f"-{one}" for one in OFF]
    config = [f"-s3.config={work}/s3.json"]
    return [
        program,
        "-logtostderr=true",
        "mini",
        *place,
        *numbers,
        *sockets,
        *volumes,
        *off,
        *config,
    ]


def wait_for(server: Server, process: subprocess.Popen[bytes]) -> None:
    """Wait until an object can be written: an open port is not enough."""
    end = time.monotonic() + START_S
    with contextlib.closing(ObjectClient(Access("ready", server.endpoint))) as client:
        while process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(DataguardError):
                client.send(Request("PUT")).close()
                client.put(b"ready", b"ready")
                return
            time.sleep(0.1)
    raise SystemExit("SeaweedFS does not start")


def restore(variables: dict[str, str | None]) -> None:
    """Put variables back."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    with contextlib.ExitStack() as held:
        found = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in found]
