"""`copies --tables` as users give it: tables of gold in every format and order."""

from __future__ import annotations

import gzip
import json
import os
import random

import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

COUNT = 3_000


def make(count=COUNT, seed=1):
    chance = random.Random(seed)
    return pa.table(
        {
            "id": list(range(count)),
            "score": pa.array([chance.gauss(0, 1) for _ in range(count)], pa.float32()),
            "label": [chance.choice(["cat", "dog", None]) for _ in range(count)],
            "text": [f'said "{chance.randrange(10**9)}", and\nleft' for _ in range(count)],
            "at": pa.array([chance.randrange(2 * 10**9) for _ in range(count)], pa.timestamp("s")),
        }
    )


def shuffled(table, seed=2):
    order = list(range(table.num_rows))
    random.Random(seed).shuffle(order)
    names = random.Random(seed).sample(table.schema.names, table.num_columns)
    return table.take(pa.array(order)).select(names)


def json_lines(table):
    rows = table.to_pylist()
    text = "".join(json.dumps(row, default=str) + "\n" for row in rows)
    return text.encode()


@pytest.fixture
def tables(world):
    """faces@1 with a table in Parquet and one that is another, and an empty place."""
    pq.write_table(make(), world.gold / "train.parquet")
    pq.write_table(make(200, 9), world.gold / "other.parquet")
    world.register()
    mine = world.top / "mine"
    mine.mkdir()
    return world, mine


def by_name(found):
    return {os.path.basename(one["path"]): one for one in found["copies"]}


def test_a_table_is_found_in_every_format_and_order(tables):
    world, mine = tables
    for codec in ("snappy", "zstd", "gzip"):
        pq.write_table(shuffled(make()), mine / f"a-{codec}", compression=codec)
    pyarrow.feather.write_feather(shuffled(make()), mine / "feather")
    pyarrow.orc.write_table(shuffled(make()), mine / "orc")
    csv.write_csv(shuffled(make()), mine / "text")
    options = csv.WriteOptions(delimiter="\t")
    csv.write_csv(make(), mine / "tabs", write_options=options)
    (mine / "lines").write_bytes(json_lines(shuffled(make())))
    (mine / "packed").write_bytes(gzip.compress(json_lines(make())))
    csv.write_csv(make(300, 5), mine / "foreign.csv")
    (mine / "prose").write_text("Once, there was text.\nIt had, now and then, a comma.\n" * 50)
    assert {} == by_name(world.ask_json("copies", str(mine)))
    result = world.ask_json("copies", str(mine), "--tables", code=3)
    found = by_name(result)
    expected = {"a-snappy", "a-zstd", "a-gzip", "feather", "orc", "text", "tabs", "lines", "packed"}
    assert (expected, []) == (set(found), result["unreadable"])
    assert {"table"} == {one["kind"] for one in found.values()}
    assert {str(world.gold / "train.parquet")} == {one["original"] for one in found.values()}
    assert {("same", "probable")} == {
        (one["evidence"]["relation"], one["evidence"]["confidence"]) for one in found.values()
    }
    assert {"DG204"} == {one["code"] for one in result["findings"]}
    assert {"a table with rows of faces@1 train.parquet"} == {
        one["message"] for one in result["findings"]
    }


def test_a_slice_is_told_with_its_shares_and_could_go(tables):
    world, mine = tables
    csv.write_csv(make().slice(500, 300), mine / "slice.csv")
    found = by_name(world.ask_json("copies", str(mine), "--tables", code=3))["slice.csv"]
    evidence = found["evidence"]
    assert ("slice", 300, COUNT) == (
        evidence["relation"],
        evidence["rows"],
        evidence["gold_rows"],
    )
    assert (1.0, 0.1) == (evidence["share"], evidence["gold_share"])
    assert (mine / "slice.csv").stat().st_size == found["bytes"]
    assert (mine / "slice.csv").stat().st_blocks * 512 == found["reclaimable"]


def test_one_row_of_an_evaluation_set_is_found_in_training_data(tables):
    world, mine = tables
    training = pa.concat_tables([make(2_000, 7), make().slice(77, 1)])
    (mine / "train.jsonl.gz").write_bytes(gzip.compress(json_lines(training)))
    assert {} == by_name(world.ask_json("copies", str(mine), "--tables"))
    found = world.ask_json("copies", "--of", "faces@1", str(mine), code=3)
    evidence = by_name(found)["train.jsonl.gz"]["evidence"]
    assert ([2_000], 1) == (evidence["examples"], evidence["matched_rows"])


def test_gold_is_read_once_and_again_where_what_is_kept_is_damaged(tables):
    world, mine = tables
    csv.write_csv(make(), mine / "text")
    world.ask_json("copies", str(mine), "--tables", code=3)
    (kept,) = (world.home / "state" / "index").glob("*.tables")
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-3] + b"xxx")
    world.ask_json("copies", str(mine), "--tables", code=3)
    assert whole == kept.read_bytes()
    for name in ("train.parquet", "other.parquet"):
        (world.gold / name).unlink()
    assert {"text"} == set(by_name(world.ask_json("copies", str(mine), "--tables", code=3)))


def test_gold_that_cannot_be_read_is_unchecked(tables):
    world, mine = tables
    (world.gold / "other.parquet").unlink()
    found = world.ask_json("copies", str(mine), "--tables", code=4)
    (gap,) = found["unreadable"]
    assert "tables of faces@1 were not looked for: 1 of its files" in gap["detail"]


def test_a_damaged_table_is_unchecked(tables):
    world, mine = tables
    content = (world.gold / "train.parquet").read_bytes()
    (mine / "cut.parquet").write_bytes(content[:-100])
    (mine / "text.csv").write_bytes(b"a,b\n1,2\n" * 5_000 + b"1,2,3\n")
    found = world.ask_json("copies", str(mine), "--tables", code=4)
    assert ["cut.parquet", "text.csv"] == sorted(
        os.path.basename(one["path"]) for one in found["unreadable"]
    )
