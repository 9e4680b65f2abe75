"""What a run left in its directory: hashed, into a manifest of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.columns import flag_column, kind_mask, raw_paths
from dataguard.core.kernels import kept
from dataguard.errors import NotFoundError, StoreUnreachableError, UsageError
from dataguard.model.dataclass import dataclass
from dataguard.model.digest import Algorithm, DigestPlan, RootDigest
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.run import RunOutput
from dataguard.stores.local import LocalStore
from dataguard.stores.rundirectory import MANIFEST, OWN_FILES

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from dataguard.actions.context import Context
    from dataguard.stores.rundirectory import RunDirectory

__all__ = ["Outputs", "collect_outputs"]


@dataclass(frozen=True, slots=True)
class Outputs:
    """The files of a run; `root` is None where something could not be read."""

    root: RootDigest | None
    files: tuple[RunOutput, ...]
    unreadable: tuple[Unreadable, ...]


def collect_outputs(ctx: Context, directory: RunDirectory, *, stays: bool = True) -> Outputs:
    """Hash what is in a run directory and, where that `stays`, put its manifest there."""
    plan = DigestPlan(Algorithm(ctx.settings.digest.value))
    if not directory.is_in_place():
        gone = Unreadable(b"", Obstacle.VANISHED, "the run's directory was moved or replaced")
        return Outputs(None, (), (gone,))
    store = LocalStore(directory.path, host=ctx.actor.host, spread=ctx.spread, exclude=OWN_FILES)
    files: list[RunOutput] = []
    unreadable: list[Unreadable] = []
    try:
        with ctx.manifests.draft(plan) as draft:
            for piece in store.scan(plan, read=True):
                files.extend(_files(piece.entries))
                unreadable.extend(piece.unreadable)
                if not unreadable:
                    draft.add(piece.entries)
            if unreadable:
                return Outputs(None, tuple(files), tuple(unreadable))
            root = draft.publish().root
    except (NotFoundError, UsageError, StoreUnreachableError) as err:
        return Outputs(None, (), (Unreadable(b"", Obstacle.VANISHED, err.message),))
    if not stays:
        return Outputs(root, tuple(files), tuple(unreadable))
    try:
        directory.write_manifest(ctx.manifests.manifest_path(root))
    except StoreUnreachableError as err:
        unreadable.append(Unreadable(MANIFEST.encode(), Obstacle.DENIED, err.message))
    return Outputs(root, tuple(files), tuple(unreadable))


def _files(entries: pa.RecordBatch) -> Iterator[RunOutput]:
    files = kept(entries, flag_column(bytes(kind_mask(entries, "f"))))
    columns = (raw_paths(files), files.column("size"), files.column("digest"))
    for path, size, digest in zip(*(column.to_pylist() for column in columns), strict=True):
        yield RunOutput(path, size, digest.hex())
