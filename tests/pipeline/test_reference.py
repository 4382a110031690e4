"""The reference solution earns full marks through the ordinary path; the template does not."""

from pathlib import Path

import pytest

from grader.course import GradeOptions
from grader.domain import GradeStatus, Outcome
from grader.engine.data import NoData, find_images
from grader.pipeline import regrade
from grader.resources import assignment_dir, reference_dir, template_dir
from grader.student.pack import pack
from tests.grading import grade_paths

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


def graded(path, tmp_path, *, evaluate, own=False):
    options = GradeOptions(
        assignment_dir=assignment_dir(),
        results_dir=tmp_path / "results",
        evaluate=evaluate,
        sandbox="process",
        reference=own,
    )
    (grade,) = grade_paths([path], options, lambda grade: None)
    return grade, options


def data_is_there():
    return not isinstance(find_images(), NoData)


def test_the_packed_reference_earns_full_marks(tmp_path):
    archive = pack(reference_dir(), tmp_path)

    grade, options = graded(archive, tmp_path, evaluate=data_is_there(), own=True)

    lost = [c.name for c in grade.checks if c.outcome is not Outcome.PASSED]
    assert grade.status is GradeStatus.GRADED
    if data_is_there():
        assert lost == []
        assert grade.score == grade.max_score == 100
        assert grade.evaluation is not None
        assert grade.evaluation.accuracy > 0.85
        assert grade.evaluation.images == 10_000
    else:
        assert lost == ["accuracy"]
    (run,) = (p for p in (options.results_dir / "runs").iterdir() if p.is_dir())
    again = regrade(run, GradeOptions(assignment_dir=assignment_dir(), evaluate=False))
    assert again == grade


def test_the_template_as_handed_out_earns_less_and_its_report_says_why(tmp_path):
    grade, _ = graded(Path(template_dir()), tmp_path, evaluate=False)

    said = " ".join(f.message + f.help for c in grade.checks for f in c.findings)
    assert grade.status is GradeStatus.GRADED
    assert grade.score < 20
    assert "NotImplementedError" in said
    assert "Fill in the stub" in said


def test_the_reference_handed_in_by_a_student_goes_to_a_person(tmp_path):
    grade, options = graded(reference_dir(), tmp_path, evaluate=False)

    assert grade.status is GradeStatus.REVIEW
    assert "equal the course's reference solution" in grade.message
    (run,) = (p for p in (options.results_dir / "runs").iterdir() if p.is_dir())
    assert regrade(run, GradeOptions(assignment_dir=assignment_dir(), evaluate=False)) == grade
