"""The catalogue of submissions holds what it promises; nothing of it is run here.

`build_catalogue.py` beside this file builds every mutant in Keras.
"""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from grader.checks import CHECKS
from grader.selftest import frozen
from grader.selftest.catalogue import (
    FAMILIES,
    Mutant,
    MutantError,
    catalogue,
    read_catalogue,
    write,
)
from grader.selftest.mutant import Edit
from grader.selftest.reference import REFERENCE

CONTRACT = {"dense_block", "transition", "build_densenet", "build_model", "preprocess"}


def functions(source: str) -> set[str]:
    """The names of the functions defined at the top of a text."""
    return {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}


def test_the_catalogue_is_large_enough():
    kinds = Counter(mutant.kind for mutant in catalogue())

    assert kinds["wrong"] >= 480
    assert kinds["right"] >= 110
    assert kinds["remark"] >= 25


def test_names_are_in_kebab_case():
    names = [mutant.name for mutant in catalogue()]

    assert [name for name in names if not re.fullmatch(r"[a-z0-9]+([-.][a-z0-9]+)*", name)] == []


def test_the_reference_keeps_the_submission_contract():
    assert functions(REFERENCE) >= CONTRACT


def test_every_edit_fits_and_the_result_is_python_that_keeps_the_contract():
    for mutant in catalogue():
        source = mutant.source()

        assert (source == REFERENCE) == (mutant.name == "reference"), mutant.name
        assert mutant.raises or functions(source) >= CONTRACT, mutant.name


def test_no_two_mutants_are_the_same_text():
    counts = Counter(mutant.source() for mutant in catalogue())

    assert [source for source, count in counts.items() if count > 1] == []


def test_every_check_is_needed_by_some_mutant():
    needed = {name for mutant in catalogue() for name in mutant.loses}

    assert needed == {check.name for check in CHECKS}


def test_a_mistake_in_one_place_is_found_in_that_place_by_its_frozen_verdict():
    verdicts = frozen.read().catalogue
    places = {
        mutant.name: [p for line in verdicts[mutant.name].values() for p in line.places]
        for mutant in catalogue()
    }
    located = [m for m in catalogue() if m.kind == "wrong" and m.where]

    missed = [m.name for m in located if not any(m.where in place for place in places[m.name])]

    assert len(located) > 400
    assert len(missed) <= 0.03 * len(located), missed


def test_a_mutant_loses_the_checks_whose_rule_it_breaks_by_its_frozen_verdict():
    verdicts = frozen.read().catalogue

    for mutant in catalogue():
        failed = {c for c, line in verdicts[mutant.name].items() if line.outcome == "failed"}
        assert set(mutant.loses) <= failed, mutant.name


def test_every_family_says_what_it_holds():
    for file in FAMILIES.iterdir():
        assert re.match(r"[A-Z].*\.\n", file.read_text(encoding="utf-8")), file.name


def test_an_edit_that_does_not_fit_is_refused_with_its_line():
    mutant = Mutant("none", why="Nothing.", edits=(Edit("nowhere", "x", "stems.txt, line 7"),))

    with pytest.raises(MutantError, match=r"stems.txt, line 7: .* Received, 0 times: 'nowhere'"):
        mutant.source()


def test_an_edit_that_fits_twice_is_refused():
    twice = REFERENCE.count("num_classes")

    with pytest.raises(MutantError, match=f"Received, {twice} times"):
        Mutant("twice", why="A name.", edits=(Edit("num_classes", "classes"),)).source()


def test_a_definition_replaces_its_namesake_and_another_is_added_before_it():
    define = "def head(x, num_classes):\n    return added(x)\n\n\ndef added(x):\n    return x\n"

    source = Mutant("head", why="Another head.", define=define).source()

    assert source.count("def head(") == source.count("def added(") == 1
    assert "GlobalAveragePooling2D" not in source
    assert source.index("def added(") < source.index("def conv(")


def test_a_name_that_two_families_give_is_refused(tmp_path: Path):
    for family in ("one.txt", "two.txt"):
        (tmp_path / family).write_text("== same\nThe same.\nbn_relu => bn_and_relu\n")

    with pytest.raises(MutantError, match=r"two.txt: .* Received: same, as in one.txt"):
        read_catalogue(tmp_path)


def test_write_makes_a_submission_folder(tmp_path: Path):
    mutant = catalogue()[0]

    path = write(mutant, tmp_path / "new" / mutant.name)

    assert path == tmp_path / "new" / mutant.name / "densenet.py"
    assert path.read_text(encoding="utf-8") == mutant.source()


def test_reading_the_catalogue_imports_neither_keras_nor_tensorflow():
    program = (
        "import sys; from grader.selftest.catalogue import catalogue; "
        "[m.source() for m in catalogue()]; "
        "sys.exit(any(name in sys.modules for name in ('keras', 'tensorflow')))"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
