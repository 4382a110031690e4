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
from grader.selftest.catalogue import Mutant, MutantError, catalogue, write
from grader.selftest.reference import REFERENCE

CHECK_NAMES = {check.name for check in CHECKS}
CONTRACT = {"dense_block", "transition", "build_densenet", "build_model", "preprocess"}


def functions(source: str) -> set[str]:
    """The names of the functions defined at the top of a text."""
    return {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}


def test_the_catalogue_is_large_enough():
    kinds = Counter(mutant.kind for mutant in catalogue())

    assert kinds["wrong"] >= 130
    assert kinds["right"] >= 50
    assert kinds["remark"] >= 12


def test_names_are_unique_and_in_kebab_case():
    names = [mutant.name for mutant in catalogue()]

    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z0-9]+([-.][a-z0-9]+)*", name)] == []


def test_the_reference_keeps_the_submission_contract():
    assert functions(REFERENCE) >= CONTRACT


@pytest.mark.parametrize("mutant", catalogue(), ids=lambda mutant: mutant.name)
def test_every_edit_fits_and_the_result_is_python_that_keeps_the_contract(mutant):
    source = mutant.source()

    if mutant.raises:
        assert source != REFERENCE
    else:
        assert functions(source) >= CONTRACT
        assert (source == REFERENCE) == (mutant.name == "reference")


def test_no_two_mutants_are_the_same_text():
    counts = Counter(mutant.source() for mutant in catalogue())

    assert [source for source, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("mutant", catalogue(), ids=lambda mutant: mutant.name)
def test_every_mutant_says_why_and_what_must_find_it(mutant):
    assert mutant.why.endswith(".")
    assert set(mutant.kills) <= CHECK_NAMES
    assert bool(mutant.kills) == (mutant.kind == "wrong")


def test_every_check_is_needed_by_some_mutant():
    needed = {name for mutant in catalogue() for name in mutant.kills}

    assert needed == CHECK_NAMES


def test_an_edit_that_does_not_fit_is_refused_with_its_text():
    mutant = Mutant("none", why="An edit of text that is not there.", replace=[("nowhere", "x")])

    with pytest.raises(MutantError, match="received 0 times: 'nowhere'"):
        mutant.source()


def test_an_edit_that_fits_twice_is_refused_unless_it_says_so():
    twice = REFERENCE.count("num_classes")
    edit = ("num_classes", "classes")

    with pytest.raises(MutantError, match=f"received {twice} times"):
        Mutant("twice", why="A name.", replace=[edit]).source()
    assert "num_classes" not in Mutant("all", why="A name.", replace=[(*edit, twice)]).source()


def test_a_definition_replaces_its_namesake_and_another_is_added_before_it():
    define = "def head(x, num_classes):\n    return added(x)\n\n\ndef added(x):\n    return x\n"

    source = Mutant("head", why="Another head.", define=define).source()

    assert source.count("def head(") == source.count("def added(") == 1
    assert "GlobalAveragePooling2D" not in source
    assert source.index("def added(") < source.index("def conv(")


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


def test_the_checks_that_mutants_name_are_those_of_the_grader():
    assert {check.name for check in CHECKS} == CHECK_NAMES
