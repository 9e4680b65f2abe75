from __future__ import annotations

from itertools import product

import pytest

from dataguard.core.confinement import confinement_of, too_wide
from dataguard.model.confinement import Layer, Mode, Step

NAMES = ("mounts", "capabilities", "landlock", "processes")


def step_of(*holding):
    layers = tuple(Layer(name, holds=name in holding, detail="") for name in NAMES)
    return confinement_of(Mode.PROTECT, layers, ()).step


@pytest.mark.parametrize("holding", [*product((False, True), repeat=len(NAMES))])
def test_more_layers_are_never_a_weaker_step(holding):
    held = [name for name, holds in zip(NAMES, holding, strict=True) if holds]
    for more in NAMES:
        assert step_of(*held, more).rank >= step_of(*held).rank


def test_mounts_that_a_job_can_undo_do_not_count():
    assert Step.CHECKED is step_of("mounts")
    assert Step.LANDLOCK is step_of("mounts", "landlock")
    assert Step.FULL is step_of("mounts", "landlock", "capabilities")


def test_place_above_gold_is_too_wide():
    places = ("/data", "/data/gold/out", "/data/other", "/")
    assert ("/data", "/") == too_wide(places, ["/data/gold"])
