"""Our `@dataclass` does what the standard library's does, and makes what it is asked for late."""

import copy
import dataclasses
import inspect
import operator
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict, field, fields, is_dataclass, replace
from functools import partial
from threading import Barrier, Thread
from typing import Generic, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.model.dataclass import dataclass

NAMES = ("a", "b", "c", "d")
VALUES = st.one_of(st.integers(-2, 2), st.sampled_from(["", "x"]), st.none())
DEFAULTS = st.sampled_from(["default", "factory", "quiet"])


def _body(defaults):
    """Return the body of a class: what has no default comes before what has one."""
    body = {"__annotations__": dict.fromkeys(NAMES[: len(defaults)], "object")}
    made = {
        "default": lambda: 7,
        "factory": lambda: field(default_factory=list),
        "quiet": lambda: field(default=8, repr=False, compare=False),
    }
    for name, default in zip(NAMES, defaults, strict=False):
        if default is not None:
            body[name] = made[default]()
    return {"__module__": __name__, "__qualname__": "Place", **body}


@st.composite
def pairs_of_classes(draw):
    """Yield the same class twice: ours, and as the standard library makes it."""
    bare, given_ = draw(st.integers(0, 3)), draw(st.lists(DEFAULTS, max_size=2))
    defaults = [*[None] * bare, *given_][: len(NAMES)]
    eq = draw(st.booleans())
    flags = {
        "slots": True,
        "frozen": draw(st.booleans()),
        "eq": eq,
        "order": eq and draw(st.booleans()),
        "kw_only": draw(st.booleans()),
    }
    ours, theirs = (
        decorate(**flags)(type("Place", (), _body(defaults)))
        for decorate in (dataclass, dataclasses.dataclass)
    )
    if draw(st.booleans()):
        inspect.signature(ours)  # as if there were many values
    return ours, theirs


ARGUMENTS = st.tuples(
    st.lists(VALUES, max_size=3), st.dictionaries(st.sampled_from([*NAMES, "e"]), VALUES)
)


def _outcome(action):
    try:
        return action()
    except (TypeError, FrozenInstanceError, AttributeError) as err:
        return type(err), str(err)


def _state(value):
    return [getattr(value, one.name) for one in fields(value)]


def _made(classes, arguments):
    """Return a value of each class, or None where both refuse the arguments alike."""
    words, named = arguments
    values = [_outcome(lambda kind=kind: kind(*words, **named)) for kind in classes]
    if isinstance(values[1], tuple):
        assert values[1] == values[0]
        return None
    return values


@given(pairs_of_classes(), ARGUMENTS)
def test_values_are_made_shown_and_taken_apart_alike(classes, arguments):
    values = _made(classes, arguments)
    if values is None:
        return
    ours, theirs = values
    assert _state(theirs) == _state(ours)
    assert repr(theirs) == repr(ours)
    assert asdict(theirs) == asdict(ours)
    assert type(theirs).__match_args__ == type(ours).__match_args__
    assert type(theirs).__slots__ == type(ours).__slots__
    assert not hasattr(ours, "__dict__")


@given(pairs_of_classes(), ARGUMENTS, ARGUMENTS)
def test_values_are_compared_alike(classes, one, other):
    first, second = _made(classes, one), _made(classes, other)
    if first is None or second is None:
        return
    for action in (operator.eq, operator.ne, _less, operator.ge, _eq_called, _as_tuple):
        ours, theirs = (_outcome(partial(action, *two)) for two in zip(first, second, strict=True))
        assert theirs == ours
    for mine, standard in zip((first, second), (first, second), strict=True):
        assert _is_hashable(standard[1]) == _is_hashable(mine[0])
    if _is_hashable(first[0]) and _is_hashable(second[0]) and first[0] == second[0]:
        assert hash(first[0]) == hash(second[0])


def _less(one, other):
    return one < other if type(one) is type(other) else None


def _eq_called(one, other):
    return one.__eq__(other)


def _as_tuple(one, _other):
    return one == (1, 2)


def _is_hashable(value):
    try:
        hash(value)
    except TypeError:
        return False
    return True


@given(pairs_of_classes(), ARGUMENTS, ARGUMENTS)
def test_values_are_replaced_and_changed_alike(classes, arguments, changes):
    values = _made(classes, arguments)
    if values is None:
        return
    ours, theirs = (_outcome(lambda one=one: _state(replace(one, **changes[1]))) for one in values)
    assert theirs == ours
    if not fields(values[0]):
        return  # of a name that is no field the standard library's has an error of its own
    for change in (lambda one: setattr(one, "a", 5), lambda one: delattr(one, "a")):
        ours, theirs = (_outcome(lambda one=one, change=change: change(one)) for one in values)
        assert theirs == ours


@given(pairs_of_classes())
def test_classes_are_described_alike(classes):
    ours, theirs = classes
    assert is_dataclass(ours)
    assert [repr(one) for one in fields(theirs)] == [repr(one) for one in fields(ours)]
    assert _parameters(theirs) == _parameters(ours)
    assert (theirs.__name__, theirs.__qualname__) == (ours.__name__, ours.__qualname__)
    assert theirs.__init__.__annotations__ == ours.__init__.__annotations__


def _parameters(cls):
    found = inspect.signature(cls).parameters.values()
    return [(one.name, one.kind, one.default is inspect.Parameter.empty) for one in found]


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 0
    tags: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.x}/{self.y}"


@dataclass(slots=True)
class Counter:
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    said: frozenset[str] = field(default=frozenset(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Rules):
    depth: int = 3


@dataclass(frozen=True, slots=True)
class Shouting:
    word: str

    def __eq__(self, other):
        return isinstance(other, Shouting) and self.word.upper() == other.word.upper()

    def __hash__(self):
        return hash(self.word.upper())

    def __repr__(self):
        return self.word.upper()


T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Held(Generic[T]):
    value: T


def test_values_survive_copies_and_pickles():
    for value in (Point(1, 2, ["a"]), Counter(4), Limits(depth=5, said=frozenset({"depth"}))):
        for found in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
            assert type(value) is type(found)
            assert _state(value) == _state(found)


def test_a_subclass_has_the_fields_of_its_base():
    limits = Limits(said=frozenset({"depth"}))
    assert ["said", "depth"] == [one.name for one in fields(limits)]
    assert "Limits(depth=3)" == repr(limits)
    assert Limits() == limits
    assert isinstance(limits, Rules)
    assert Limits() != Rules()


def test_methods_of_the_class_itself_stay():
    assert "1/2" == str(Point(1, 2))
    assert {Shouting("a")} == {Shouting("A")}
    assert "A" == repr(Shouting("a"))


def test_values_are_matched_by_position():
    match Point(1, 2):
        case Point(x, y):
            assert (1, 2) == (x, y)


def test_a_generic_class_stays_generic():
    assert 1 == Held[int](1).value
    assert Held(1) != Held(1)


def test_a_value_that_holds_itself_can_be_shown():
    found = Held(None)
    found.value = found
    assert "Held(value=...)" == repr(found)


def test_a_list_made_for_one_value_is_not_that_of_another():
    Point(1).tags.append("a")
    assert [] == Point(1).tags


def test_without_slots_it_is_refused():
    with pytest.raises(TypeError, match="standard library"):
        dataclass(slots=False)(Counter)


def test_nothing_is_made_before_it_is_asked_for():
    @dataclass(frozen=True, slots=True)
    class Late:
        one: int

    before = dict(vars(Late))
    assert Late(1) == Late(1)
    made = {name for name, value in vars(Late).items() if before[name] is not value}
    assert {"__eq__"} == made


def test_what_makes_many_values_is_compiled():
    @dataclass(frozen=True, slots=True)
    class Frequent:
        one: int
        many: list[int] = field(default_factory=list)

    before = vars(Frequent)["__init__"]
    values = [Frequent(number) for number in range(100)]
    assert before is not vars(Frequent)["__init__"]
    assert [(number, []) for number in range(100)] == [(one.one, one.many) for one in values]
    assert len(values) == len({id(one.many) for one in values})


def test_threads_that_ask_at_once_get_the_same():
    for _ in range(50):

        @dataclass(frozen=True, slots=True)
        class Shared:
            one: int
            many: list[int] = field(default_factory=list)

        barrier, found = Barrier(4), []

        def ask(kind=Shared, barrier=barrier, found=found):
            barrier.wait()
            found.append(kind(1))

        threads = [Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [Shared(1)] * 4 == found


def test_no_class_is_made_by_the_standard_library_when_modules_are_loaded():
    program = (
        "import dataclasses\n"
        "described = dataclasses.dataclass\n"
        "def refuse(*_, init=True, **flags):\n"
        "    assert not init, 'a slow class'\n"
        "    return described(init=init, **flags)\n"
        "dataclasses.dataclass = refuse\n"
        "import dataguard.model.policy, dataguard.model.dataset, dataguard.model.audit\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ("", 0) == (done.stderr, done.returncode)
