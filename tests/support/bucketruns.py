"""Runs whose outputs go to a bucket: commands in processes of their own, and what is there."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from support.s3servers import ObjectServer, ObjectUser
    from support.warmcommands import Running

__all__ = ["BucketRuns"]


class BucketRuns:
    """A home, a dataset on a disk, and a bucket for outputs."""

    def __init__(self, top: Path, server: ObjectServer, bucket: str) -> None:
        self.top, self.server, self.bucket = top, server, bucket
        self.home = str(top / "home")
        self.place = f"s3://{bucket}/out"
        gold = top / "gold"
        gold.mkdir()
        (gold / "a").write_bytes(b"hello\n")
        self.ask("register", "faces", str(gold))

    def start(
        self, *words: str, user: ObjectUser | None = None, endpoint: str = "", **variables: str
    ) -> Running:
        """Start one command as a user of the store."""
        at = words.index("--") if "--" in words else len(words)
        who = user or self.server.trainer
        shell = self.server.shell(self.home, who, endpoint, directory=str(self.top), **variables)
        return shell.start(*words[:at], "--format", "json", *words[at:])

    def ask(self, *words: str, code: int = 0, **options: Any) -> Any:
        """Run one command; return its object, or that of its error."""
        done = self.start(*words, **options).outcome()
        assert code == done.code, done
        return done.said

    def run(self, script: str, *words: str, code: int = 0, **options: Any) -> Any:
        """Run a shell script as a job whose outputs go to the bucket."""
        words = ("run", "--input", "faces@1", "--output", self.place, *words)
        return self.ask(*words, "--", "sh", "-c", script, code=code, **options)

    def objects(self, below: str = "out/") -> dict[str, bytes]:
        """Return what is in the bucket."""
        with self.server.client(self.server.admin) as s3:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=below)
            keys = [row["Key"] for page in pages for row in page.get("Contents", ())]
            return {key: s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}

    def record(self, run: str) -> Any:
        """Return the record of a run in the bucket."""
        with self.server.client(self.server.admin) as s3:
            key = f"out/runs/{run}/run.json"
            return json.load(s3.get_object(Bucket=self.bucket, Key=key)["Body"])

    def uploads(self) -> list[str]:
        """Return the keys of uploads that nobody completed or aborted."""
        with self.server.client(self.server.admin) as s3:
            found = s3.list_multipart_uploads(Bucket=self.bucket)
            return [row["Key"] for row in found.get("Uploads", ())]

    def staged(self) -> list[str]:
        """Return the runs whose files wait on this host."""
        place = f"{self.home}/state/outputs-{os.getuid()}/runs"
        return sorted(os.listdir(place)) if os.path.isdir(place) else []
