"""A course of files like 5-dense_block.py, graded by its assignment.toml alone, without an adapter.

All variants of the blocks are functions of one submission, each with a table of its own: so one
run traces them all.
"""

import json
import re
import shutil
from pathlib import Path

import pytest

from grader.course import GradeOptions
from grader.domain import Outcome
from tests.grading import grade_paths

COURSE = Path(__file__).parents[1] / "courses" / "deep_cnns"
RIGHT, WRONG = "right ones.py", "5-wrong.ones.py"

pytestmark = pytest.mark.tensorflow

BLOCKS = {
    "identity": ("identity_block", "filters = [4, 5, 12]", (8, 8, 12)),
    "projection": ("projection_block", "filters = [4, 5, 12], s = 2", (8, 8, 6)),
    "inception": ("inception_block", "filters = [5, 7, 11, 3, 4, 6]", (8, 8, 6)),
    "dense": ("dense_block", "nb_filters = 6, growth_rate = 3, layers = 3", (8, 8, 6)),
    "transition": ("transition_layer", "nb_filters = 15, compression = 0.5", (8, 8, 15)),
}
"""First word of a function -> reference, arguments, shape of the input."""


def functions_of(file):
    text = (COURSE / "submissions" / "variants" / file).read_text(encoding="utf-8")
    return re.findall(r"^(?:def|class) (\w+)\(", text, re.MULTILINE)


def name_of(function):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", function).replace("_", "-").lower()


def table(function, file=None, **more):
    """A table of [[networks]] for one variant."""
    reference, arguments, shape = BLOCKS[name_of(function).partition("-")[0]]
    keys = {
        "name": f'"{name_of(function)}"',
        "function": f'"{file}:{function}"' if file else f'"{function}"',
        "same_as": f'"reference/networks.py:{reference}"',
        "takes_tensor": "true",
        "arguments": f"{{ {arguments} }}",
        "input_shape": str(list(shape)),
        **({"output": "0"} if "nb_filters" in arguments else {}),
        **more,
    }
    return "\n[[networks]]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())


def course_of(folder, tables):
    """The course with these tables in place of its own."""
    shutil.copytree(COURSE, folder / "course")
    file = folder / "course" / "assignment.toml"
    head = file.read_text(encoding="utf-8").partition("[[networks]]")[0]
    names = re.findall(r'^name = "(.+)"', "".join(tables), re.MULTILINE)
    rubric = "\n[rubric]\n" + "".join(f"{name} = {{ points = 1 }}\n" for name in names)
    file.write_text(head + "".join(tables) + rubric, encoding="utf-8")
    return folder / "course"


def graded(course, name="variants"):
    options = GradeOptions(assignment_dir=course, results_dir=course.parent / "results")
    (grade,) = grade_paths([course / "submissions" / name], options, lambda grade: None)
    return grade


@pytest.fixture(scope="module")
def variants(warm, tmp_path_factory):
    """What each variant's check says, by the name of its function."""
    tables = [table(function) for function in functions_of(RIGHT)]
    tables += [table(function, WRONG) for function in functions_of(WRONG)]
    course = course_of(tmp_path_factory.mktemp("variants"), tables)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("grader.sandbox.open_sandbox", lambda *a, **k: warm)
        grade = graded(course)
    return {check.name: check for check in grade.checks}


@pytest.mark.parametrize("function", functions_of(RIGHT))
def test_a_block_in_another_style_passes_whatever_its_file_and_arguments_are_called(
    variants, function
):
    check = variants[name_of(function)]

    assert [f.message for f in check.findings if f.severity == "deviation"] == []
    assert check.outcome is Outcome.PASSED


MISTAKES = {
    "identity_without_its_shortcut": "sum 1: expected sum of",
    "identity_without_its_last_relu": "between sum 1 and the output: expected ReLU",
    "identity_with_a_small_kernel": "its kernel: expected 3×3, received 1×1",
    "projection_with_a_late_stride": "stride",
    "projection_without_a_norm": "expected BN, received nothing in between",
    "projection_with_a_relu_too_much": "expected BN, received BN → ReLU",
    "inception_with_a_small_pool": "expected 3×3 max pooling",
    "inception_with_a_linear_branch": "expected ReLU, received nothing in between",
    "dense_with_fixed_maps": "its maps: expected 12, received 128",
    "dense_that_forgets": "what it receives: expected the maps of",
    "dense_with_a_stale_number": "result 2: its value: expected 15, received 9",
    "dense_without_a_number": "what it returns: expected 2 results, received the network alone",
    "dense_with_one_layer_for_all": "expected weights of its own",
    "transition_with_max_pooling": "expected 2×2 average pooling, received 2×2 max pooling",
    "transition_that_rounds": "its maps: expected 7, received 8",
    "transition_without_relu": "expected BN → ReLU, received BN",
    "transition_without_a_place": "it takes (X, compression), and has no place for nb_filters",
}
"""Function -> what its first finding says."""


@pytest.mark.parametrize("function", functions_of(WRONG))
def test_a_mistake_is_named_with_the_students_line_and_what_to_try(variants, function):
    check = variants[name_of(function)]

    assert check.outcome is Outcome.FAILED
    first = check.findings[0]
    assert MISTAKES[function] in first.message
    assert first.help
    assert first.asked
    told_of_a_line = first.line > 0 and first.code in (
        COURSE / "submissions" / "variants" / WRONG
    ).read_text(encoding="utf-8")
    assert told_of_a_line or first.message.startswith(("result", "what it", WRONG))


def test_one_mistake_is_one_finding(variants):
    several = {
        name: [f.message for f in check.findings]
        for name, check in variants.items()
        if len([f for f in check.findings if f.severity == "deviation"]) > 1
    }

    assert several == {}


# --- what an author may ask for beside ---


def test_what_must_match_and_what_may_differ_decides(sandbox, tmp_path):
    tables = [
        table("dense_with_a_list", may_differ='["bias"]').replace("dense-with-a-list", "free"),
        table("dense_with_a_list", must_match='["order"]').replace("dense-with-a-list", "order"),
        table("identity_renamed", must_match='["initialisers"]').replace(
            "identity-renamed", "begun"
        ),
        table("identity_renamed", must_match='["idle-bias"]').replace("identity-renamed", "bias"),
    ]

    grade = graded(course_of(tmp_path, tables))

    told = {check.name: [f.message for f in check.findings[:1]] for check in grade.checks}
    assert told["free"] == []
    assert "the order of the maps it receives" in told["order"][0]
    assert "the initialiser of its weights: expected HeNormal, received" in told["begun"][0]
    assert "idle" in told["bias"][0]
    outcomes = [check.outcome for check in grade.checks]
    assert outcomes == [Outcome.PASSED, *[Outcome.FAILED] * 3]


def test_of_several_references_any_is_accepted_and_the_nearest_one_is_told(sandbox, tmp_path):
    both = '["reference/networks.py:projection_block", "reference/networks.py:identity_block"]'
    shape, arguments = "[8, 8, 12]", "{ filters = [4, 5, 12] }"
    more = {"same_as": both, "input_shape": shape, "arguments": arguments}
    tables = [
        table("identity_renamed", **more),
        table("identity_with_a_small_kernel", WRONG, **more),
    ]

    right, wrong = graded(course_of(tmp_path, tables)).checks

    assert right.outcome is Outcome.PASSED
    assert [f.what for f in wrong.findings if f.severity == "deviation"] == ["its kernel"]


def test_what_is_not_there_is_told_with_what_is(sandbox, tmp_path):
    tables = [
        table("dense_block", "5-dense_block.py"),
        table("dense_blocks", WRONG),
        table("identity_renamed", WRONG),
    ]

    checks = graded(course_of(tmp_path, tables)).checks

    said = [check.findings[0].received for check in checks]
    assert said[0] == "no file 5-dense_block.py; there are: 5-wrong.ones.py, right ones.py"
    assert said[1].startswith("5-wrong.ones.py has no function dense_blocks; its functions: ")
    assert "identity_renamed" in said[2]
    assert all(check.findings[0].help for check in checks)


@pytest.mark.exhaustive
def test_the_whole_course_is_graded_without_an_adapter(sandbox, tmp_path):
    shutil.copytree(COURSE, tmp_path / "course")

    grade = graded(tmp_path / "course", "right")

    lost = [(c.name, f.message) for c in grade.checks for f in c.findings if c.score < c.max_score]
    assert (grade.score, lost) == (32, [])
    assert json.loads(grade.model_dump_json())["evaluation"] is None
