"""From a path to a run directory to a grade, with a sandbox that answers from hand-written graphs.

No student code runs and no TensorFlow is loaded here.
"""

import json
import shutil
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from grader import checks, pipeline
from grader.assignment import load_assignment
from grader.classroom.submissions import find_submissions
from grader.course import Course, GradeOptions
from grader.domain import GradeStatus, Outcome, Run, RunStatus
from grader.errors import Cause, InfrastructureError, UsageError
from grader.graph.read import reader
from grader.ledger import Ledger, load_or_create_key
from grader.pipeline import check_folder, collect_run, grade_one, regrade
from grader.resources import assignment_dir
from grader.run.assessment import assess
from grader.run.folder import RUN_FILE, SUBMISSION_FILE
from grader.sandbox.contract import Sandbox, StageResult
from tests.grading import grade_paths
from tests.graph.writing import answer, model_answer

FUNCTIONS = ("dense_block", "transition", "build_densenet", "build_model", "preprocess")
RECEIVED = datetime(2027, 9, 1, 12, 0, tzinfo=UTC)


class Replay(Sandbox):
    """Answers every probe as the paper would, or does what it is told to a named submission."""

    isolation = "jail"

    def __init__(self, effects=None):
        self.stages = []
        self.effects = effects or {}
        self.closed = False

    def available(self):
        return None

    def close(self):
        self.closed = True

    def run(self, stage):
        self.stages.append(stage)
        text = (stage.tree / "densenet.py").read_text()
        for word, effect in self.effects.items():
            if word in text:
                return effect(stage)
        return replayed(stage)


def replayed(stage, leave_out=(), cause=None):
    module = {"failure": None, "functions": {key: [] for key in FUNCTIONS}}
    frames = {"module": module}
    for probe in stage.request["probes"]:
        frames["probe:" + probe["id"]] = answer(probe)
    frames["model"] = model_answer()
    encoded = {n: json.dumps(f).encode() for n, f in frames.items() if n not in leave_out}
    status = RunStatus.DONE if cause is None else RunStatus.FAILED
    run = Run(status=status, cause=cause, isolation="jail", wall_time_s=1.0,
              message="" if cause is None else "the program ended")  # fmt: skip
    return StageResult(run, encoded, {"weights": b"\0" * 8}, cause is None)


def raising(error):
    def effect(stage):
        raise error

    return effect


def submission_zip(path, text):
    """A zip with densenet.py, the same bytes for the same text."""
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("densenet.py"), f"# {text}\n")
    return path


@pytest.fixture
def submit(tmp_path):
    """Write a submission: a zip with densenet.py, its text telling them apart."""

    def write(name, text=""):
        return submission_zip(tmp_path / "in" / f"{name}.zip", f"{name} {text}")

    return write


@pytest.fixture
def options(tmp_path):
    return GradeOptions(
        assignment_dir=assignment_dir(),
        results_dir=tmp_path / "results",
        submitted_at=RECEIVED,
        evaluate=False,
    )


@pytest.fixture
def replay(monkeypatch):
    """Grade with this sandbox whatever is asked for."""

    def use(effects=None):
        sandbox = Replay(effects)
        monkeypatch.setattr("grader.sandbox.open_sandbox", lambda *a, **k: sandbox)
        return sandbox

    return use


def course(options, sandbox):
    return Course(
        load_assignment(options.assignment_dir), {}, options, load_or_create_key(), sandbox
    )


def lost(grade):
    return {c.name for c in grade.checks if c.outcome is not Outcome.PASSED}


def test_while_one_network_is_measured_the_next_is_read(submit, options, replay, monkeypatch):
    """With one job: the first measurement ends only once the second submission was read."""
    second_read = threading.Event()

    def second(stage):
        second_read.set()
        return replayed(stage)

    waited = []
    monkeypatch.setattr(pipeline, "_have_accuracy", lambda *_: waited.append(second_read.wait(60)))
    monkeypatch.setattr(pipeline, "assess", lambda *_: SimpleNamespace(status=GradeStatus.GRADED))
    monkeypatch.setattr(Ledger, "write_grade", lambda *_: None)
    monkeypatch.setattr(pipeline, "marked", lambda grades, ledger: grades)
    replay({"second": second})
    submit("a first")
    submit("b second")

    grade_paths([submit("a first").parent], options, lambda grade: None)

    assert waited == [True, True]


def test_no_more_are_read_at_a_time_than_there_are_jobs(submit, options, replay):
    at_once, most = [], []

    def counted(stage):
        at_once.append(stage)
        most.append(len(at_once))
        answered = replayed(stage)
        at_once.pop()
        return answered

    replay({"many": counted})
    for number in range(4):
        submit(f"{number} many")

    grade_paths([submit("0 many").parent], options, lambda grade: None)

    assert most == [1, 1, 1, 1]


def test_a_network_of_the_paper_loses_nothing_but_the_accuracy(submit, options):
    grade = grade_one(submit("right"), course(options, Replay()))

    assert grade.status is GradeStatus.GRADED
    assert lost(grade) <= {"accuracy"}
    assert grade.isolation == "jail"


def test_a_network_that_the_grader_misreads_is_for_a_person(submit, options, monkeypatch):
    run = collect_run(submit("right"), course(options, Replay()))
    assignment = load_assignment(options.assignment_dir)
    as_pooling = reader.RULES["AvgPool"]

    def of_the_largest(graph, op, arguments):
        return as_pooling(graph, replace(op, op="MaxPool"), arguments)

    monkeypatch.setitem(reader.RULES, "AvgPool", of_the_largest)

    grade = assess(run, assignment, {})

    assert grade.status is GradeStatus.REVIEW
    assert grade.message is not None
    assert "fault of the grader" in grade.message


def test_a_run_directory_holds_plain_data_under_names_of_ours(submit, options):
    run = collect_run(submit("right"), course(options, Replay()))

    names = {path.name for path in run.path.iterdir()}
    assert {RUN_FILE, SUBMISSION_FILE, "evaluation.json"} <= names
    assert all(name.endswith((".json", ".bin")) for name in names)


def test_the_hidden_probes_of_a_submission_are_the_same_every_time(submit, options, tmp_path):
    path, sandbox = submit("right"), Replay()
    elsewhere = GradeOptions(
        assignment_dir=options.assignment_dir, results_dir=tmp_path / "other", evaluate=False
    )

    collect_run(path, course(options, sandbox))
    collect_run(path, course(elsewhere, sandbox))
    collect_run(submit("other"), course(options, sandbox))

    first, again, other = (s.request["probes"] for s in sandbox.stages)
    assert first == again
    assert first != other


def test_a_finished_run_is_used_again_and_not_run_twice(submit, options):
    sandbox = Replay()
    path = submit("right")

    first = collect_run(path, course(options, sandbox))
    second = collect_run(path, course(options, sandbox))

    assert first.path == second.path
    assert len(sandbox.stages) == 1


def test_a_run_that_the_machine_broke_off_leaves_nothing_and_is_run_anew(submit, options):
    path = submit("right")
    broken = Replay({"right": raising(InfrastructureError(Cause.INFRA_SANDBOX, "the engine died"))})

    grade = grade_one(path, course(options, broken))
    again = grade_one(path, course(options, Replay()))

    assert (grade.status, grade.cause) == (GradeStatus.WITHHELD, Cause.INFRA_SANDBOX)
    assert again.status is GradeStatus.GRADED


def test_a_regrade_gives_the_identical_grade(submit, options):
    run = collect_run(submit("right"), course(options, Replay()))
    assignment = load_assignment(options.assignment_dir)

    grade = assess(run, assignment, {})
    again = regrade(run.path, GradeOptions(options.assignment_dir, evaluate=False))

    assert again == grade


def test_a_regrade_starts_nothing_and_loads_no_tensorflow(submit, options):
    run_dir = collect_run(submit("right"), course(options, Replay())).path
    program = (
        "import sys; from pathlib import Path; from grader.course import GradeOptions; "
        "from grader.pipeline import regrade; "
        "g = regrade(Path(sys.argv[1]), GradeOptions(Path(sys.argv[2]), evaluate=False)); "
        "heavy = {'tensorflow', 'keras', 'cv2', 'docker', 'jax'} & set(sys.modules); "
        "print(g.status.value, sorted(heavy))"
    )

    said = subprocess.run(
        [sys.executable, "-c", program, run_dir, options.assignment_dir],
        capture_output=True, text=True, check=True, cwd=Path(pipeline.__file__).parents[1],
    ).stdout  # fmt: skip

    assert said.split(maxsplit=1) == ["graded", "[]\n"]


def test_a_moved_receipt_moves_the_deadline_and_nothing_else(submit, options):
    run_dir = collect_run(submit("right"), course(options, Replay())).path
    due = load_assignment(options.assignment_dir).deadline.due
    late = GradeOptions(
        options.assignment_dir, submitted_at=due + timedelta(hours=30), evaluate=False
    )

    in_time = regrade(run_dir, GradeOptions(options.assignment_dir, evaluate=False))
    moved = regrade(run_dir, late)

    assert moved.deadline.seconds_late == 30 * 3600
    assert moved.score < in_time.score
    assert moved.checks[:5] == in_time.checks[:5]


def test_what_is_no_run_directory_is_a_usage_error(tmp_path, options):
    with pytest.raises(UsageError, match=RUN_FILE):
        regrade(tmp_path, options)


@pytest.mark.parametrize("broken", [RUN_FILE, SUBMISSION_FILE, "frame-001.json"])
@pytest.mark.parametrize("how", ["cut", "gone", "nonsense"])
def test_a_broken_run_directory_is_the_machine_s_fault(submit, options, broken, how):
    run_dir = collect_run(submit("right"), course(options, Replay())).path
    file = run_dir / broken
    if how == "gone" and broken != RUN_FILE:
        file.unlink()
    elif how == "cut":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        file.write_bytes(b"\xff{}")

    with pytest.raises(InfrastructureError) as failure:
        regrade(run_dir, GradeOptions(options.assignment_dir, evaluate=False))

    assert failure.value.cause is Cause.INFRA_DISK


def test_a_program_that_ends_early_is_graded_by_what_it_gave(submit, options):
    def ends(stage):
        return replayed(stage, leave_out=("model",), cause=Cause.STUDENT_EXITED)

    grade = grade_one(submit("dies"), course(options, Replay({"dies": ends})))

    assert grade.status is GradeStatus.GRADED
    assert "build-model" in lost(grade)
    assert grade.score < grade.max_score


def test_a_program_that_gives_nothing_earns_nothing(submit, options):
    def silent(stage):
        run = Run(status=RunStatus.FAILED, cause=Cause.STUDENT_TIMEOUT, message="too slow",
                  isolation="jail", wall_time_s=9.0)  # fmt: skip
        return StageResult(run, {}, {}, False)

    grade = grade_one(submit("slow"), course(options, Replay({"slow": silent})))

    assert grade.score == 0
    assert not any(c.outcome is Outcome.PASSED for c in grade.checks)


def test_one_bad_submission_never_stops_the_rest(submit, options, replay, tmp_path):
    sandbox = replay(
        {
            "crash": raising(ValueError("a fault of ours")),
            "dead": raising(InfrastructureError(Cause.INFRA_ENGINE, "gone")),
        }
    )
    for name in ("a-right", "b-crash", "c-dead", "e-right"):
        submit(name)
    (tmp_path / "in" / "d-broken.zip").write_bytes(b"PK\x03\x04 not a zip")
    heard = []

    grades = grade_paths([tmp_path / "in"], options, heard.append)

    assert [(g.status, g.cause) for g in grades] == [
        (GradeStatus.GRADED, None),
        (GradeStatus.WITHHELD, Cause.INFRA_GRADER_BUG),
        (GradeStatus.WITHHELD, Cause.INFRA_ENGINE),
        (GradeStatus.REJECTED, Cause.SUBMISSION_BAD_ARCHIVE),
        (GradeStatus.GRADED, None),
    ]
    assert len(heard) == 5
    assert sandbox.closed


def test_a_bug_of_the_grader_withholds_the_grade_and_keeps_the_traceback(submit, options):
    buggy = Replay({"right": raising(ZeroDivisionError("ours"))})

    grade = grade_one(submit("right"), course(options, buggy))

    log = (options.results_dir / "grader-errors.log").read_text()
    assert (grade.status, grade.score) == (GradeStatus.WITHHELD, 0)
    assert "ZeroDivisionError" in log


def test_a_check_that_breaks_withholds_the_grade(submit, options, monkeypatch):
    run = collect_run(submit("right"), course(options, Replay()))

    def stem(evidence):
        """A check with a fault of its own."""
        raise KeyError("ours")

    monkeypatch.setattr(
        checks,
        "CHECKS",
        tuple(type(c)(stem, c.group) if c.name == "stem" else c for c in checks.CHECKS),
    )
    grade = assess(run, load_assignment(options.assignment_dir), {})

    assert grade.status is GradeStatus.WITHHELD


def test_grade_check_asks_no_hidden_probe(submit, options, replay, tmp_path):
    sandbox = replay()
    folder = tmp_path / "own"
    folder.mkdir()
    shutil.unpack_archive(submit("right"), folder)

    grade = check_folder(folder, options)

    assert not [p for p in sandbox.stages[0].request["probes"] if "hidden" in p["id"]]
    assert lost(grade) <= {"accuracy"}


def test_the_request_says_nothing_of_what_is_expected(submit, options):
    sandbox = Replay()

    collect_run(submit("right"), course(options, sandbox))

    (stage,) = sandbox.stages
    asked = {key for probe in stage.request["probes"] for key in probe}
    assert asked <= {"id", "function", "modes", "input_shape", "keywords"}
    assert load_or_create_key().secret.hex() not in json.dumps(stage.request)


@pytest.mark.parametrize("alike", [True, False])
def test_where_a_copied_layer_is_not_what_tracing_gives_all_is_traced_once_more(
    submit, options, alike
):
    note = json.dumps({"alike": alike}, separators=(",", ":")).encode()

    def noted(stage):
        given = replayed(stage)
        frames = (
            given.json_frames
            if stage.request["plain"]
            else {**given.json_frames, "copies:training:x": note}
        )
        return replace(given, json_frames=frames)

    sandbox = Replay({"right": noted})
    run = collect_run(submit("right"), course(options, sandbox))

    assert [stage.request["plain"] for stage in sandbox.stages] == (
        [False] if alike else [False, True]
    )
    assert "copies:training:x" in [frame.name for frame in run.record.json_frames]


def test_the_setting_plain_has_every_layer_traced_and_hidden_answers_are_in_each_mode(
    submit, options, monkeypatch
):
    monkeypatch.setenv("GRADER_TRACE", "plain")
    sandbox = Replay()

    run = collect_run(submit("right"), course(options, sandbox))

    (request,) = [stage.request for stage in sandbox.stages]
    assert request["plain"]
    compared = [p for p in run.record.probes if p.id in request["compared"]]
    assert all(p.hidden for p in compared)
    assert {p.function: request["compared"][p.id] for p in compared} == {
        "transition": ["training"],
        "build_densenet": ["inference", "training"],
    }


# --- whose it is, and when it came ---------------------------------------------------------


def zipped(path, text="right"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("densenet.py"), f"# {text}\n")
    return path


def as_received(options):
    return replace(options, submitted_at=None)


def test_students_with_the_same_bytes_and_the_same_file_name_are_two_records(
    options, replay, tmp_path
):
    replay()
    for student in ("alice", "bob"):
        zipped(tmp_path / "class" / student / "submission.zip")

    grades = grade_paths([tmp_path / "class"], options, lambda grade: None)

    recorded = Ledger(options.results_dir, load_or_create_key()).current()
    sources = ["alice/submission.zip", "bob/submission.zip"]
    assert [grade.student_id for grade in grades] == ["alice", "bob"]
    assert [grade.submission.source for grade in grades] == sources
    assert [entry.student_id for entry in recorded] == ["alice", "bob"]


def test_late_by_the_platform_with_a_files_time_alone_is_for_a_person(options, replay, tmp_path):
    replay()
    zipped(tmp_path / "class" / "doe_LATE_48213_991245_x.zip")
    zipped(tmp_path / "class" / "roe_48214_991246_x.zip", "other")

    doe, roe = grade_paths([tmp_path / "class"], as_received(options), lambda grade: None)

    assert (doe.status, roe.status) == (GradeStatus.REVIEW, GradeStatus.GRADED)
    assert "Canvas marks this submission as late" in doe.message
    assert doe.submission.received_at is None
    assert "late" in doe.remarks[0]


def test_the_platforms_mark_stays_on_a_grade_with_a_time_given_and_on_a_rejected_one(
    options, replay, tmp_path
):
    replay()
    zipped(tmp_path / "class" / "doe_LATE_48213_991245_x.zip")
    (tmp_path / "class" / "roe_LATE_48214_991246_x.zip").write_bytes(b"no zip")

    doe, roe = grade_paths([tmp_path / "class"], options, lambda grade: None)

    assert (doe.status, roe.status) == (GradeStatus.GRADED, GradeStatus.REJECTED)
    assert all("late" in grade.remarks[0] for grade in (doe, roe))


def test_a_regrade_with_the_time_of_receipt_settles_a_doubt(options, replay, tmp_path):
    replay()
    path = zipped(tmp_path / "doe_LATE_48213_991245_x.zip")
    run_dir = collect_run(path, course(as_received(options), Replay()))

    assert assess(run_dir, load_assignment(assignment_dir()), {}).status is GradeStatus.REVIEW
    assert regrade(run_dir.path, options).status is GradeStatus.GRADED


def test_an_extension_holds_for_each_submission_of_its_student(options, tmp_path):
    late = datetime(2027, 10, 2, 12, 0, tzinfo=UTC)
    for number in (1, 2):
        zipped(tmp_path / "class" / "Jane Doe_48_assignsubmission_file_" / f"{number}.zip")
    extensions = {"Jane_Doe_48": late + timedelta(days=1)}
    submitted = replace(options, submitted_at=late)
    found = find_submissions([tmp_path / "class"], load_assignment(assignment_dir()))

    for item in found.items:
        run_dir = collect_run(item, course(submitted, Replay()))
        grade = assess(run_dir, load_assignment(assignment_dir()), extensions)
        assert (grade.status, grade.deadline.seconds_late) == (GradeStatus.GRADED, 0)


def test_loose_files_are_graded_as_one_submission(options, replay, tmp_path):
    sandbox = replay()
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "doe_48213_991245_densenet.py").write_text("# right\n")
    (tmp_path / "class" / "doe_48213_991246_recipe.toml").write_text("epochs = 2\n")

    (grade,) = grade_paths([tmp_path / "class"], options, lambda grade: None)

    assert (grade.student_id, grade.status) == ("doe_48213", GradeStatus.GRADED)
    assert len(sandbox.stages) == 1


def test_one_student_id_for_several_submissions_is_an_error_of_usage(options, tmp_path):
    for student in ("a", "b"):
        zipped(tmp_path / "class" / f"{student}.zip")

    with pytest.raises(UsageError, match="--student-id"):
        grade_paths([tmp_path / "class"], replace(options, student_id="x"), lambda grade: None)


def test_a_line_of_the_extensions_that_names_nobody_of_the_class_is_told(tmp_path):
    course_dir = tmp_path / "course"
    shutil.copytree(assignment_dir(), course_dir)
    toml = course_dir / "assignment.toml"
    toml.write_text(toml.read_text().replace("# extensions =", "extensions ="))
    due = "2027-10-05T23:00:00"
    (course_dir / "extensions.csv").write_text(
        f"student_id,due\nJane Doe_48,{due}\nroelar,{due}\nnobody,{due}\n"
    )
    zipped(tmp_path / "class" / "Jane Doe_48_assignsubmission_file_" / "x.zip")
    zipped(tmp_path / "class" / "roelara_12346_assignsubmission_file_" / "x.zip")

    found = find_submissions([tmp_path / "class"], load_assignment(course_dir))

    told = [notice for notice in found.notices if notice.startswith("extensions")]
    assert len(told) == 2
    assert "'roelar'" in told[0]
    assert "Did you mean roelara_12346?" in told[0]
