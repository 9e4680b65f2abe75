"""`@dataclass` for classes with slots, whose methods are made when they are first needed."""

from __future__ import annotations

import dataclasses
import operator
import sys
from _thread import RLock  # all of `threading` takes longer than this module
from dataclasses import MISSING, Field, FrozenInstanceError, fields
from functools import partial
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass
else:  # to who checks types it is the standard library's

    def dataclass(
        cls: type | None = None,
        /,
        *,
        slots: bool,
        frozen: bool = False,
        eq: bool = True,
        order: bool = False,
        kw_only: bool = False,
    ) -> Any:
        """Return a class with slots for the fields that its annotations name.

        It does what the standard library's does, with `fields`, `replace`, `asdict`, `match`,
        copies and pickles too, but compiles nothing for a class of which there are few values.
        That takes a twentieth of the time; a command has a hundred such classes, and of most of
        them one value or none. It knows no `ClassVar`, `InitVar`, `__post_init__`.
        """
        if not slots:
            raise TypeError("without slots it is the standard library's")
        given = {"frozen": frozen, "compared": ("eq",) * eq + _ORDER * order, "kw_only": kw_only}
        return _with_slots(cls, **given) if cls else lambda one: _with_slots(one, **given)


__all__ = ["dataclass"]

_ORDER = ("lt", "le", "gt", "ge")

_FEW = 20
"""Values of a class that are made one slot after the other, before it is worth compiling."""

_making = RLock()
"""Held while an attribute is made, which may need one of a base class."""


class _Later:
    """An attribute of a class that is made when it is first asked for, and put in its place."""

    __slots__ = ("_cls", "_make", "_name")

    def __init__(self, make: Callable[[type], Any]) -> None:
        self._make = make

    def __set_name__(self, cls: type, name: str) -> None:
        self._cls = cls
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        with _making:
            if self._cls.__dict__[self._name] is self:  # no other thread was faster
                setattr(self._cls, self._name, self._make(self._cls))
        return getattr(owner if instance is None else instance, self._name)


class _LaterInit(_Later):
    """An `__init__` that fills slots one by one, until there are so many values that it pays."""

    __slots__ = ("_form", "_left")

    def __init__(self, form: _Form) -> None:
        super().__init__(_compiled)
        self._form = form
        self._left = _FEW

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        self._left -= 1
        if instance is None or self._left < 0:
            return super().__get__(instance, owner)
        return partial(self._fill, instance)

    def _fill(self, instance: object, /, *given: object, **named: object) -> None:
        form = self._form
        passed = {**dict(zip(form.places, given, strict=False)), **named}
        fits = len(passed) == len(given) + len(named)
        if not (fits and form.required <= passed.keys() <= form.makers.keys()):
            super().__get__(instance)(*given, **named)  # says what is wrong
            return
        for name, make in form.makers.items():
            object.__setattr__(instance, name, passed[name] if name in passed else make())


class _Form:
    """The fields of a class as far as values need them, which asks for less than `fields()`.

    `makers` has all fields in their order, and what makes their defaults; `places` are those that
    can be given by position, `required` those that must be given.
    """

    __slots__ = ("compared", "makers", "places", "required")

    def __init__(self, plain: type, *, kw_only: bool) -> None:
        bases = [
            vars(base)["__form__"] for base in plain.__mro__[:0:-1] if "__form__" in vars(base)
        ]
        own = {name: plain.__dict__.get(name, MISSING) for name in plain.__annotations__}
        compared = [
            one for one, given in own.items() if getattr(given, "compare", None) is not False
        ]
        self.makers: dict[str, Callable[[], object]] = {}
        for form in bases:
            self.makers |= form.makers
        self.makers |= {name: _maker(given) for name, given in own.items()}
        self.required = {name for name, make in self.makers.items() if make is _missing}
        self.places = (*(p for b in bases for p in b.places), *(() if kw_only else own))
        self.compared = (*(c for b in bases for c in b.compared), *compared)


def _maker(given: Any) -> Callable[[], object]:
    """Return what makes the default that a class gives a field."""
    if isinstance(given, Field):
        return _maker(given.default) if given.default_factory is MISSING else given.default_factory
    return _missing if given is MISSING else lambda: given


def _missing() -> object:
    """Stand for the default of a field that has none."""
    return MISSING


def _with_slots(plain: type, *, frozen: bool, compared: tuple[str, ...], kw_only: bool) -> type:
    form = _Form(plain, kw_only=kw_only)
    names = tuple(plain.__annotations__)
    left_out = {*names, "__dict__", "__weakref__"}
    body = {name: value for name, value in plain.__dict__.items() if name not in left_out}
    body |= {"__slots__": names, "__form__": form, "__init__": _LaterInit(form)}
    for name in ("__dataclass_fields__", "__dataclass_params__", "__match_args__"):
        body[name] = _Later(_described(plain, name, kw_only=kw_only))
    body.setdefault("__repr__", _repr)
    for name in compared:
        body.setdefault(f"__{name}__", _Later(partial(_comparison, name)))
    if compared:
        body["__hash__"] = body.get("__hash__") or (_Later(_hash) if frozen else None)
    if frozen:
        body |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}
        body |= {"__getstate__": _getstate, "__setstate__": _setstate}
    made = type(plain)(plain.__name__, plain.__bases__, body)
    made.__qualname__ = plain.__qualname__
    return made


def _described(plain: type, name: str, *, kw_only: bool) -> Callable[[type], Any]:
    """Return what tells how the standard library describes a class."""

    def make(_: type) -> Any:
        if "__dataclass_fields__" not in plain.__dict__:
            dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=kw_only)(plain)
        return getattr(plain, name)

    return make


def _compiled(cls: type) -> Callable[..., None]:
    """Compile `__init__`; the slots are set directly, which an immutable value allows nobody."""
    known: dict[str, Any] = {"_MISSING": MISSING}
    parameters, keywords, lines = ["self"], list[str](), list[str]()
    for one in fields(cls):
        known |= {f"_set_{one.name}": getattr(cls, one.name).__set__, f"_field_{one.name}": one}
        (keywords if one.kw_only else parameters).append(_parameter(one))
        value = one.name
        if one.default_factory is not MISSING:
            value = f"_field_{one.name}.default_factory() if {value} is _MISSING else {value}"
        lines.append(f"  _set_{one.name}(self, {value})")
    words = ", ".join([*parameters, *(["*", *keywords] if keywords else [])])
    body = "\n".join(lines) or "  pass"
    source = f"def make({', '.join(known)}):\n def __init__({words}):\n{body}\n return __init__"
    made: dict[str, Any] = {}
    exec(source, vars(sys.modules[cls.__module__]), made)  # noqa: S102  as the standard library
    init: Callable[..., None] = made["make"](**known)
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__annotations__ = {one.name: one.type for one in fields(cls)} | {"return": None}
    return init


def _parameter(one: Field[Any]) -> str:
    if one.default is not MISSING:
        return f"{one.name}=_field_{one.name}.default"
    return one.name if one.default_factory is MISSING else f"{one.name}=_MISSING"


def _comparison(name: str, cls: type) -> Callable[[Any, Any], object]:
    values = _values(cls)
    operation = getattr(operator, name)

    def compare(self: object, other: object) -> object:
        if other.__class__ is self.__class__:
            return operation(values(self), values(other))
        return NotImplemented

    return compare


def _hash(cls: type) -> Callable[[Any], int]:
    values = _values(cls)
    return lambda self: hash(values(self))


def _values(cls: Any) -> Callable[[object], tuple[object, ...]]:
    """Return what gives the values that are compared."""
    names: tuple[str, ...] = cls.__form__.compared
    # Of one name alone it would return no tuple.
    return attrgetter(*names, names[0]) if names else lambda _: ()


@recursive_repr()
def _repr(self: Any) -> str:
    values = (f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{self.__class__.__qualname__}({', '.join(values)})"


def _refuse_to_set(_: object, name: str, __: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_: object, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[object]:
    return [getattr(self, name) for name in self.__form__.makers]


def _setstate(self: Any, state: list[object]) -> None:
    for name, value in zip(self.__form__.makers, state, strict=True):
        object.__setattr__(self, name, value)
