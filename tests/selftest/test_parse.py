"""Mutants as text: three lines make one, and a line without a meaning is named."""

import ast
import re
from pathlib import Path

import pytest

from grader.cli import run
from grader.errors import EXIT_USAGE
from grader.selftest.catalogue import MutantError, catalogue, read_catalogue
from grader.selftest.parse import parse
from grader.selftest.places import PLACES, place_of
from grader.selftest.reference import REFERENCE

CHECKS = {"stem", "head", "composite-function"}
STEM = "x = conv(inputs, stem, 3) => x = layers.ReLU()(conv(inputs, stem, 3))"


def one(*lines: str):
    (mutant,) = several(*lines)
    return mutant


def several(*lines: str):
    return parse("\n".join(["A family.", "", *lines, ""]), "stems", CHECKS, "stems.txt")


def example_of_contributing() -> str:
    """The mutant that CONTRIBUTING.md adds."""
    guide = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```text\n(== .*?)```", guide, re.DOTALL)
    return lines


def test_the_three_lines_of_contributing_are_a_mutant(tmp_path: Path):
    lines = example_of_contributing()
    (tmp_path / "of-your-own.txt").write_text(lines, encoding="utf-8")

    (mutant,) = read_catalogue(tmp_path)

    assert len(lines.splitlines()) == 3
    assert (mutant.kind, mutant.family) == ("wrong", "of-your-own")
    assert mutant.loses
    assert ast.parse(mutant.source()) is not None
    assert mutant.source() != REFERENCE


def test_a_header_names_checks_and_place():
    mutant = one("== stem-relu loses stem, head at block 2, layer 3", "A ReLU.", STEM)

    assert (mutant.name, mutant.kind, mutant.why) == ("stem-relu", "wrong", "A ReLU.")
    assert (mutant.loses, mutant.where) == (("stem", "head"), "block 2, layer 3")
    assert mutant.source() == REFERENCE.replace(*STEM.split(" => "))


@pytest.mark.parametrize(
    ("header", "kind", "where"),
    [("== a", "right", ""), ("== a remarked", "remark", ""), ("== a remarked at stem", "remark",
      "stem"), ("== a at stem", "right", "stem"), ("== a loses stem", "wrong", "")],
)  # fmt: skip
def test_a_mutant_is_wrong_where_it_loses_checks_and_right_otherwise(header, kind, where):
    mutant = one(header, "A ReLU.", STEM)

    assert (mutant.kind, mutant.where) == (kind, where)


def test_flags_stand_at_the_end_of_the_header():
    mutants = several(
        "== a loses stem at stem (raises)", "A ReLU.", STEM,
        "", "== b (traced only)", "A ReLU.", STEM,
    )  # fmt: skip

    assert [(m.raises, m.runs_on_cpu) for m in mutants] == [(True, True), (False, False)]


def test_lines_that_begin_with_minus_are_replaced_by_those_that_begin_with_plus():
    mutant = one(
        "== head-without-relu loses head", "No ReLU.",
        "-    x = bn_relu(x)",
        "-    x = layers.GlobalAveragePooling2D()(x)",
        "+    x = layers.GlobalAveragePooling2D()(layers.BatchNormalization()(x))",
    )  # fmt: skip

    assert len(mutant.source().splitlines()) == len(REFERENCE.splitlines()) - 1
    assert "GlobalAveragePooling2D()(layers.BatchNormalization()(x))" in mutant.source()


def test_other_lines_are_definitions():
    mutant = one(
        "== head-of-one-s-own loses head", "Another head.",
        "def head(x, num_classes):", "    return x", "", "", "def unused():", "    return 1", "",
    )  # fmt: skip

    assert mutant.source().count("def head(") == mutant.source().count("def unused(") == 1
    assert "    return x\n" in mutant.source()


def test_a_piece_is_shared_and_may_be_edited():
    piece = ["== (Own)", "class Own(layers.Layer):", "    rate = 1", ""]
    call = "return layers.ReLU()(x) => return Own()(x)"
    first = ["== a loses head", "An own layer.", "use Own", call]
    second = ["", "== b loses head", "Of rate 2.", "use Own", "rate = 1 => rate = 2"]

    a, b = several(*piece, *first, *second)

    assert "    rate = 1\n" in a.source()
    assert "    rate = 2\n" in b.source()


# --- places ---------------------------------------------------------------------------------

WITHOUT_RELU = (
    "-    x = bn_relu(x)",
    "-    x = conv(x, filters, kernel_size)",
    "+    x = conv(layers.BatchNormalization()(x), filters, kernel_size)",
)


def test_a_mistake_is_made_everywhere_and_in_each_place():
    header = ("== without-relu loses composite-function at dense_block", "No ReLU.")

    mutants = several(*header, "in layer 2 | last layer | block 3, layer 1", *WITHOUT_RELU)

    assert [(m.name, m.where) for m in mutants] == [
        ("without-relu", "dense_block"),
        ("layer-2-without-relu", "layer 2"),
        ("last-layer-without-relu", "layer"),
        ("block-3-layer-1-without-relu", "block 3, layer 1"),
    ]
    assert mutants[1].why == "No ReLU; in layer 2 only."
    assert len({m.source() for m in mutants}) == 4


def test_a_place_may_lose_other_checks():
    header = ("== leaky loses composite-function", "Another activation.")
    edit = "return layers.ReLU()(x) => return layers.LeakyReLU()(x)"

    mutants = several(*header, "in layer 2 | head loses head, stem", edit)

    lost = [m.loses for m in mutants]
    assert lost == [("composite-function",), ("composite-function",), ("head", "stem")]
    with pytest.raises(MutantError, match="Received: tail"):
        several(*header, "in head loses tail", edit)


def test_only_in_leaves_everywhere_out():
    header = ("== without-relu loses composite-function", "No ReLU.")

    mutants = several(*header, "only in layer 2", *WITHOUT_RELU)

    assert [m.name for m in mutants] == ["layer-2-without-relu"]


def called(source: str) -> dict[str, set[str]]:
    """Function → names that it uses."""
    return {
        node.name: {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize(
    ("place", "calls"),
    [
        ("layer 2", "(odd_dense_layer if layer == 2 else dense_layer)(seen"),
        ("last layer", "(odd_dense_layer if layer == num_layers else dense_layer)(seen"),
        ("basic layers", "(odd_dense_layer if not bottleneck else dense_layer)(seen"),
        ("block 3", "(odd_dense_block if block == 3 else dense_block)(x"),
        ("block 3, layer 1", "(odd_dense_block if block == 3 else dense_block)(x"),
    ],
)
def test_in_one_place_a_copy_is_called_that_has_the_mistake(place, calls):
    header = ("== without-relu loses composite-function", "No ReLU.")
    source = one(*header, f"only in {place}", *WITHOUT_RELU).source()

    assert calls in source
    functions = called(source)
    assert functions["odd_dense_layer"] >= {"odd_composite"}
    assert "bn_relu" not in functions["odd_composite"]
    assert functions["dense_layer"] >= {"composite"}
    assert "bn_relu" in functions["composite"]


def test_a_function_that_is_always_odd_keeps_its_name():
    header = ("== leaky loses head", "Another activation.")
    edit = "return layers.ReLU()(x) => return layers.LeakyReLU()(x)"

    source = one(*header, "only in head", edit).source()

    functions = called(source)
    assert "odd_bn_relu" in functions["head"]
    assert "LeakyReLU" in source
    assert functions["transition"] >= {"bn_relu"}
    assert "odd_head" not in functions


def test_a_layer_that_is_odd_in_one_block_has_both_in_its_place():
    header = ("== layer-3-misses-layer-2 loses stem at layer 3", "A link is missing.")
    edit = "seen = join(features) => seen = join(features[:2] if layer == 3 else features)"

    mutant = one(*header, "only in block 2", edit)

    assert (mutant.name, mutant.where) == ("block-2-layer-3-misses-layer-2", "block 2, layer 3")


def test_a_place_that_the_edits_do_not_touch_is_refused():
    header = ("== without-relu loses composite-function", "No ReLU.")

    with pytest.raises(
        MutantError, match=r"stems.txt, transition-1-without-relu: .* makes transition 1"
    ):
        one(*header, "only in transition 1", *WITHOUT_RELU).source()


def test_every_place_can_be_named_and_no_other():
    words = [pattern.replace(r"(\d+)", "2") for pattern in PLACES]

    assert all(place_of(word) is not None for word in words)
    assert place_of("block 2, layer 3") is not None
    assert [place_of(w) for w in ("layer", "layer two", "layer 3, block 2", "stem")] == [None] * 4


def test_a_definition_that_is_not_python_is_named_with_its_mutant():
    mutant = one("== stem-loop loses stem", "A loop.", "for x in y")

    with pytest.raises(MutantError, match=r"stems.txt, stem-loop: expected ':'"):
        mutant.source()


# --- what has no meaning --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "line", "said"),
    [
        (["== Stem loses stem", "A ReLU.", STEM], 3, "== NAME loses CHECK"),
        (["== stem loses", "A ReLU.", STEM], 3, "Received: == stem loses"),
        (["== stem loses stemm", "A ReLU.", STEM], 3, "Received: stemm"),
        (["== stem loses stem", STEM], 3, "a sentence"),
        (["== stem loses stem"], 3, "Received: nothing"),
        (["== stem loses stem", "A ReLU.", "in stem | block 2", STEM], 5, "Received: stem"),
        (["== stem loses stem", "A ReLU.", "use Nothing", STEM], 3, r"== \(Nothing\)"),
        (["== stem loses stem", "A ReLU.", "+    x = y"], 5, '"-" lines before'),
        (["== a", "A ReLU.", STEM, "", "== a", "A ReLU.", STEM], 7, "a name that is not taken"),
    ],
)
def test_a_line_without_a_meaning_is_named(lines, line, said):
    with pytest.raises(MutantError, match=rf"^stems.txt, line {line}: expected .*{said}"):
        several(*lines)


def test_a_line_without_a_meaning_is_a_usage_error_of_the_command(tmp_path, monkeypatch, capsys):
    (tmp_path / "stems.txt").write_text("Stems.\n\n== Stem loses stem\nA ReLU.\n", encoding="utf-8")
    monkeypatch.setattr("grader.selftest.catalogue.FAMILIES", tmp_path)
    catalogue.cache_clear()
    try:
        status = run(["selftest", "stem"])
    finally:
        catalogue.cache_clear()

    assert status == EXIT_USAGE
    assert "stems.txt, line 3: expected" in capsys.readouterr().err
