"""A network beside another, in a terminal: one row for each part, all text safe."""

import io

import pytest
from rich.console import Console

from grader.domain import Finding
from grader.graph.drawing import MISSING, Drawing, Row
from grader.report.diff import marked, render_comparison, render_drawing

LAYER = "all maps before it → BN → ReLU → 3×3 convolution, 12 maps"
WRONG = "all maps before it → ReLU → BN → 3×3 convolution, 12 maps"
HOSTILE = '<script>alert(1)</script> [bold red]\x1b[2J\u202e & "quoted"'
DRAWING = Drawing(
    "DenseNet, L = 13, k = 12, θ = 1",
    "build_model",
    (
        Row("stem", "3×3 convolution, 16 maps", "3×3 convolution, 16 maps"),
        Row("block 1, layers 1 to 2", LAYER, LAYER),
        Row("block 1, layer 3", LAYER, WRONG, True, ("a", "b", "c", "d", "e")),
        Row("block 2, layer 3", LAYER, MISSING, True),
        Row("network", "", "", True, ("its dense blocks: expected 3, received 2",)),
        Row("head", "BN → ReLU", HOSTILE, True),
    ),
)


def shown(renderable, width=100):
    file = io.StringIO()
    Console(file=file, width=width, color_system=None).print(renderable)
    return file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_table_fits_every_width_and_says_how_many_rows_differ(width):
    text = shown(render_drawing(DRAWING), width)

    assert max(map(len, text.splitlines())) <= width
    assert "≠ differs: 4 of 6" in text
    assert "build_model() beside DenseNet, L = 13, k = 12, θ = 1" in text.replace("\n", " ")


def test_a_row_says_in_signs_and_words_whether_it_differs():
    lines = shown(render_drawing(DRAWING), 200).splitlines()

    (same,) = [line for line in lines if "layers 1 to 2" in line]
    (wrong,) = [line for line in lines if "block 1, layer 3" in line]
    assert "=" in same
    assert "differs" not in same
    assert "≠" in wrong
    assert "differs: all maps" in wrong


def test_long_notes_are_counted():
    text = shown(render_drawing(DRAWING), 140)

    assert "› c" in text
    assert "› d" not in text
    assert "and 2 more" in text


def test_only_the_steps_that_differ_are_marked():
    row = Row("x", "BN → ReLU → 3×3 convolution, 12 maps", "BN → 3×3 convolution, 9 maps", True)

    paper, network = marked(row)

    assert [text for text, differs in paper if differs] == ["ReLU", "3×3 convolution, 12 maps"]
    assert [text for text, differs in network if differs] == ["3×3 convolution, 9 maps"]


def test_nothing_is_marked_in_a_row_that_is_the_same_though_written_otherwise():
    row = Row("transition 1", "BN → ReLU → 1×1 convolution", "BN → 1×1 convolution", False)

    assert not any(differs for side in marked(row) for _, differs in side)


def test_without_a_network_it_says_so():
    assert "no network to draw" in shown(render_drawing(None))


def test_hostile_text_is_no_markup_in_the_terminal():
    text = shown(render_drawing(DRAWING), 140)

    assert "[bold red]" in text.replace("\n", "")
    assert "\x1b" not in text


# --- grade compare ---


def finding(where, message, severity="deviation", help=""):
    return Finding(where=where, message=message, severity=severity, help=help)


def test_a_comparison_without_deviation_says_the_same_and_tells_remarks():
    text = shown(render_comparison([finding("the output", "logits", "remark")], "a.py:f", "b.py:g"))

    assert text.startswith("a.py:f computes the same network as b.py:g")
    assert "remark: the output" in text


def test_deviations_are_numbered_with_place_and_help():
    found = [
        finding("sum 1", "between a and sum 1: expected BN, received nothing"),
        finding("convolution 2", "convolution 2: its stride: expected 2, received 1", help="Try."),
    ]

    text = shown(render_comparison(found, "a.py:f", "b.py:g"))

    assert "a.py:f computes another network than b.py:g" in text
    assert "1. sum 1\n   between a and sum 1" in text
    assert "2. convolution 2: its stride: expected 2, received 1\n   Try." in text
