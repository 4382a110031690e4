"""The table of a class: no two students look alike, the dearest cause is named, nothing is lost."""

import pytest

from grader.domain import Outcome
from grader.report.classtable import View, render_class
from grader.report.overview import distribution, frequent, lost, note
from grader.report.words import bars
from grader.scoring import ACCURACY
from tests import examples
from tests.report.test_terminal import printed


def of(student_id, make=examples.full_marks, **fields):
    return make().model_copy(update={"student_id": student_id} | fields)


def lines(grades, width=80, **view):
    text = printed(render_class(grades, view=View(**view)), width)
    return [line.strip() for line in text.splitlines()]


def students(grades, **view):
    """The first word of each line of the table."""
    shown = lines(grades, **view)
    first = next(n for n, line in enumerate(shown) if line.startswith("──"))
    return [line.split()[0] for line in shown[first + 1 : shown.index("", first)]]


def a_class():
    return [
        of("dora", score=100.0),
        of("Anna", examples.deviating),
        of("carl", examples.rejected),
        of("berta", examples.without_evaluation),
    ]


@pytest.mark.parametrize("width", [80, 140, 200])
def test_ids_that_differ_in_their_last_letter_do_not_look_alike(width):
    ids = ["nguyen.van.anh_48213", "nguyen.van.anh_48299", "x" * 60 + "1", "x" * 60 + "2"]

    shown = "".join(line.split("  ")[0].strip() for line in lines([of(i) for i in ids], width))

    for one in ids:
        assert one in shown


def test_the_note_names_what_cost_most_and_how_much_else_there_is():
    grade = examples.deviating()
    dear = tuple(
        c.model_copy(update={"score": 0.0, "max_score": 40.0}) if c.name == "bottleneck" else c
        for c in grade.checks
    )

    assert note(grade).startswith("1 s late; −18 accuracy: expected above 85.00%")
    told = note(grade.model_copy(update={"checks": dear}))
    assert "; −53 the maps its 1×1 convolution gives: dense_block, layers 1 to 4" in told
    assert "(+ 2 more)" in told


def test_a_wide_screen_shows_the_whole_note():
    (line,) = [line for line in lines([examples.withheld()], 200) if line.startswith("s789")]

    assert line.endswith("Docker: no engine at unix:///nowhere/docker.sock")


WIDTH = "the maps its 1×1 convolution gives: expected 48, received 24"


def test_what_many_did_not_understand_is_counted_by_students_and_not_what_follows_from_it():
    wrong = examples.deviating()
    grades = [wrong, wrong, wrong.model_copy(update={"student_id": "s9"}), examples.stopped()]

    found = {one.check: one for one in frequent(grades)}

    assert found["bottleneck"].students == ("s2345678", "s9")
    assert found["bottleneck"].words == WIDTH
    assert found["module-contract"].students == ("s5678901",)
    assert not {"parameter-count-block", "build-model-parameters"} & found.keys()
    shown = lines(grades, 120)
    assert f"2 bottleneck         {WIDTH}" in shown


def test_the_causes_of_a_grade_come_dearest_first_and_the_accuracy_is_one():
    points = [one.points for one in lost(examples.deviating())]

    assert points == sorted(points, reverse=True)
    assert ACCURACY in {one.check.name for one in lost(examples.deviating())}
    assert lost(examples.full_marks()) == []


def test_scores_are_counted_by_tenths_and_one_alone_is_seen():
    grades = [of(str(n), score=float(n)) for n in (0, 9.99, 10, 55, 99, 100)]

    assert distribution([*grades, examples.rejected()]) == (2, 1, 0, 0, 0, 1, 0, 0, 0, 2)
    assert bars((0, 1, 1000)) == "▁▂█"
    assert bars(()) == ""


def test_below_the_table_stand_verdicts_lateness_passes_and_scores():
    text = "\n".join(lines(a_class(), order="student"))

    assert "4 submissions  3 graded  1 rejected  1 late" in text
    assert "accuracy above 85%: 1 of 2" in text
    assert "0 to 100: mean" in text
    assert "accuracy not evaluated: 1" in text


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        ("class", ["dora", "Anna", "carl", "berta"]),
        ("student", ["Anna", "berta", "carl", "dora"]),
        ("score", ["carl", "Anna", "berta", "dora"]),
        ("accuracy", ["carl", "berta", "Anna", "dora"]),
        ("late", ["Anna", "dora", "carl", "berta"]),
        ("lost", ["Anna", "dora", "carl", "berta"]),
    ],
)
def test_the_table_is_sorted_by_what_is_asked_for(order, wanted):
    assert students(a_class(), order=order) == wanted


@pytest.mark.parametrize(
    ("having", "wanted"),
    [
        ("ANN", ["Anna"]),
        ("rejected", ["carl"]),
        ("bottleneck", ["Anna"]),
        ("a RAR archive", ["carl"]),
        ("", ["dora", "Anna", "carl", "berta"]),
    ],
)
def test_lines_are_found_by_name_verdict_note_and_lost_check(having, wanted):
    assert students(a_class(), having=having) == wanted


def test_only_those_who_lost_points_are_shown_and_the_sums_stay_those_of_the_class():
    shown = lines(a_class(), failed_only=True)

    assert students(a_class(), failed_only=True) == ["Anna", "carl", "berta"]
    assert "3 of 4 lines are shown" in shown
    assert "4 submissions  3 graded  1 rejected  1 late" in shown


def test_a_check_that_was_skipped_is_no_misunderstanding():
    grade = examples.stopped()

    assert [c.name for c in grade.checks if c.outcome is Outcome.SKIPPED]
    names = {one.check for one in frequent([grade])}
    assert names <= {"module-contract", ACCURACY}
