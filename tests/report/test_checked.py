"""The screen of `grade check`: the first cause, then in the last lines the score and what next."""

import io
import subprocess
import sys

import pytest
from rich.console import Console

from grader.domain import Finding, GradeStatus, MeasuredAccuracy, Outcome
from grader.report.causes import Pasted, causes_of, first_sentences, places_of
from grader.report.terminal import one_line, render

WIDTH, LINES = 80, 24


def checked(examples, name: str, status: GradeStatus | None = None, **how) -> list[str]:
    """The screen for one of the example grades, as the student's own check gives it."""
    grade = getattr(examples, name)()
    kept = [c for c in grade.checks if c.name != "accuracy"]
    own = examples.grade(
        examples.submission("mine", received_at=None, received_from=None),
        [c.model_copy(update={"max_score": 1.0, "score": 0.0}) for c in kept],
        measured=MeasuredAccuracy(note="accuracy is measured when the submission is graded"),
    )
    own = own if status is None else own.model_copy(update={"status": status})
    file = io.StringIO()
    console = Console(file=file, width=WIDTH)
    console.print(render(own, examples.ASSIGNMENT, checking=True, **how))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_an_import_error_is_the_first_line_and_nothing_else_is_said(examples):
    assert checked(examples, "stopped") == [
        " densenet.py, line 3: ModuleNotFoundError: No module named 'torch'",
        "      3 │ import torch",
        " help      torch is not here. Only the standard library, NumPy, TensorFlow and",
        "           Keras are installed: remove the import, or move what needs it under",
        "           `if __name__ == '__main__':`.",
        "",
        "  CHECKED   0 of 82 points so far  (1 failed, 19 skipped)",
        " Nothing else could be checked. Next: mend line 3, then `grade check` again.",
    ]


def test_the_first_cause_stands_first_and_the_next_step_last_on_one_small_screen(examples):
    lines = checked(examples, "deviating")

    assert len(lines) <= LINES
    assert lines[2].startswith(" 1  dense_block, layers 1 to ")
    assert any("3 further checks follow from this: parameter-count-block" in x for x in lines)
    assert any(x.startswith(" 2  it receives the block's input: dense_block, l") for x in lines)
    assert lines[-1] == " Next: mend 1, then `grade check` again.  Everything: grade check --all"
    assert "CHECKED" in lines[-3]
    assert "of 82 points so far" in lines[-3]


def test_what_a_person_has_to_look_at_has_its_points_and_its_next_step_all_the_same(examples):
    lines = checked(examples, "deviating", GradeStatus.REVIEW)

    assert lines[0].split()[-4:] == ["82", "points", "so", "far"]
    assert lines[-3].startswith("  NEEDS REVIEW   55 of 82 points so far")
    assert lines[-1] == " Next: mend 1, then `grade check` again.  Everything: grade check --all"


def test_nothing_of_a_grading_stands_in_a_check(examples):
    for everything in (False, True):
        text = "\n".join(checked(examples, "deviating", everything=everything))

        assert "CHECKED" in text
        for word in ("GRADED", "Deadline", "isolation", "submission  ", "sha256"):
            assert word not in text


def test_all_shows_every_finding_and_ends_alike(examples):
    few, everything = (
        checked(examples, "deviating"),
        checked(examples, "deviating", everything=True),
    )

    assert few[-3:] == everything[-3:]
    assert "    received  not at all" in everything
    assert "    received  not at all" not in few


def test_a_check_that_passed_says_what_comes_next(examples):
    lines = checked(examples, "full_marks")

    assert "82 of 82 points so far" in lines[-4]
    assert lines[-1] == " Next: train (`grade train`), then `grade pack`."


def test_quiet_says_what_failed(examples):
    line = one_line(examples.stopped(), checking=True).plain

    assert line.startswith("s5678901  checked  0 / 100")
    assert "ModuleNotFoundError: No module named 'torch'" in line
    assert "bottleneck: dense_block, layers 1 to 4: the maps its 1×1 convolution" in (
        one_line(examples.deviating()).plain
    )


def test_quiet_names_the_dearest_cause_of_a_grade_and_the_first_to_mend_of_a_check(examples):
    grade = examples.deviating()
    first, *_, last = [cause.check.name for cause in causes_of(grade.checks)]
    dear = [
        c.model_copy(update={"max_score": 90.0, "score": 0.0}) if c.name == last else c
        for c in grade.checks
    ]
    grade = grade.model_copy(update={"checks": tuple(dear), "message": None})

    assert f"  {last}: " in one_line(grade).plain
    assert f"  {first}: " in one_line(grade, checking=True).plain


def test_a_consequence_whose_cause_nobody_may_see_stands_for_itself(examples):
    grade = examples.deviating()
    shown = [c for c in grade.checks if c.name != "bottleneck"]

    assert "parameter-count-network" in [c.check.name for c in causes_of(shown)]


def test_points_of_all_causes_together_are_the_points_that_were_lost(examples):
    for name in ("deviating", "stopped"):
        checks = [c for c in getattr(examples, name)().checks if c.name != "accuracy"]
        lost = sum(c.max_score - c.score for c in checks if c.outcome is not Outcome.PASSED)

        assert sum(cause.lost for cause in causes_of(checks)) == pytest.approx(lost)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_command_that_was_wrapped_is_still_python(width):
    call = (
        'python -c "import math, cmath as d; print(d.isclose(complex(1, 2), complex(1, 2), '
        'rel_tol=0.5, abs_tol=0.25))"'
    )
    console = Console(file=io.StringIO(), width=width)
    console.print(Pasted(call))
    shown = [line.rstrip() for line in console.file.getvalue().splitlines()]
    program = "\n   ".join(shown).removeprefix('python -c "').removesuffix('"')
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert ran.stdout == "True\n"
    assert max(map(len, shown[1:]), default=0) <= width


def test_what_passed_stands_in_a_line_for_each_group(examples):
    lines = checked(examples, "deviating")

    assert any(x.startswith(" ✓ shape        module-contract, ") for x in lines)
    assert any(x.startswith(" ✓ architecture ") for x in lines)


@pytest.mark.parametrize(
    ("places", "said"),
    [
        (("block 1, layer 1", "block 1, layer 2", "block 1, layer 3"), "block 1, layers 1 to 3"),
        (("block 1, layer 1", "block 1, layer 2"), "block 1, layers 1 and 2"),
        (
            ("block 1, layer 3", "block 1, layer 1", "block 1, layer 6"),
            "block 1, layers 1, 3 and 6",
        ),
        (("block 1, layer 2", "block 2, layer 1"), "block 1, layer 2; block 2, layer 1"),
        (("block 1", "block 2", "block 3"), "blocks 1 to 3"),
        (("stem", "head"), "stem (also head)"),
        ((), "stem (also head)"),
        (
            ("a 1", "b 1", "c 1", "d 1", "e 1"),
            "a 1; b 1; c 1; 2 more",
        ),
    ],
)
def test_many_places_are_named_in_few_words(places, said):
    finding = Finding(where="stem (also head)", message="x", places=places)

    assert places_of(finding) == said


def test_of_an_exception_a_headline_holds_the_first_sentences():
    keras = (
        "ValueError: A KerasTensor cannot be used as input to a TensorFlow function. "
        "A KerasTensor is a symbolic placeholder for a shape and dtype, used when constructing "
        "Keras Functional models or Keras Functions. You can only use it as input to a layer."
    )

    assert first_sentences(keras) == keras.partition(" A KerasTensor is")[0]
    assert first_sentences("TypeError: Short. And Clear.") == "TypeError: Short. And Clear."
