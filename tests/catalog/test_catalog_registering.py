from __future__ import annotations

import pytest
from catalogs import register, registration, root_of

from dataguard.errors import ConflictError
from dataguard.model.dataset import LocationState, VersionState


def states(catalog, dataset="faces"):
    return [str(version.state) for version in catalog.versions(dataset)]


def places(catalog, dataset="faces"):
    found = catalog.locations(dataset)
    return sorted((one.version, one.place, str(one.state)) for one in found)


def test_first_registration_makes_dataset_version_and_location(catalog):
    version, created = register(catalog, "a", owner="ada", note="first")
    assert created
    assert (version.reference, version.root, version.note) == ("faces@1", root_of("a"), "first")
    assert catalog.dataset("faces").owner == "ada"
    assert places(catalog) == [(1, "/gold/faces", "active")]


def test_owner_is_kept_from_the_first_registration(catalog):
    register(catalog, "a", owner="ada")
    register(catalog, "b", owner="eve", place="/gold/other")
    assert catalog.dataset("faces").owner == "ada"


def test_same_content_again_records_nothing(catalog):
    register(catalog)
    before = list(catalog.events())
    version, created = register(catalog)
    assert (version.number, created) == (1, False)
    assert list(catalog.events()) == before


def test_same_content_with_other_times_gets_a_new_sheet(catalog):
    register(catalog)
    _, created = register(catalog, sheet="s2")
    assert not created
    assert [one.sheet for one in catalog.locations("faces", 1)] == ["s2"]


def test_same_content_elsewhere_is_a_second_location(catalog):
    register(catalog)
    register(catalog, place="/replica")
    assert places(catalog) == [(1, "/gold/faces", "active"), (1, "/replica", "active")]


def test_same_content_in_another_dataset_is_another_version(catalog):
    register(catalog)
    version, created = register(catalog, dataset="labels")
    assert (version.reference, created) == ("labels@1", True)
    at_place = [(one.dataset, one.version) for one in catalog.locations_at("/gold/faces")]
    assert at_place == [("faces", 1), ("labels", 1)]


def test_other_content_at_the_place_is_a_conflict_and_leaves_nothing(catalog):
    register(catalog)
    before = list(catalog.events())
    with pytest.raises(ConflictError, match="already holds faces@1") as caught:
        register(catalog, "b")
    assert "--supersede" in str(caught.value.hint)
    assert list(catalog.events()) == before
    assert len(catalog.versions()) == 1


def test_append_keeps_the_earlier_version_active(catalog):
    register(catalog)
    register(catalog, "b", append=True, reason="more")
    assert states(catalog) == ["active", "active"]
    assert [one.version for one in catalog.locations_at("/gold/faces")] == [2, 1]


def test_appended_version_registers_again_without_a_word(catalog):
    register(catalog)
    register(catalog, "b", append=True, reason="more")
    assert register(catalog, "b")[1] is False


def test_earlier_content_after_an_append_needs_a_word(catalog):
    register(catalog)
    register(catalog, "b", append=True, reason="more")
    with pytest.raises(ConflictError):
        register(catalog, "a")


def test_supersede_retires_the_earlier_version(catalog):
    register(catalog)
    register(catalog, "b", supersede=True, reason="fixed labels")
    assert states(catalog) == ["superseded", "active"]
    assert catalog.version("faces", 1).state_reason == "fixed labels"
    assert places(catalog) == [(1, "/gold/faces", "superseded"), (2, "/gold/faces", "active")]


def test_superseded_version_with_a_replica_stays_active(catalog):
    register(catalog)
    register(catalog, place="/replica")
    register(catalog, "b", supersede=True, reason="r")
    assert states(catalog) == ["active", "active"]
    assert (1, "/gold/faces", "superseded") in places(catalog)


def test_superseding_back_and_forth_revives_the_first_version(catalog):
    register(catalog, "a")
    register(catalog, "b", supersede=True, reason="r")
    version, created = register(catalog, "a", supersede=True, reason="back")
    assert (version.number, created) == (1, False)
    assert states(catalog) == ["active", "superseded"]
    assert [one.version for one in catalog.locations_at("/gold/faces")] == [1]


@pytest.mark.parametrize("state", [VersionState.WITHDRAWN, VersionState.QUARANTINED])
def test_registering_again_does_not_release_a_version(catalog, state):
    register(catalog)
    with catalog.transaction() as t:
        t.set_state("faces", 1, state, "broken")
    version, _ = register(catalog, sheet="s2")
    assert version.state is state


def test_additional_digests_of_known_content_are_kept(catalog):
    register(catalog)
    register(catalog, digest_sheet="d1")
    assert register(catalog)[0].digest_sheet == "d1"


def test_replica_of_a_version_is_a_location(catalog):
    register(catalog)
    with catalog.transaction() as t:
        t.add_location("faces", 1, "s3://bucket/faces", None, None)
        first = t.locations("faces", 1)
        t.add_location("faces", 1, "s3://bucket/faces", "s9", None)
        assert t.locations("faces", 1)[0].created == first[0].created
    newest = catalog.locations("faces", 1)[0]
    assert (newest.place, newest.sheet) == ("s3://bucket/faces", "s9")
    assert newest.state is LocationState.ACTIVE


def test_two_registrations_in_one_transaction_see_each_other(catalog):
    with catalog.transaction() as t:
        t.register(registration("a"))
        assert t.register(registration("b", place="/b"))[0].number == 2


def test_content_that_comes_back_by_append_is_the_last_arrival_at_its_place(catalog):
    register(catalog, "a+b")
    register(catalog, "a", supersede=True, reason="b was wrong")
    version, created = register(catalog, "a+b", append=True, reason="b is right again")
    assert (version.number, created) == (1, False)
    assert [one.version for one in catalog.locations_at("/gold/faces")] == [1, 2]
    assert register(catalog, "a+b") == (version, False)
