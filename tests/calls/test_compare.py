"""What differs between two results, where it is, and which slip explains it."""

import numpy as np
import pytest

from grader.calls.cases import Case, scene
from grader.calls.compare import QUICK_S, difference
from grader.calls.draws import Draws
from grader.calls.values import Answer, FailureRecord, Other
from tests.calls.tables import argument, table

PHOTO = scene(Draws(b"photo"), 20, 28, 3)
FLOATS = np.round(Draws(b"floats").fractions(5, 6), 3)


def compared(expected, received, *arguments, **fields):
    """The difference of two results."""
    case = Case("f", 0, False, ("x",) * len(arguments), arguments)
    return difference(table(**fields), case, Answer(None, result=expected), answer(received))


def answer(value):
    return value if isinstance(value, Answer) else Answer(None, result=value)


@pytest.mark.parametrize(
    ("expected", "received", "fields"),
    [
        (3, np.int64(3), {}),
        (3, np.array(3), {}),
        (2.5, np.float32(2.5), {}),
        (2.0, 2, {}),
        (1e6, 1e6 + 1, {}),
        ((1, 2), [1, 2], {}),
        ([1.5, None], (1.5, None), {}),
        ({"a": 1}, {"a": 1}, {}),
        ("x", "x", {}),
        (None, None, {}),
        (float("nan"), float("nan"), {}),
        (FLOATS, FLOATS.astype(np.float32), {}),
        (np.arange(4), np.arange(4, dtype=np.int32), {}),
        (PHOTO, PHOTO ^ 1, {"tolerance": 1}),
        (14, 14.0, {"types": "any"}),
        (np.arange(3), [0, 1, 2], {"types": "any"}),
        ((3, 4), np.array([3, 4]), {"types": "any"}),
        (PHOTO, PHOTO.astype(np.float64), {"types": "any"}),
        (np.array([1.0, np.nan, np.inf]), np.array([1.0, np.nan, np.inf]), {}),
        (np.uint64(2**64 - 1), np.uint64(2**64 - 1), {}),
        (np.zeros((0, 3)), np.zeros((0, 3)), {}),
    ],
)
def test_no_difference(expected, received, fields):
    assert compared(expected, received, **fields) is None


@pytest.mark.parametrize(
    ("expected", "received", "fields", "what"),
    [
        (3, 4, {}, "value"),
        (3, None, {}, "type of the result"),
        (3, "3", {}, "type of the result"),
        (3, True, {}, "type of the result"),
        (True, 1, {}, "type of the result"),
        (3, 3.0, {}, "type of the result"),
        ((1, 2), (1, 2, 3), {}, "length"),
        ((1, (2, 3)), (1, (2, 4)), {}, "result[1][1], value"),
        ({"a": 1}, {}, {}, "keys"),
        ({"a": 1}, {"a": 1, "b": 2}, {}, "keys"),
        ({"a": [1]}, {"a": [2]}, {}, "result['a'][0], value"),
        (PHOTO, PHOTO[:-3], {}, "shape"),
        (PHOTO, PHOTO.astype(np.int64), {}, "dtype"),
        (PHOTO, PHOTO.tolist(), {}, "type of the result"),
        (FLOATS, FLOATS.astype(np.float32), {"types": "same"}, "dtype"),
        ((1, 2), [1, 2], {"types": "same"}, "type of the result"),
        (PHOTO, Other("Image"), {}, "type of the result"),
        (1.0, float("nan"), {}, "value"),
        (1e6, 1e6 + 100, {}, "value"),
        (np.array([2**62 + 1]), np.array([2**62]), {}, "value at index [0]"),
        (np.array([2**63], np.uint64), np.array([-(2**63)]), {}, "value at index [0]"),
        (FLOATS, FLOATS + 0.01, {"tolerance": 0.001}, "value at index [0, 0]"),
    ],
)
def test_the_first_difference(expected, received, fields, what):
    assert compared(expected, received, **fields).what == what


def test_a_wrong_pixel_is_told_by_row_column_and_channel_and_shown():
    wrong = PHOTO.copy()
    wrong[3, 7, 1] ^= 255
    wrong[9, 9] ^= 255

    found = compared(PHOTO, wrong)

    assert found.what == "value at row 3, column 7, channel 1"
    assert found.more == "4 of 1680 values differ"
    assert [p.title for p in found.pictures] == ["expected", "received", "difference"]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda x: x[..., ::-1], "opposite order"),
        (lambda x: x.swapaxes(0, 1), "height and width"),
        (lambda x: x[::-1], "upside down"),
        (lambda x: x[:, ::-1], "mirrored"),
        (lambda x: x[::-1, ::-1], "180°"),
        (lambda x: x / 255, "255 times too small"),
        (lambda x: x.astype(np.float32), "the dtype is not"),
        (lambda x: 255 - x, "light and dark"),
        (lambda x: x[:-1], "one row is missing"),
        (lambda x: x[:, 1:], "one column is missing"),
        (lambda x: np.concatenate([x, x[:1]]), "one row too many"),
        (lambda x: np.roll(x, 1, 0), "shifted by one row"),
        (lambda x: np.roll(x, -1, 1), "shifted by one column"),
        (np.zeros_like, "every value is 0"),
        (lambda x: ARGUMENT.copy(), "the argument as it came"),
        (lambda x: np.zeros((28, 20, 3), np.uint8), "height and width"),
    ],
)
def test_a_slip_with_an_image_is_told_by_name(made, told):
    assert told in compared(PHOTO, made(PHOTO), ARGUMENT).cause


ARGUMENT = scene(Draws(b"argument"), 20, 28, 3)


@pytest.mark.parametrize(
    ("expected", "received", "told"),
    [
        (7, 7.5, "a float"),
        (7, 8, "off by one"),
        (7, -7, "sign"),
        ((640, 480), (480, 640), "opposite"),
        ((7, 9), (7, 10), "off by one"),
        (FLOATS, -FLOATS, "sign"),
        (FLOATS, FLOATS * 255, "too large"),
    ],
)
def test_a_slip_with_numbers_is_told_by_name(expected, received, told):
    assert told in compared(expected, received).cause


@pytest.mark.parametrize(
    "pair", [(PHOTO, PHOTO ^ 85), (FLOATS, FLOATS[:3, :2]), ("a", "b"), (1, 9)]
)
def test_no_cause_is_invented(pair):
    assert compared(*pair).cause == ""


def test_an_argument_must_stay_as_it_is():
    asked = table(changes_input=False, arguments=[argument("x", image={})])
    case = Case("f", 0, False, ("x",), (PHOTO,))
    right = Answer(None, result=1, after=(PHOTO,))
    changed = Answer(None, result=1, after=(PHOTO ^ 1,))

    assert difference(asked, case, right, right) is None
    found = difference(asked, case, right, changed)
    assert "changes x" in found.cause
    assert ".copy()" in found.help
    assert difference(asked, case, right, Answer(None, result=1)) is not None


def test_an_argument_must_become_what_the_reference_makes_of_it():
    asked = table(changes_input=True, arguments=[argument("x", image={})])
    case = Case("f", 0, False, ("x",), (PHOTO,))
    right = Answer(None, after=(255 - PHOTO,))

    assert difference(asked, case, right, Answer(None, result=5, after=(255 - PHOTO,))) is None
    left = difference(asked, case, right, Answer(None, result=255 - PHOTO, after=(PHOTO,)))
    assert "leaves x as it was" in left.cause


@pytest.mark.parametrize(("wanted", "is_view"), [(True, False), (False, True)])
def test_a_view_or_a_copy(wanted, is_view):
    right = Answer(None, result=PHOTO, shares=wanted)
    wrong = Answer(None, result=PHOTO, shares=is_view)
    case = Case("f", 0, False, (), ())

    assert difference(table(shares_memory=wanted), case, right, right) is None
    assert (
        difference(table(shares_memory=wanted), case, right, wrong).what == "memory of the result"
    )
    assert difference(table(), case, right, wrong) is None


def test_time_counts_as_a_multiple_of_the_references():
    right, case = Answer(None, result=1, seconds=0.1), Case("f", 0, False, (), ())

    def slow(seconds):
        mine = Answer(None, result=1, seconds=seconds)
        return difference(table(slower_at_most=10), case, right, mine)

    assert slow(0.9) is None
    assert slow(QUICK_S) is None
    assert slow(1.1).what == "processor time"


def test_an_exception_can_be_what_is_right():
    case = Case("f", 0, False, (), ())

    def raised(*types):
        return Answer(FailureRecord(type=types[0], message="m", where=""), raised=types)

    right = raised("FileNotFoundError", "OSError", "Exception")
    assert difference(table(), case, right, right) is None
    assert difference(table(), case, raised("OSError"), right) is None
    assert difference(table(), case, right, raised("OSError")).received == "OSError"
    assert difference(table(), case, right, Answer(None)).received == "None"
    assert difference(table(), case, Answer(None, result=1), right).expected == "a result"


def test_a_file_that_was_not_written_is_missed():
    from grader.calls.cases import AbsentFile

    case = Case("f", 0, False, ("path",), (AbsentFile("out.png", True),))
    right = Answer(None, files={0: PHOTO})

    assert difference(table(), case, right, Answer(None, result=True, files={0: PHOTO})) is None
    missed = difference(table(), case, right, Answer(None, files={0: None}))
    assert (missed.what, missed.received) == ("the file out.png", "no such file")
    swapped = difference(table(), case, right, Answer(None, files={0: PHOTO[..., ::-1]}))
    assert swapped.what.startswith("the file out.png, value")
    assert "opposite" in swapped.cause
