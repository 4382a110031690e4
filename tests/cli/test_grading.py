"""A whole class through the program as the shell sees it: right, unfinished, and broken."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grader.resources import reference_dir, template_dir
from tests.cli.shell import grade

pytestmark = pytest.mark.tensorflow

STUDENTS = ["alice", "bob", "carol"]


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """alice: the reference without weights; bob: the template; carol: no zip at all."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "class" / "alice").mkdir(parents=True)
    source = (reference_dir() / "densenet.py").read_text(encoding="utf-8")
    own_words = re.sub(r"\bnew\b", "fresh", source)
    (folder / "class" / "alice" / "densenet.py").write_text(own_words, encoding="utf-8")
    shutil.copytree(template_dir(), folder / "class" / "bob")
    (folder / "class" / "carol.zip").write_text("not a zip\n")
    ran = grade("class", "--no-evaluation", "--json", "grades.json", cwd=folder)
    return folder, ran


def grades_in(folder: Path) -> dict[str, dict]:
    told = json.loads((folder / "grades.json").read_text(encoding="utf-8"))
    return {each["student_id"]: each for each in told["grades"]}


def test_one_bad_submission_never_stops_the_rest(graded):
    folder, ran = graded

    statuses = {name: each["status"] for name, each in grades_in(folder).items()}
    assert statuses == {"alice": "graded", "bob": "graded", "carol": "rejected"}
    assert ran.returncode == 1


def test_the_reference_without_weights_earns_all_but_the_accuracy(graded):
    folder, _ = graded

    lost = [
        check["name"]
        for check in grades_in(folder)["alice"]["checks"]
        if check["score"] < check["max_score"]
    ]
    assert lost == ["accuracy"]


def test_the_table_is_the_result_and_the_lines_are_progress(graded):
    _, ran = graded

    assert all(student in ran.stdout for student in STUDENTS)
    assert "3 submissions" in ran.stdout
    assert [line.split()[0] for line in ran.stderr.splitlines()[:3]] == STUDENTS


def test_a_finished_run_is_graded_again_alike_and_without_tensorflow(graded):
    folder, _ = graded
    runs = [path.parent for path in sorted((folder / "results").glob("runs/*/run.json"))]
    code = (
        "import json, sys; from grader.cli import run; "
        "statuses = [run(['regrade', path, '--quiet', '--json', path + '.json']) "
        "for path in sys.argv[1:]]; "
        "assert statuses == [0] * len(statuses), statuses; "
        "assert not {'tensorflow', 'keras', 'docker'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code, *map(str, runs)], cwd=folder, check=True)
    again = [json.loads(Path(f"{run}.json").read_text())["grades"][0] for run in runs]
    before = grades_in(folder)
    assert {each["student_id"] for each in again} == {"alice", "bob"}
    assert all(each == before[each["student_id"]] for each in again)


def test_the_results_folder_reports_the_class_once_more(graded):
    folder, _ = graded

    told = grade("report", "results", "--quiet", cwd=folder)
    assert [line.split()[0] for line in told.stdout.splitlines()] == STUDENTS
    assert told.returncode == 1


def test_the_records_of_the_class_verify(graded):
    folder, _ = graded

    assert grade("verify", "results", cwd=folder).returncode == 0


def test_the_same_command_again_runs_no_student_code_again(graded):
    folder, _ = graded
    before = {path: os.stat(path).st_mtime_ns for path in folder.rglob("run.json")}

    grade("class", "--no-evaluation", cwd=folder)
    assert {path: os.stat(path).st_mtime_ns for path in folder.rglob("run.json")} == before
