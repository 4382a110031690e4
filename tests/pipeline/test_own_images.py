"""The accuracy on images of the course's own, from a submission to its points."""

import hashlib

import h5py
import numpy as np
import pytest

from grader.course import GradeOptions
from grader.domain import GradeStatus
from tests.grading import grade_paths

pytestmark = [pytest.mark.tensorflow, pytest.mark.sandbox]

RULES = """
title = "Dark and bright"
module = "eyes.py"

[deadline]
due = "2027-10-14T23:00:00"
zone = "UTC"

[deadline.late]
policy = "reject"

[time_budgets]
trace_s = 120
evaluation_s = 60

[data]
name = "eyes.npz"
sha256 = "{sha256}"
image_shape = [6, 4, 1]
classes = ["dark", "bright"]

[evaluation]
mode = "weights"
threshold = 0.9

[rubric]
accuracy = {{ points = 6 }}

[[answers]]
name = "how-many"
kind = "number"
question = "How many classes are there?"
where = "the sheet"
"""
NETWORK = """
import keras

def build_model():
    inputs = keras.Input((6, 4, 1))
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D()(inputs))
    return keras.Model(inputs, keras.layers.Dense(2)(x))
"""


def images(count):
    """Dark and bright ones by turns."""
    labels = np.arange(count) % 2
    pixels = np.random.default_rng(count).integers(0, 100, (count, 6, 4, 1))
    return (pixels + 150 * labels[:, None, None, None]).astype(np.uint8), labels


@pytest.fixture
def course(tmp_path, monkeypatch):
    (x_train, y_train), (x_test, y_test) = images(60), images(40)
    folder = tmp_path / "course"
    (folder / "reference").mkdir(parents=True)
    file = folder / "eyes.npz"
    np.savez(file, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    rules = RULES.format(sha256=digest).replace(
        "{ points = 6 }", "{ points = 6 }\nhow-many = { points = 1 }"
    )
    (folder / "assignment.toml").write_text(rules)
    (folder / "reference" / "answers.toml").write_text("how-many = 2\n")
    monkeypatch.setenv("GRADER_DATA", str(folder))
    return folder


def test_weights_are_measured_on_the_images_that_the_assignment_names(course):
    work = course.parent / "work"
    work.mkdir()
    (work / "eyes.py").write_text(NETWORK)
    (work / "answers.toml").write_text("how-many = 2")
    with h5py.File(work / "eyes.weights.h5", "w") as weights:
        weights["layers/dense/vars/0"] = np.tile(np.float32([-1, 1]), (6, 1))
        weights["layers/dense/vars/1"] = np.float32([1000, -1000])

    options = GradeOptions(assignment_dir=course, results_dir=course.parent / "results")
    (grade,) = grade_paths([work], options, lambda grade: None)

    assert (grade.status, grade.score) == (GradeStatus.GRADED, 7)
    assert (grade.evaluation.accuracy, grade.evaluation.dataset.name) == (1.0, "eyes.npz")
    assert grade.evaluation.details.classes == ("dark", "bright")
