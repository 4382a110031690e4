"""A course whose assignment is five functions: `[[functions]]` of assignment.toml, end to end.

tests/courses/images is the worked example that docs/course-authors.md names. No test here needs
TensorFlow: an assignment of functions alone is graded without it.
"""

import gzip
import json
import shutil
from pathlib import Path

import pytest

from grader.course import GradeOptions
from grader.domain import GradeStatus, Outcome
from grader.errors import AssignmentError, UsageError
from grader.pipeline import check_folder, regrade
from grader.run.functions import publish_calls
from grader.sandbox.process import ProcessSandbox
from tests.grading import grade_paths

EXAMPLE = Path(__file__).parents[1] / "courses" / "images"


class Watched(ProcessSandbox):
    """Keeps what it was asked."""

    def __init__(self, **how):
        super().__init__(**how)
        self.asked = []

    def run(self, stage):
        self.asked.append(stage)
        return super().run(stage)


@pytest.fixture(scope="module")
def room():
    """One warm sandbox for all of these tests."""
    room = Watched(warm=True)
    yield room
    room.close()


@pytest.fixture(autouse=True)
def here(room, monkeypatch):
    room.asked.clear()
    monkeypatch.setattr("grader.sandbox.open_sandbox", lambda *a, **k: room)
    monkeypatch.setattr(room, "close", lambda: None)


@pytest.fixture
def course(tmp_path):
    shutil.copytree(EXAMPLE, tmp_path / "course")
    return tmp_path / "course"


def options(course, **changes):
    fields = {"assignment_dir": course, "results_dir": course.parent / "results", **changes}
    return GradeOptions(**fields)


def graded(course, *names):
    return grade_paths([course / "submissions" / n for n in names], options(course), lambda g: None)


def write(course, text, name="right"):
    file = course / "submissions" / name / "images.py"
    file.write_text(text + "\n" + file.read_text())


def by_name(grade):
    return {check.name: check for check in grade.checks}


def change(course, *pairs):
    file = course / "assignment.toml"
    text = file.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)


def test_right_in_another_style_earns_all_and_each_wrong_function_is_told(course):
    right, wrong = graded(course, "right", "wrong")

    assert (right.status, right.score, right.max_score) == (GradeStatus.GRADED, 10, 10)
    checks = by_name(wrong)
    assert wrong.score == 0
    assert "height and width are swapped" in checks["crop"].rationale
    assert "rounds up where the sheet rounds down" in checks["halves"].rationale
    assert "leaves image as it was" in checks["invert"].rationale
    assert "no such file" in checks["save"].rationale
    assert checks["first-line"].findings[0].expected == "FileNotFoundError"
    crop = checks["crop"].findings[0]
    assert crop.asked.startswith("crop(")
    assert len(crop.pictures) == 2


def test_the_reference_runs_once_for_a_class_and_never_beside_a_student(course, room):
    graded(course, "right", "wrong")

    names = [stage.name for stage in room.asked]
    assert names == ["call"] * 3
    reference, *students = (json.dumps(dict(stage.request)) for stage in room.asked)
    assert "rounded_up" in reference
    assert not any("rounded_up" in asked or "reference" in asked for asked in students)
    calls = [stage.request["calls"] for stage in room.asked[1:]]
    assert calls[0] == calls[1]
    graded(course, "right")
    assert len(room.asked) == 3


def test_a_hidden_call_is_told_without_its_values(course):
    write(course, "PUBLIC = {7: 3, 8: 4}")
    file = course / "submissions/right/images.py"
    file.write_text(file.read_text().replace("int(n / 2)", "PUBLIC.get(n, 1000)"))

    (grade,) = graded(course, "right")

    (finding,) = by_name(grade)["halves"].findings
    assert (finding.asked, finding.received) == ("a hidden call", "something else")
    assert finding.pictures == ()
    assert "1000" not in finding.message
    assert "hidden" in finding.help


def test_partial_credit_is_the_share_of_the_hidden_calls(course):
    file = course / "submissions/right/images.py"
    text = file.read_text().replace("= 255 - image", "= 255 - image if len(CALLS) < 5 else 0")
    text = text.replace("def invert(image):", "def invert(image):\n    CALLS.append(1)")
    file.write_text("CALLS = []\n" + text)

    (grade,) = graded(course, "right")

    invert = by_name(grade)["invert"]
    assert (invert.outcome, invert.score) == (Outcome.FAILED, pytest.approx(4 / 3, abs=0.01))
    assert "1 of 5 calls" in invert.rationale


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("import nothing_of_that_name", "nothing_of_that_name is not here"),
        ("raise SystemExit(3)", "module must reach its end"),
        ("def broken(:", ""),
    ],
)
def test_an_import_that_fails_is_told_once(course, line, told):
    write(course, line)

    (grade,) = graded(course, "right")

    first, *others = grade.checks
    assert (grade.score, first.outcome, first.rank) == (0, Outcome.FAILED, 1)
    assert told in (first.help or "")
    assert first.findings[0].line == 1
    assert {(c.outcome, c.follows_from) for c in others} == {(Outcome.SKIPPED, "crop")}


def test_a_missing_function_and_an_exception_are_told_with_their_line(course):
    file = course / "submissions/right/images.py"
    text = file.read_text().replace("def crop(", "def Crop(").replace("int(n / 2)", "n / zero")
    file.write_text(text)

    (grade,) = graded(course, "right")

    checks = by_name(grade)
    assert checks["crop"].findings[0].help == "Call Crop by the name crop."
    (raised,) = checks["halves"].findings
    assert raised.code == "return n / zero"
    assert raised.place == "images.py, line 10, in halves"
    assert (raised.asked, raised.expected) == ("halves(7)", "a result")
    assert checks["save"].outcome is Outcome.PASSED


def test_a_window_that_needs_a_screen_is_told_so(course):
    said = "(-2:Unspecified error) The function is not implemented. Rebuild the library with GTK+"
    file = course / "submissions/right/images.py"
    file.write_text(file.read_text().replace("return int(n / 2)", f"raise OSError({said!r})"))

    (grade,) = graded(course, "right")

    assert "cv2.imshow" in by_name(grade)["halves"].help


def test_a_function_that_does_not_come_back_leaves_the_others_their_turn(course):
    change(course, ("trace_s = 60", "trace_s = 5"))
    file = course / "submissions/right/images.py"
    file.write_text(file.read_text().replace("return int(n / 2)", "while True: pass"))

    (grade,) = graded(course, "right")

    checks = by_name(grade)
    assert "endless loop" in checks["halves"].findings[0].help
    assert checks["crop"].outcome is checks["save"].outcome is Outcome.PASSED


def test_a_run_is_graded_again_by_another_tolerance_and_not_by_other_calls(course, room):
    file = course / "submissions/right/images.py"
    file.write_text(file.read_text().replace("255 - image", "(255 - image) ^ 1"))
    (grade,) = graded(course, "right")
    run = course.parent / "results/runs" / grade.provenance.run
    assert by_name(grade)["invert"].score == 0
    room.asked.clear()

    change(course, ("partial = true", "tolerance = 1"))
    assert (
        by_name(regrade(run, options(course, evaluate=False)))["invert"].outcome is Outcome.PASSED
    )
    assert room.asked == []
    change(course, ("channels = 1", "channels = 3"))
    with pytest.raises(UsageError, match=r"\[\[functions\]\]"):
        regrade(run, options(course, evaluate=False))


def test_what_a_run_kept_is_read_from_its_own_directory(course):
    (grade,) = graded(course, "right")
    run = course.parent / "results/runs" / grade.provenance.run
    shutil.rmtree(course.parent / "results/references")
    shutil.rmtree(course / "reference")

    assert regrade(run, options(course, evaluate=False)).score == 10


def test_without_a_reference_grade_check_says_what_raises_and_compares_nothing(course):
    shutil.rmtree(course / "reference")
    file = course / "submissions/right/images.py"
    file.write_text(file.read_text().replace("int(n / 2)", "n / zero"))

    checks = by_name(check_folder(course / "submissions/right", options(course)))

    assert checks["halves"].outcome is Outcome.FAILED
    assert checks["crop"].outcome is Outcome.SKIPPED
    assert "compared when it is graded" in checks["crop"].rationale


def test_a_missing_reference_is_named_with_its_key(course):
    (course / "reference/images.py").unlink()

    with pytest.raises(AssignmentError, match=r"functions\.0\.same_as.*no such file"):
        graded(course, "right")


def test_a_reference_that_raises_is_a_mistake_of_the_assignment(course):
    change(course, ("may_raise = true", "may_raise = false"))

    with pytest.raises(AssignmentError, match=r"functions\.4.*FileNotFoundError.*may_raise"):
        graded(course, "right")


FORGERIES = """
import gc, os, json, struct
def forge(name, text):
    data = text.encode()
    frame = struct.pack(">4scBQ", b"GRD1", b"J", len(name), len(data)) + name.encode() + data
    for fd in range(100, 130):
        try:
            os.write(fd, frame)
        except OSError:
            pass
"""


@pytest.mark.parametrize(
    "forged",
    [
        'forge("call:crop.0", "{}")',
        'forge("call:crop.0", json.dumps({"failure": None, "result": {"kind": "none"}}))',
        'forge("call:crop.0", "[" * 100000)',
        'forge("call:crop.99", json.dumps({"failure": None, "result": {"kind": "none"}}))',
        'forge("end", "{}")',
    ],
)
def test_forged_frames_earn_nothing(course, forged):
    write(course, FORGERIES + forged)

    (grade,) = graded(course, "right")

    crop = by_name(grade).get("crop")
    # A frame of a call that nobody made is nobody's answer; all others spoil what they forge.
    assert (crop is not None and crop.outcome is Outcome.PASSED) == ("99" in forged)


def test_nothing_that_is_right_stands_where_a_student_could_read_it(course):
    write(
        course,
        "import gc, os\n"
        "seen = [p for p in ('../reference', 'reference', 'public.json.gz') if os.path.exists(p)]\n"
        "asked = [d for d in gc.get_objects() if type(d) is dict and 'calls' in d]\n"
        "assert not seen and not any('expected' in d or 'answers' in d for d in asked)",
    )

    (grade,) = graded(course, "right")

    assert grade.score == 10


def test_grade_check_compares_with_what_was_published(course, room):
    publish_calls(options(course).assignment, room)
    shutil.rmtree(course / "reference")
    room.asked.clear()

    grade = check_folder(course / "submissions/wrong", options(course))

    checks = by_name(grade)
    assert "height and width are swapped" in checks["crop"].rationale
    assert "rounds up where the sheet rounds down" in checks["halves"].rationale
    assert [len(stage.request["calls"]) for stage in room.asked] == [9]
    assert check_folder(course / "submissions/right", options(course)).score == 10


def test_what_was_published_of_other_calls_is_left_alone(course, room):
    publish_calls(options(course).assignment, room)
    shutil.rmtree(course / "reference")
    change(course, ("[[7], [8]]", "[[7], [9]]"))

    checks = by_name(check_folder(course / "submissions/right", options(course)))

    assert checks["halves"].outcome is Outcome.SKIPPED
    assert checks["crop"].outcome is Outcome.PASSED


def test_a_published_file_that_cannot_be_read_is_named(course):
    (course / "public.json.gz").write_bytes(b"not packed")

    with pytest.raises(AssignmentError, match=r"public\.json\.gz.*grade publish"):
        check_folder(course / "submissions/right", options(course))


def test_publishing_writes_the_same_bytes_and_nothing_of_hidden_calls(course, room):
    one = publish_calls(options(course).assignment, room).read_bytes()
    other = publish_calls(options(course).assignment, room).read_bytes()

    content = json.loads(gzip.decompress(one))
    assert one == other
    assert {name: len(kept["calls"]) for name, kept in content.items()} == {
        "crop": 2, "halves": 2, "invert": 2, "save": 2, "first-line": 1,
    }  # fmt: skip
