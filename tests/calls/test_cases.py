"""What is drawn for a function: the same for a key, within its ranges, and all choices shown."""

import hashlib
import zlib

import numpy as np
import pytest

from grader.calls.cases import AbsentFile, Case, GivenFile, cases_of, scene
from grader.calls.draws import Draws
from grader.calls.picture import png, thumbnail
from tests.calls.tables import argument, table

IMAGE = argument("image", image={"height": [12, 20], "width": [14, 30]})


def test_numbers_drawn_from_a_seed_are_the_same_for_ever():
    draws = Draws(b"seed")

    assert [draws.integer(1, 100) for _ in range(5)] == [32, 61, 53, 12, 5]
    drawn = hashlib.sha256(scene(Draws(b"seed"), 9, 11, 3).tobytes()).hexdigest()
    assert drawn[:16] == "3302b1169cc0a2b6"


def test_public_calls_are_the_same_under_every_key_and_hidden_ones_are_not():
    asked = table(arguments=[IMAGE], public=2, drawn=3)

    one, other = cases_of(asked, b"one"), cases_of(asked, b"other")

    assert [case.hidden for case in one] == [False] * 2 + [True] * 3
    assert [c.digest for c in one[:2]] == [c.digest for c in other[:2]]
    assert not {c.digest for c in one[2:]} & {c.digest for c in other[2:]}
    assert [c.digest for c in cases_of(asked, b"one")] == [c.digest for c in one]
    assert [c.digest for c in cases_of(asked, None)] == [c.digest for c in one[:2]]


def test_the_authors_calls_come_first_and_lists_become_what_the_argument_is():
    image = argument("image", image={"height": 2, "width": 2, "channels": 1})
    asked = table(arguments=[image, argument("n", integer=[1, 3])], calls=[[[[1, 2], [3, 4]], 7]])

    first = cases_of(asked, None)[0]

    assert (first.values[0].dtype, first.values[1]) == (np.uint8, 7)
    assert first.values[0].tolist() == [[1, 2], [3, 4]]


def test_what_is_drawn_lies_within_its_ranges():
    asked = table(
        sizes={"n": [3, 5]},
        arguments=[
            IMAGE,
            argument("box", box_in="image", box_as=["left", "top", "right", "bottom"]),
            argument("a", array={"shape": ["n", [1, 2], 4], "low": -2, "high": 2}),
            argument("k", array={"shape": ["n"], "dtype": "int64", "low": 0, "high": 9}),
            argument("n", integer="n"),
            argument("x", number=[0.5, 0.75]),
            argument("photo", image_file={"name": "a.png"}),
            argument("none", missing_file="nowhere.png"),
            argument("out", new_file="out.png"),
        ],
        public=16,
    )

    for case in cases_of(asked, None):
        image, box, a, k, n, x, photo, missing, out = case.values
        assert image.shape[2] == 3
        assert 12 <= image.shape[0] <= 20
        assert 14 <= image.shape[1] <= 30
        assert 0 <= box[0] < box[2] <= image.shape[1]
        assert 0 <= box[1] < box[3] <= image.shape[0]
        assert a.shape[0] == k.shape[0] == n
        assert 3 <= n <= 5
        assert a.min() >= -2
        assert a.max() <= 2
        assert k.min() >= 0
        assert k.max() <= 9
        assert 0.5 <= x <= 0.75
        assert isinstance(photo, GivenFile)
        assert photo.content.startswith(b"\x89PNG")
        assert (missing, out) == (AbsentFile("nowhere.png", False), AbsentFile("out.png", True))


def test_public_calls_show_every_choice_and_two_choices_do_not_go_in_step():
    asked = table(
        arguments=[argument("a", choice=[1, 2]), argument("b", choice=["same", "valid"])],
        public=4,
    )

    assert len({case.values for case in cases_of(asked, None)}) == 4


def test_a_call_is_read_as_it_was_kept():
    asked = table(
        arguments=[
            IMAGE,
            argument("box", box_in="image"),
            argument("photo", image_file={"name": "a.npy", "dtype": "float32"}),
            argument("out", new_file="b.png"),
            argument("c", choice=[[1, [2.5]]]),
        ]
    )

    for case in cases_of(asked, b"key"):
        again = Case.read(case.check, case.kept())
        assert again.digest == case.digest
        assert again.words("f") == case.words("f")


def test_a_drawn_image_shows_every_turn_and_every_swap():
    image = scene(Draws(b"any"), 16, 16, 3)

    turns = [image[::-1], image[:, ::-1], image[..., ::-1], image.swapaxes(0, 1)]
    assert not any(np.array_equal(image, turned) for turned in turns)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_png_holds_the_pixels(channels):
    image = scene(Draws(b"any"), 7, 9, channels)
    packed = png(image[:, :, 0] if channels == 1 else image)

    start = packed.index(b"IDAT")
    length = int.from_bytes(packed[start - 4 : start], "big")
    rows = np.frombuffer(zlib.decompress(packed[start + 4 : start + 4 + length]), np.uint8)
    assert np.array_equal(rows.reshape(7, -1)[:, 1:].reshape(image.shape), image)


def test_a_thumbnail_of_a_difference_keeps_a_single_pixel():
    seen = np.zeros((100, 60), np.uint8)
    seen[71, 3] = 255

    small = thumbnail("difference", seen, most=True)

    assert (len(small.rows), len(small.rows[0]) // 6, small.of) == (16, 16, (100, 60))
    assert sum(row.count("ffffff") for row in small.rows) == 1
