"""Runs: one execution of a job with its inputs, outputs, decision and result."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from dataguard.model.actor import Actor, Process

__all__ = ["Run", "RunInput", "RunOutput", "RunState"]


class RunState(StrEnum):
    """How far a run got."""

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    TAINTED = "tainted"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class RunInput:
    """A version a run read.

    `root` is the digest before the job. `before` and `after` say what the verification found:
    `verified`, `changed`, `unchecked` or `not checked`.
    """

    dataset: str
    version: int
    root: str
    location: str
    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class RunOutput:
    """One file a run wrote; `path` is relative to the run's outputs directory.

    One that is an object has the `url` of its key, and what tells it from what may be there later.
    """

    path: bytes
    size: int
    digest: str
    url: str | None = None
    version_id: str | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """The record of a run.

    `outputs` is the run's own directory, or `s3://bucket/prefix/runs/ID`; `output_root` the root
    digest of what it held at the end, over `output_files` files and `output_bytes` bytes.
    `code_revision` is the git commit of the directory the job ran in (`+dirty` where it had
    changes), `environment_digest` the SHA-256 of the sorted environment. `exit_code` is the job's
    own.
    """

    id: str
    state: RunState
    command: tuple[str, ...]
    directory: str
    workspace: str | None
    outputs: str
    inputs: tuple[RunInput, ...]
    actor: Actor
    process: Process
    started: datetime
    finished: datetime | None = None
    exit_code: int | None = None
    code_revision: str | None = None
    environment_digest: str | None = None
    output_root: str | None = None
    output_files: int | None = None
    output_bytes: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
