"""What `varan.light` has at run time in place of `dataclasses`, `enum` and `contextlib`."""

from __future__ import annotations

import copy
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import ClassVar

import pytest

from varan.light import Enum, IntEnum, IntFlag, asynccontextmanager, contextmanager, field, record, replace


@record(frozen=True, slots=True)
class Point:
    x: int
    y: int = 2


@record(slots=True)
class Basket:
    kinds: ClassVar[int] = 3
    things: list[int] = field(default_factory=list)
    label: str = ""

    def __post_init__(self) -> None:
        self.label = self.label or "basket"


@record(slots=True, eq=False)
class Token:
    text: str


class Colour(Enum):
    RED = "red"
    """Documentation between members is none of them."""
    BLUE = "blue"


class Level(IntEnum):
    LOW = 0
    HIGH = 1


class Right(IntFlag):
    NONE = 0
    READ = 1
    WRITE = 2
    ALL = 3


def test_records_take_values_by_position_and_by_name_with_defaults() -> None:
    assert (Point(1).x, Point(1).y, Point(x=3, y=4).y) == (1, 2, 4)
    with pytest.raises(TypeError):
        Point()  # type: ignore[call-arg]


def test_records_are_equal_when_of_one_kind_with_equal_values() -> None:
    assert Point(1) == Point(1, 2) != Point(2)
    assert Point(1) != (1, 2)
    assert Token("a") != Token("a")


def test_frozen_records_have_a_hash_of_their_values_and_others_none() -> None:
    assert hash(Point(1)) == hash(Point(1, 2))
    with pytest.raises(TypeError):
        hash(Basket())


def test_records_show_their_values() -> None:
    assert repr(Point(1)) == "Point(x=1, y=2)"


def test_records_match_patterns_and_have_only_their_fields() -> None:
    match Point(1):
        case Point(x, y):
            assert (x, y) == (1, 2)
    with pytest.raises(AttributeError):
        Basket().other = 1  # type: ignore[attr-defined]


def test_each_record_has_a_default_of_its_own_from_a_factory() -> None:
    one, other = Basket(), Basket()
    one.things.append(1)
    assert (other.things, one.label, Basket.kinds) == ([], "basket", 3)
    assert Basket([5]).things == [5]


def test_a_replacement_differs_in_what_is_given() -> None:
    assert replace(Point(1), y=9) == Point(1, 9)
    with pytest.raises(TypeError):
        replace(Point(1), z=9)


def test_records_and_members_can_be_copied_and_pickled() -> None:
    assert pickle.loads(pickle.dumps(Point(7))) == copy.deepcopy(Point(7)) == Point(7)
    assert pickle.loads(pickle.dumps(Colour.RED)) is copy.deepcopy(Colour.RED) is Colour.RED


def test_members_have_names_and_values_and_are_found_by_value() -> None:
    assert [(member.name, member.value) for member in Colour] == [("RED", "red"), ("BLUE", "blue")]
    assert Colour("blue") is Colour.BLUE in Colour
    with pytest.raises(ValueError, match="'green' is not a valid Colour"):
        Colour("green")


def test_whole_number_members_are_numbers() -> None:
    assert Level.HIGH == 1
    assert not Level.LOW
    assert Level(1) is Level.HIGH


def test_flags_combine_and_exclude() -> None:
    assert Right.READ | Right.WRITE == Right.ALL
    assert Right.ALL & ~Right.READ == Right.WRITE
    assert Right(3) == Right.ALL
    assert Right(7) == 7


@contextmanager
def noting(notes: list[str], *, swallow: bool = False) -> Iterator[str]:
    notes.append("in")
    try:
        yield "value"
    except KeyError:
        if not swallow:
            raise
    finally:
        notes.append("out")


def test_a_context_runs_what_is_around_the_yield() -> None:
    notes: list[str] = []
    with noting(notes) as value:
        assert (value, notes) == ("value", ["in"])
    assert notes == ["in", "out"]


@pytest.mark.parametrize("error", [KeyError("a"), StopIteration()])
def test_a_context_passes_errors_on(error: Exception) -> None:
    notes: list[str] = []
    with pytest.raises(type(error)) as caught, noting(notes):
        raise error
    assert caught.value is error
    assert notes == ["in", "out"]


def test_a_context_may_swallow_an_error() -> None:
    with noting([], swallow=True):
        raise KeyError


def test_a_context_may_raise_another_error() -> None:
    @contextmanager
    def translating() -> Iterator[None]:
        try:
            yield
        except KeyError as error:
            raise ValueError("translated") from error

    with pytest.raises(ValueError, match="translated"), translating():
        raise KeyError


@asynccontextmanager
async def noting_later(notes: list[str]) -> AsyncIterator[int]:
    notes.append("in")
    try:
        yield 5
    finally:
        notes.append("out")


@pytest.mark.parametrize("error", [KeyError("a"), StopAsyncIteration(), StopIteration()])
async def test_an_asynchronous_context_does_the_same(error: Exception) -> None:
    notes: list[str] = []
    with pytest.raises(type(error)):
        async with noting_later(notes) as value:
            assert value == 5
            raise error
    async with noting_later(notes):
        pass
    assert notes == ["in", "out"] * 2
