"""Pictures show what was counted, and nothing that a student wrote."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from grader.domain import Epoch
from grader.engine.cifar10 import CLASSES
from grader.engine.pictures import (
    COLUMNS,
    ROWS,
    confusion_svg,
    contact_sheet,
    curve_svg,
    most_confident_mistakes,
    write_pictures,
)

EPOCHS = [
    Epoch.model_construct(number=n, train_accuracy=n / 5, test_accuracy=n / 6 if n % 2 else None)
    for n in range(1, 5)
]


def texts(svg):
    return [e.text for e in ET.fromstring(svg).iter() if e.tag.endswith("text")]


def test_every_count_that_is_not_zero_stands_in_the_table():
    confusion = np.diag(np.arange(900, 910)).tolist()
    confusion[3][5] = 77

    shown = texts(confusion_svg(confusion, CLASSES))

    assert {str(n) for n in range(900, 910)} | {"77"} <= set(shown)
    assert "0" not in shown


def test_a_class_name_is_text_and_never_markup():
    shown = texts(confusion_svg([[1]], ["<b>&"]))

    assert "<b>&" in shown


def test_the_curve_leaves_out_epochs_that_were_not_measured():
    svg = curve_svg(EPOCHS)

    lines = [e.attrib["points"] for e in ET.fromstring(svg).iter() if "stroke-width" in e.attrib]
    assert [len(points.split()) for points in lines] == [4, 2]


def test_a_curve_of_one_epoch_can_be_drawn():
    assert "epochs 1 to 1" in curve_svg(EPOCHS[:1])


def test_the_most_confident_mistakes_come_first_and_right_answers_never():
    predicted = np.array([0, 1, 2, 3, -1])
    labels = np.array([0, 9, 9, 9, 9])
    confidence = np.array([1.0, 0.2, 0.9, 0.5, 1.0], np.float32)

    assert most_confident_mistakes(predicted, labels, confidence).tolist() == [2, 3, 1]


def test_a_sheet_holds_no_more_than_its_rows():
    wrong = np.ones(500, np.int64)

    chosen = most_confident_mistakes(wrong, 0 * wrong, np.ones(500, np.float32))

    assert len(chosen) == COLUMNS * ROWS


def test_the_contact_sheet_shows_each_image_in_its_colours():
    pytest.importorskip("cv2")
    images = np.zeros((2, 32, 32, 3), np.uint8)
    images[0, ..., 0] = 255

    sheet = contact_sheet(images, ["cat", "dog"], ["dog", "cat"], [0.9, 0.8])

    red_in_bgr = [0, 0, 255]
    assert sheet[20, 20].tolist() == red_in_bgr
    assert sheet.dtype == np.uint8


def test_pictures_are_written_whole_and_named(tmp_path):
    images = np.zeros((3, 32, 32, 3), np.uint8)
    mistakes = (images, np.array([0, 1, 2]), np.array([0, 2, 2]), np.ones(3, np.float32))

    names = write_pictures(
        tmp_path, confusion=np.eye(10, dtype=int).tolist(), classes=CLASSES, epochs=EPOCHS,
        mistakes=mistakes,
    )  # fmt: skip

    assert sorted(names) == sorted(p.name for p in tmp_path.iterdir())
    assert {"confusion.svg", "training.svg"} <= set(names)


@pytest.mark.parametrize("size", [(28, 28, 1), (16, 64, 3), (300, 200, 4)])
def test_images_of_any_size_and_colours_have_their_place_on_the_sheet(size):
    images = np.zeros((2, *size), np.uint8)

    sheet = contact_sheet(images, ["7", "1"], ["1", "7"], [0.9, 0.8])

    assert sheet.shape[2] == 3
    assert (sheet[10:20, 10:20] == 0).all()
