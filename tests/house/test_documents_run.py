"""The commands of the documents, run one after another as a reader would type them.

Student code is answered for by hand-written graphs, so that no TensorFlow is loaded. What needs
another machine, a container engine or minutes is left out here, and has tests of its own.
"""

import re
import shlex
import shutil
import zipfile
from pathlib import Path

import pytest

from grader.cli import run
from grader.resources import assignment_dir, template_dir
from tests.house.test_documents_are_current import commands_in
from tests.pipeline.test_pipeline import RECEIVED, Replay, submission_zip

ELSEWHERE = {
    "--engine ray": "tests/cluster",
    "--sandbox docker": "tests/sandbox",
    "--device gpu": "tests/cli/test_evaluate.py",
    "grade selftest": "tests/selftest",
    "grade compare": "tests/compare",
    "grade fetch": "tests/engine",
    "grade bundle": "tests/bundle",
    "grade publish": "tests/calls",
    "--gradebook": "tests/export",
}
"""What a command has in it → where it is tested."""
HERE = ("docs/instructors.md", "docs/exports.md", "docs/course-authors.md", "docs/operators.md")

CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,DenseNet (7)\n"
    "    Points Possible,,,,,100.00\n"
    '"Chen, Wei",11,chen,chen,A,\n'
    '"Rao, Asha",12,asha,asha,A,\n'
)
MOODLE = (
    "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,"
    "Last modified (submission),Last modified (grade),Feedback comments\n"
    "Participant 11,Wei Chen,chen@uni.edu,Submitted,,100.00,Yes,-,-,\n"
    "Participant 12,Asha Rao,asha@uni.edu,Submitted,,100.00,Yes,-,-,\n"
)
ROSTER = (
    "student_id,name,email,canvas_id\n"
    "chen,Wei Chen,chen@uni.edu,11\n"
    "asha,Asha Rao,asha@uni.edu,12\n"
    "noor,Noor Ali,noor@uni.edu,13\n"
)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with everything that the documents name."""
    monkeypatch.setattr("grader.sandbox.open_sandbox", lambda *a, **k: Replay())
    monkeypatch.setenv("GRADER_DATA", str(tmp_path / "no-data"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(assignment_dir(), tmp_path / "my-course")
    shutil.copytree(assignment_dir(), tmp_path / "assignment")
    submission_zip(tmp_path / "submission.zip", "mina")
    for name in ("asha", "chen"):
        submission_zip(tmp_path / "submissions" / f"{name}.zip", name)
        notebook = tmp_path / "submitted" / name / "densenet"
        notebook.mkdir(parents=True)
        shutil.copy(template_dir() / "densenet.py", notebook)
        (notebook / "timestamp.txt").write_text("2027-09-30 12:00:00 UTC")
    with zipfile.ZipFile(tmp_path / "submissions.zip", "w") as archive:
        for number, name in enumerate(("chenwei", "raoasha"), 11):
            archive.writestr(f"{name}_{number}_9{number}_submission.zip", _bytes_of(name))
    for file, text in (("gradebook", CANVAS), ("worksheet", MOODLE), ("roster", ROSTER)):
        (tmp_path / f"{file}.csv").write_text(text)
    first = ["submissions", "--results", "results", "--no-evaluation", "--quiet"]
    assert run([*first, "--submitted-at", RECEIVED.isoformat()]) == 0
    return tmp_path


def _bytes_of(name):
    path = submission_zip(Path("packed") / f"{name}.zip", name)
    return path.read_bytes()


def typed(document):
    """The commands of a document that are run here."""
    lines = commands_in(document, "grade")
    return [line for line in lines if not any(words in line for words in ELSEWHERE)]


@pytest.mark.slow
@pytest.mark.parametrize("document", HERE)
def test_every_command_of_a_document_does_what_it_says(document, desk, capsys):
    failed = {}
    lines = typed(document)

    for line in lines:
        run_of = next((desk / "results/runs").glob("*/run.json")).parent.name
        status = run(shlex.split(re.sub(r"\bRUN\b", run_of, line))[1:])
        told = capsys.readouterr().err
        if status not in (0, 1):
            failed[line] = (status, told)

    assert lines
    assert failed == {}
