"""Areas: the deepest decides, every alias counts, patterns allow."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.areas import (
    area_of,
    check_output_place,
    default_place,
    named_places,
    settle,
)
from dataguard.model.area import Area, Role
from dataguard.model.finding import Code
from dataguard.model.placement import Places
from support.gatefacts import ALICE, FACES, output, policy

PARTS = st.lists(st.sampled_from("abc"), max_size=4)
PATHS = PARTS.map(lambda parts: "/" + "/".join(parts))
AREAS = st.lists(st.builds(Area, PATHS, st.sampled_from(Role), st.just("")), max_size=8)
HERE = Places(ALICE, (FACES,))


def code_of(place, rules, places=HERE, datasets=("faces",)):
    return check_output_place(place, rules, places, datasets).code


def naive_area(path, areas):
    while True:
        here = [area for area in areas if area.place == path]
        if here or path == "/":
            return next((a for a in here if a.role is Role.GOLD), here[0] if here else None)
        path = posixpath.dirname(path)


@given(PATHS, AREAS)
def test_area_is_the_first_one_found_going_up(path, areas):
    expected, found = naive_area(path, areas), area_of(path, areas)

    assert (expected is None) is (found is None)
    if expected is not None and found is not None:
        assert expected.place == found.place
        assert (expected.role is Role.GOLD) is (found.role is Role.GOLD)


@given(AREAS, AREAS, PATHS)
def test_claimed_areas_open_nothing_that_is_gold_without_them(granted, claimed, path):
    gold = [area for area in claimed if area.role is Role.GOLD]
    before = area_of(path, [*granted, *gold])

    after = area_of(path, settle(tuple(granted), claimed))

    if before is not None and before.role is Role.GOLD:
        assert after == before


def test_url_areas_hold_keys_below_their_prefix():
    bucket = Area("s3://bucket/gold", Role.GOLD, "")

    assert area_of("s3://bucket/gold/a", [bucket]) == bucket
    assert area_of("s3://bucket/golden", [bucket]) is None


def test_any_place_outside_gold_is_open_where_no_pattern_is_given():
    assert code_of(output("/anywhere"), policy()) is None


@pytest.mark.parametrize("alias", ["/gold/faces", "/gold/faces/deep/er"])
def test_any_alias_inside_gold_closes_a_place(alias):
    assert code_of(output("/tmp/x", "/tmp/x", alias), policy()) is Code.DG303


def test_output_area_of_the_base_policy_opens_a_place_inside_gold():
    rules = policy(areas={"gold": ["/gold"], "output": ["/gold/faces/derived"]})

    assert code_of(output("/gold/faces/derived/x"), rules) is None
    assert code_of(output("/gold/faces/x"), rules) is Code.DG303


def test_output_area_of_a_later_table_opens_nothing():
    rules = policy(areas=[{}, {"gold": ["/team"], "output": ["/team/out", "/gold/faces/out"]}])

    assert code_of(output("/gold/faces/out"), rules) is Code.DG303
    assert code_of(output("/team/out/x"), rules) is None
    assert code_of(output("/team/x"), rules) is Code.DG303


def test_outputs_place_of_a_workspace_opens_nothing_inside_gold():
    claimed = Area("/gold/faces/out", Role.OUTPUT, "the outputs of /work")
    places = Places(ALICE, (FACES, claimed))

    assert code_of(output("/gold/faces/out/x"), policy(), places) is Code.DG303


def test_gold_area_counts_under_its_other_paths():
    rules = policy(areas={"gold": ["/data/{user}"]})
    places = Places(ALICE, (), {"/data/alice": ("/lustre/7/alice",)})

    assert "/data/alice" in named_places(rules, ALICE)
    assert code_of(output("/lustre/7/alice/x"), rules, places) is Code.DG303


def test_reason_names_the_place_and_the_area_that_closes_it():
    placement = check_output_place(output("/gold/faces/x"), policy(), HERE, ())

    assert placement.area == FACES
    assert placement.reason == (
        "`/gold/faces/x` is inside gold: `/gold/faces` is the location of faces@3"
    )


@pytest.mark.parametrize(
    ("pattern", "place", "allowed"),
    [
        ("/scratch/{user}/{dataset}", "/scratch/alice/faces", True),
        ("/scratch/{user}/{dataset}", "/scratch/alice/faces/runs/7", True),
        ("/scratch/{user}/{dataset}", "/scratch/alice/faces2", False),
        ("/scratch/{user}/{dataset}", "/scratch/alice", False),
        ("/scratch/{user}", "/scratch/bob/x", False),
        ("{home}/out", "/home/alice/out/a\nb", True),
        ("{home}/out", "/home/bob/out", False),
        ("/projects/*/out", "/projects/p1/out", True),
        ("/projects/*/out", "/projects/p1/deeper/out", False),
        ("s3://bucket/out/{user}", "s3://bucket/out/alice/x", True),
        ("/a.b", "/aXb", False),
        ("/", "/anything", True),
    ],
)
def test_pattern_allows_places_at_and_below_it(pattern, place, allowed):
    rules = policy(outputs={"allowed": [pattern]})

    assert code_of(output(place), rules) is (None if allowed else Code.DG504)


def test_dataset_in_a_pattern_is_any_name_where_no_input_is_known():
    rules = policy(outputs={"allowed": ["/scratch/{user}/{dataset}"]})

    assert code_of(output("/scratch/alice/vision/faces"), rules, datasets=()) is None
    assert code_of(output("/scratch/alice"), rules, datasets=()) is Code.DG504


def test_head_of_a_pattern_counts_under_its_other_paths():
    rules = policy(outputs={"allowed": ["/scratch/{user}"]})
    places = Places(ALICE, (), {"/scratch": ("/lustre/scratch",)})

    assert named_places(rules, ALICE) == ("/scratch",)
    assert code_of(output("/lustre/scratch/alice/x"), rules, places) is None
    assert code_of(output("/lustre/scratch/bob/x"), rules, places) is Code.DG504


def test_every_list_of_patterns_must_allow_the_place():
    rules = policy(outputs={"allowed": [["/scratch"], ["/scratch/alice", "/home/alice"]]})

    assert code_of(output("/scratch/alice"), rules) is None
    assert code_of(output("/scratch/bob"), rules) is Code.DG504
    assert code_of(output("/home/alice"), rules) is Code.DG504


def test_default_place_names_person_and_dataset():
    rules = policy(outputs={"default": "{home}/outputs/{user}/{dataset}"})

    assert default_place(rules, ALICE, "vision/faces") == "/home/alice/outputs/alice/vision/faces"
    assert default_place(policy(), ALICE, "faces") is None
