"""`grade compare`: its exit status, what it says, and what it makes of files that give nothing."""

import json

import pytest

from grader.cli import run

pytestmark = pytest.mark.tensorflow

NETWORK = """
import keras
from keras import layers

def build(maps=8, size=16):
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(maps, 3, padding="same", activation="relu")(inputs)
    x = layers.MaxPooling2D(2)(x)
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))

def wide():
    return build(maps=9)

def larger():
    return build(size=32)

class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = layers.Conv2D(8, 3, padding="same")
        self.last = layers.Dense(5)

    def call(self, x):
        x = layers.MaxPooling2D(2)(keras.ops.relu(self.first(x)))
        return self.last(keras.ops.mean(x, axis=(1, 2)))

def subclassed():
    return Subclassed()

def two_inputs():
    a, b = keras.Input((4, 4, 3)), keras.Input((4, 4, 3))
    return keras.Model([a, b], layers.Add()([a, b]))

def broken():
    return undefined

def tensor():
    return keras.Input((4, 4, 3))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(NETWORK)
    (tmp_path / "reference.py").write_text("from mine import *\n" + NETWORK)
    return tmp_path


def compare(capsys, *words):
    status = run(["compare", *words])
    told = capsys.readouterr()
    return status, " ".join(told.out.split()), " ".join(told.err.split())


def test_the_same_network_ends_in_0(folder, sandbox, capsys):
    status, out, _ = compare(capsys, "mine.py:build", "reference.py:build")

    assert (status, out) == (0, "mine.py:build computes the same network as reference.py:build")


def test_another_network_ends_in_1_and_says_where(folder, sandbox, capsys):
    status, out, _ = compare(capsys, "mine.py:wide", "reference.py:build")

    assert status == 1
    assert "1. convolution 1 (3×3 convolution, 8 maps): its maps: expected 8, received 9" in out


def test_images_of_another_size_are_a_difference_of_the_input(folder, sandbox, capsys):
    status, out, _ = compare(capsys, "mine.py:larger", "reference.py:build")

    assert status == 1
    assert "the input: its size: expected 16×16×3, received 32×32×3" in out


def test_a_model_that_does_not_say_its_size_is_given_one(folder, sandbox, capsys):
    without, told, _ = compare(capsys, "mine.py:subclassed", "reference.py:build")
    status, _, _ = compare(
        capsys, "mine.py:subclassed", "reference.py:build", "--input-shape", "16,16,3"
    )

    assert (without, status) == (1, 0)
    assert "the input shape has to be given" in told


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("two_inputs", "expected a model of one input, received one of 2"),
        ("broken", "NameError: name 'undefined' is not defined (mine.py, line"),
        ("tensor", "expected a model, received KerasTensor"),
        ("nothing", "mine.py has no function nothing; its functions: build"),
    ],
)
def test_a_file_that_gives_no_network_is_one_located_difference(
    folder, sandbox, capsys, function, said
):
    status, out, _ = compare(capsys, f"mine.py:{function}", "reference.py:build")

    assert status == 1
    assert f"mine.py:{function}: expected a network, received none." in out
    assert said in out


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("reference.py:broken", "expected a reference network. NameError"),
        ("reference.py:two_inputs", "expected a model of one input"),
        ("unimportable.py:build", "expected a reference network. ModuleNotFoundError"),
    ],
)
def test_a_reference_that_gives_no_network_is_a_mistake_of_the_command(
    folder, sandbox, capsys, reference, said
):
    (folder / "unimportable.py").write_text("import nothing_of_the_kind\n")

    status, _, err = compare(capsys, "mine.py:build", reference)

    assert status == 2
    assert said in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mine.py", "reference.py:build"], "expected FILE.py:FUNCTION. Received: mine.py"),
        (["mine.py:two words", "reference.py:build"], "expected FILE.py:FUNCTION"),
        (["mine.txt:build", "reference.py:build"], "expected FILE.py:FUNCTION"),
        (["none.py:build", "reference.py:build"], "none.py: expected a Python file"),
        (["a.b.py:build", "reference.py:build"], "expected a name without dots"),
        (["mine.py:build", "reference.py:build", "--input-shape", "32,32"], "--input-shape"),
        (["mine.py:build", "reference.py:build", "--input-shape", "0,32,3"], "--input-shape"),
        (["mine.py:build"], "reference"),
    ],
)
def test_a_wrong_command_line_ends_in_2_and_says_why(folder, capsys, words, said):
    (folder / "a.b.py").write_text(NETWORK)

    status, _, err = compare(capsys, *words)

    assert status == 2
    assert said.casefold() in err.casefold()


def test_what_one_file_patches_does_not_reach_the_other(folder, sandbox, capsys):
    patched = "import keras\nkeras.layers.Conv2D.__init__ = None\n"
    (folder / "patching.py").write_text(patched + NETWORK)

    first, _, _ = compare(capsys, "patching.py:build", "reference.py:build")
    second, _, _ = compare(capsys, "mine.py:build", "reference.py:build")

    assert (first, second) == (1, 0)


def test_the_findings_are_written_as_json(folder, sandbox, capsys):
    status, _, _ = compare(
        capsys, "mine.py:wide", "reference.py:build", "--json", str(folder / "found.json")
    )

    told = json.loads((folder / "found.json").read_text())
    assert status == 1
    assert told["same"] is False
    assert told["mine"] == "mine.py:wide"
    assert told["findings"][0]["where"] == "convolution 1"
    assert told["findings"][0]["severity"] == "deviation"
