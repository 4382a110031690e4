"""What `grade pack` says of the weights and the recipe before they are handed in."""

import json
import re
import zipfile
from pathlib import Path

import pytest

from grader.assignment import load_assignment
from grader.cli import run
from grader.resources import assignment_dir, reference_dir
from grader.student.pack import _said_of_weights, remarks_on_packed

RULES = load_assignment(assignment_dir())
SMALLER = ("def build_model():\n    import keras\n    i = keras.Input((32, 32, 3))\n"
           "    x = keras.layers.GlobalAveragePooling2D()(i)\n"
           "    return keras.Model(i, keras.layers.Dense(10)(x))\n")  # fmt: skip


@pytest.mark.tensorflow
def test_weights_of_another_network_are_told_by_their_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = (reference_dir() / "densenet.py").read_text("utf-8")
    (tmp_path / "densenet.py").write_text(f"{source}\n\n{SMALLER}")
    weights = (reference_dir() / "densenet.weights.h5").read_bytes()
    (tmp_path / "densenet.weights.h5").write_bytes(weights)

    assert run(["pack", str(tmp_path)]) == 0

    said = capsys.readouterr().out
    assert "densenet.weights.h5 does not fit build_model()" in said
    assert "numbers, build_model() has 40." in said


@pytest.mark.tensorflow
def test_weights_that_fit_are_packed_without_a_remark(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["pack", str(reference_dir()), "-o", str(tmp_path)]) == 0

    assert "does not fit" not in capsys.readouterr().out


def test_a_recipe_that_is_none_is_remarked_on(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("recipe.toml", 'epochs = "many"')

    (remark,) = remarks_on_packed(tmp_path / "x.zip", None, RULES)

    assert "recipe.toml: epochs" in remark


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        ({"weights": {"loaded": True}}, None),
        ({"weights": {"loaded": False, "failure": {"message": "9 numbers"}}}, "fit .*9 numbers"),
        ({"failure": {"message": "x"}}, "gives no network"),
        ({}, "gives no network"),
    ],
)
def test_what_the_trace_says_of_loading_is_told(frame: object, told: str | None) -> None:
    remarks = _said_of_weights(json.dumps(frame).encode(), "a.weights.h5")

    assert (remarks == []) if told is None else re.search(told, remarks[0])
