"""The report for a terminal, held against golden files; hostile text changes nothing but itself.

GOLDEN=write pytest tests/report  writes the golden files anew; look at them before committing.
"""

import io
import os
import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from rich.console import Console

from grader.domain import Finding, Outcome
from grader.report.classtable import render_class
from grader.report.terminal import one_line, render
from grader.report.words import duration

GOLDEN = Path(__file__).parent / "golden"
NAMES = (
    "full_marks",
    "deviating",
    "without_evaluation",
    "under_review",
    "stopped",
    "rejected",
    "withheld",
    "hostile",
)
FORBIDDEN = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\ud800-\udfff]"
)


def printed(renderable, width: int, crop: bool = True, **options) -> str:
    """What a console without colour prints, without the spaces at line ends."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=options.pop("encoding", "utf-8"), newline="\n")
    console = Console(file=file, width=width, **options)
    console.print(renderable, crop=crop)
    file.flush()
    text = file.buffer.getvalue().decode(file.encoding)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def hold(name: str, text: str) -> None:
    """Compare with the golden file, or write it where GOLDEN=write asks for it."""
    # The assignment's hash changes with every edit of assignment.toml.
    text = re.sub(r"(assignment +)[0-9a-f]{12}", r"\1<sha256>", text)
    file = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", NAMES)
def test_the_report_is_the_golden_one(examples, name, width):
    text = printed(render(getattr(examples, name)(), examples.ASSIGNMENT), width)

    hold(f"{name}.{width}.txt", text)


@pytest.mark.parametrize("width", [80, 140])
def test_the_class_table_is_the_golden_one(examples, width):
    text = printed(render_class([one() for one in (*examples.ALL, examples.hostile)]), width)

    hold(f"class.{width}.txt", text)


@pytest.mark.parametrize("width", [40, 80, 100, 140, 300])
@pytest.mark.parametrize("name", NAMES)
def test_no_line_is_wider_than_the_screen(examples, name, width):
    text = printed(render(getattr(examples, name)(), examples.ASSIGNMENT), width)

    assert max(len(re.sub("\u0301", "", line)) for line in text.splitlines()) <= width


@pytest.mark.parametrize("width", [80, 140])
def test_a_hostile_submission_puts_no_control_code_on_the_screen(examples, width):
    grade = examples.hostile()

    text = printed(render(grade, examples.ASSIGNMENT), width)
    text += printed(one_line(grade), width) + printed(render_class([grade]), width)

    assert not FORBIDDEN.search(text)
    assert "[bold green]100/100[/]" in text


def everywhere(record, text: str):
    """The record with every free string replaced: what enums and patterns do not bind."""
    kept = {"sha256", "assignment_sha256", "mode", "isolation", "received_from", "visibility"}
    update = {}
    for name in type(record).model_fields:
        value = getattr(record, name)
        if type(value) is str and name not in kept | {"severity"}:
            update[name] = text
        elif isinstance(value, BaseModel):
            update[name] = everywhere(value, text)
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            update[name] = tuple(everywhere(one, text) for one in value)
    return record.model_copy(update=update)


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", NAMES)
def test_every_string_of_a_grade_may_be_hostile(examples, name, width):
    grade = everywhere(getattr(examples, name)(), examples.HOSTILE)

    text = printed(render(grade, examples.ASSIGNMENT), width)
    text += printed(one_line(grade), width) + printed(render_class([grade]), width)

    assert not FORBIDDEN.search(text)
    assert "alert(1)" in text


def test_colours_of_a_hostile_report_are_the_reports_own(examples):
    def colours(grade) -> set[str]:
        console = Console(file=io.StringIO(), width=80, force_terminal=True, _environ={})
        console.print(render(grade, examples.ASSIGNMENT))
        return set(re.findall(r"\x1b[^m]*m", console.file.getvalue()))

    own = set().union(*(colours(one()) for one in examples.ALL))

    assert colours(examples.hostile()) <= own


def test_a_hostile_report_stays_short(examples):
    text = printed(render(examples.hostile(), examples.ASSIGNMENT), 80)

    assert len(text.splitlines()) < 200


def test_no_color_is_obeyed_and_the_words_stay(examples):
    console = Console(file=io.StringIO(), width=80, force_terminal=True, _environ={"NO_COLOR": "1"})
    for grade in (examples.deviating(), examples.stopped()):
        console.print(render(grade, examples.ASSIGNMENT))
    text = console.file.getvalue()

    codes = set(re.findall(r"\x1b\[([\d;]*)m", text))
    assert not any(re.search(r"(^|;)(3\d|4\d|9\d)(;|$)", code) for code in codes)
    for word in ("passed", "failed", "skipped", "not met", "late"):
        assert word in text


def test_a_console_without_unicode_gets_plain_marks(examples):
    text = printed(
        render(examples.deviating(), examples.ASSIGNMENT), 80, encoding="utf-8", safe_box=True
    )
    plain = Console(file=io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace"))
    plain.print(render(examples.deviating(), examples.ASSIGNMENT))
    plain.file.flush()
    ascii_text = plain.file.buffer.getvalue().decode("ascii")

    assert "✗ failed" in text
    assert "x failed" in ascii_text


def test_every_failed_check_says_where_what_was_expected_and_received_and_helps(examples):
    text = printed(render(examples.deviating(), examples.ASSIGNMENT), 80)

    assert "dense_block, layers 3 and 4: it receives" in text
    assert "expected  once, whole" in text
    assert "received  not at all" in text
    assert "help      Concatenate the block's input and all earlier layers' maps" in text
    assert "paper     Huang et al. 2017, eq. 2" in text


def test_many_findings_of_one_kind_are_folded(examples):
    # Invented: the judge itself names places that are alike in one finding.
    layers = [(block, layer) for block in (1, 2, 3) for layer in (3, 4, 5, 6)]
    links = [
        Finding(
            where=f"block {block}, layer {layer}",
            message=f"input: expected {layer} sources, received {layer - 1}",
            what="input",
            received=f"the same without layer {layer - 2}",
        )
        for block, layer in layers
    ]
    failed = examples.check("dense-connectivity", Outcome.FAILED, findings=links)
    grade = examples.grade(examples.submission("s1"), examples.checks(failed))

    text = printed(render(grade, examples.ASSIGNMENT), 80)

    assert "+ 10 more of the same kind: block 1, layer 5;" in text
    assert text.count("the same without layer") == 2


def test_missing_isolation_is_said_in_words_and_in_red(examples):
    console = Console(file=io.StringIO(), width=80, force_terminal=True, _environ={})
    console.print(render(examples.without_evaluation(), examples.ASSIGNMENT))

    assert "\x1b[1;31mnone" in console.file.getvalue()
    assert "student code ran without a sandbox" in console.file.getvalue()


def test_points_that_nobody_decided_on_are_called_open(examples):
    text = printed(render(examples.without_evaluation(), examples.ASSIGNMENT), 80)

    assert "partial: 18 points open" in text
    assert "not evaluated: CIFAR-10 is not in nowhere" in text


@pytest.mark.parametrize("name", ["under_review", "rejected", "withheld"])
def test_what_is_not_graded_shows_no_number_as_its_score(examples, name):
    grade = getattr(examples, name)()

    text = printed(render(grade, examples.ASSIGNMENT), 80)

    assert "no score (of 100)" in text
    assert "no score (of 100)" in one_line(grade).plain
    assert "0 / 100" not in text


def test_the_deadline_is_shown_in_the_courses_zone_and_in_utc(examples):
    text = printed(render(examples.deviating(), examples.ASSIGNMENT), 80)

    assert "2027-09-30 23:00:01 +05:30  =  2027-09-30 17:30:01 UTC" in text
    assert "difference   1 s late" in text
    assert "effect       −10 points" in text


def test_a_report_without_its_assignment_shows_times_in_the_due_dates_zone(examples):
    text = printed(render(examples.full_marks()), 80)

    assert "2027-09-30 23:00:00 +05:30" in text


def test_a_changed_assignment_is_pointed_out(examples):
    changed = examples.ASSIGNMENT.model_copy(update={"sha256": "0" * 64})

    text = printed(render(examples.full_marks(), changed), 80)

    assert "the assignment's file has changed since" in text


@pytest.mark.parametrize("name", NAMES)
def test_quiet_is_one_line_cut_on_a_screen_and_whole_in_a_pipe(examples, name):
    line = render(getattr(examples, name)(), examples.ASSIGNMENT, quiet=True)

    screen = printed(line, 80, force_terminal=True, color_system=None)
    pipe = printed(line, 80, crop=False)

    assert len(screen.splitlines()) == len(pipe.splitlines()) == 1
    assert len(screen.replace("\u0301", "")) <= 81
    assert pipe.startswith(screen.rstrip("\n").rstrip("…").rstrip())
    assert pipe == printed(line, 1000)


def test_quiet_says_student_verdict_score_and_accuracy(examples):
    assert printed(render(examples.full_marks(), quiet=True), 80) == (
        "s1234567  graded  100 / 100  accuracy 85.73%\n"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (1, "1 s"),
        (3679, "1 h 1 min 19 s"),
        (86400, "1 d"),
        (90061, "1 d 1 h 1 min 1 s"),
    ],
)
def test_durations_are_said_as_a_person_says_them(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("changes", "shown", "not_shown"),
    [
        ({"mode": "retrain", "wall_time_s": 900.2, "time_budget_s": 900.0}, "900.2 s of 900 s",
         "over budget"),
        ({"wall_time_s": 310.0, "time_budget_s": 300.0}, "10.0 s over budget", "charged"),
        ({"wall_time_s": 700.0, "charged_s": 90.0, "time_budget_s": 300.0},
         "90.0 s charged, other programs took the rest", "over budget"),
        ({"wall_time_s": 990.0, "charged_s": 310.0, "time_budget_s": 300.0},
         "10.0 s over budget", "690"),
    ],
    ids=["a retraining half a step late", "too slow", "on a busy machine", "busy and too slow"],
)  # fmt: skip
def test_only_time_of_its_own_that_was_too_long_is_said_not_to_count(
    examples, changes, shown, not_shown
):
    grade = examples.full_marks()
    measured = grade.evaluation.model_copy(update={"charged_s": None} | changes)
    text = printed(
        render(grade.model_copy(update={"evaluation": measured}), examples.ASSIGNMENT), 140
    )

    words = " ".join(text.split())
    assert shown in words
    assert not_shown not in words


@pytest.mark.parametrize(
    ("field", "said"),
    [("written_sha256", "dense_block and transition"), ("weights_sha256", "weights")],
)
def test_the_same_work_of_two_is_named_in_the_class_and_in_no_students_report(
    examples, field, said
):
    def of(student, digest):
        grade = examples.full_marks()
        alike = grade.submission.model_copy(update={field: digest})
        return grade.model_copy(update={"student_id": student, "submission": alike})

    grades = [of("ann", "aa" * 32), of("bob", "aa" * 32), of("cat", "bb" * 32), of("dan", None)]
    again = [of("ann", "aa" * 32), of("ann", "aa" * 32)]

    assert f"the same {said}: ann, bob" in " ".join(printed(render_class(grades), 140).split())
    assert "the same" not in printed(render_class(again), 140)
    assert all(
        f"the same {said}" not in printed(render(grade, examples.ASSIGNMENT), 140)
        for grade in grades
    )


def test_the_report_says_where_run_and_pictures_lie(examples):
    grade = examples.full_marks()
    details = grade.evaluation.details.model_copy(update={"pictures": ("confusion.svg", "a.png")})
    measured = grade.evaluation.model_copy(update={"details": details})
    made = grade.provenance.model_copy(update={"run": "3f9a-0c12"})

    text = printed(
        render(grade.model_copy(update={"evaluation": measured, "provenance": made})), 100
    )

    assert " run          runs/3f9a-0c12\n" in text
    assert " pictures     runs/3f9a-0c12/evaluation: confusion.svg, a.png\n" in text
