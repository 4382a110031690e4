"""`grade report`: finished grades from disk, to standard output."""

import pytest

from grader.cli import run
from grader.domain import Grade, GradeStatus, Provenance, SubmissionRef
from grader.errors import Cause
from grader.export.json import write_json

PROVENANCE = Provenance(grader="0.1.0", assignment_sha256="0" * 64)


def a_grade(student, status=GradeStatus.GRADED, **more):
    return Grade(
        student_id=student,
        submission=SubmissionRef(source=f"{student}.zip"),
        status=status,
        score=82.0 if status is GradeStatus.GRADED else 0.0,
        max_score=100.0,
        provenance=PROVENANCE,
        **more,
    )


REJECTED = a_grade(
    "s2",
    GradeStatus.REJECTED,
    cause=Cause.SUBMISSION_BAD_ARCHIVE,
    message="s2.zip is no zip file",
)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "grades.json"


def test_one_grade_is_shown_as_its_report(file, capsys):
    write_json([a_grade("s1")], file)

    status = run(["report", str(file)])
    seen = capsys.readouterr()
    assert status == 0
    assert "s1" in seen.out
    assert "82 / 100" in seen.out
    assert seen.err == ""


def test_a_run_directory_is_shown_by_the_grade_in_it(tmp_path, capsys):
    write_json([a_grade("s1")], tmp_path / "grade.json")

    run(["report", str(tmp_path)])
    assert "82 / 100" in capsys.readouterr().out


def test_several_grades_are_shown_as_a_table_with_every_student(file, capsys):
    write_json([a_grade("s1"), REJECTED], file)

    status = run(["report", str(file)])
    out = capsys.readouterr().out
    assert status == 1
    assert "s1" in out
    assert "s2" in out


def test_quiet_gives_one_line_for_each_grade(file, capsys):
    write_json([a_grade("s1"), REJECTED], file)

    run(["report", str(file), "--quiet"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["s1", "s2"]


def test_nothing_to_report_is_a_usage_error_that_names_the_path(tmp_path, capsys):
    status = run(["report", str(tmp_path / "none.json")])

    seen = capsys.readouterr()
    assert status == 2
    assert "none.json" in seen.err
    assert seen.out == ""


def test_what_goes_into_a_pipe_has_no_colour_codes(file, capsys):
    write_json([a_grade("s1")], file)

    run(["report", str(file)])
    assert "\x1b" not in capsys.readouterr().out


def test_a_quiet_line_is_whole_in_a_pipe_however_long_its_reason(file, capsys):
    reason = "the file " + "a-very-long-name-" * 15 + "is no zip file"
    write_json([REJECTED.model_copy(update={"message": reason})], file)

    run(["report", str(file), "--quiet"])

    assert capsys.readouterr().out == f"s2  rejected  no score (of 100)  {reason}\n"


def test_the_class_table_is_sorted_filtered_and_narrowed_from_the_command_line(file, capsys):
    write_json([a_grade("zoe"), REJECTED, a_grade("amy", remarks=())], file)

    def shown(*words):
        run(["report", str(file), *words])
        out = capsys.readouterr().out
        return [name for name in ("amy", "s2", "zoe") if f"\n {name} " in out], out

    assert shown("--failed-only")[0] == ["amy", "s2", "zoe"]
    assert shown("--filter", "zip")[0] == ["s2"]
    out = shown("--sort", "student")[1]
    assert out.index("amy") < out.index("s2") < out.index("zoe")
    assert "1 of 3 lines are shown" in shown("--filter", "zoe")[1]
