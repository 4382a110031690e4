"""The machine-readable grade: its names, its schema, its way through a file."""

import json
import math
import os
from pathlib import Path

import pytest

from grader.domain import Details, GradeStatus
from grader.errors import UsageError
from grader.export.json import load_grade, load_grades, read_json, to_json, write_json

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema comes with nbformat (dev)")

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "grader/export/grade.schema.json").read_text(encoding="utf-8")
)
DESIGN = {
    "student_id": "s1234567",
    "submission": {"source": "", "sha256": "", "received_at": "", "received_from": ""},
    "status": "graded",
    "cause": None,
    "score": 92.5,
    "max_score": 100,
    "checks": [
        {
            "name": "dense-connectivity",
            "group": "architecture",
            "visibility": "visible",
            "outcome": "passed",
            "score": 10,
            "max_score": 10,
            "rationale": None,
            "help": None,
            "findings": [{"where": "", "message": "", "source": "", "severity": "deviation"}],
        }
    ],
    "evaluation": {
        "mode": "weights",
        "accuracy": 0.912,
        "interval_95": [0.906, 0.917],
        "images": 10000,
        "threshold": 0.85,
        "met": True,
        "wall_time_s": 7.1,
        "time_budget_s": 300,
        "device": "",
        "dataset": {"name": "cifar10", "sha256": "", "official": True},
    },
    "deadline": {"due": "", "received_at": "", "seconds_late": 0, "rule": "", "penalty": 0},
    "isolation": "docker",
    "provenance": {
        "grader": "",
        "assignment_sha256": "",
        "tensorflow": "",
        "keras": "",
        "probe_seed_id": "",
    },
}
"""The structure of the design's example, values only for their types."""


def names_missing(example, written, place="grade") -> list[str]:
    """Names of the example that are not in what was written, or hold another kind of value."""
    if isinstance(example, dict):
        missing = [f"{place}.{name}" for name in example if name not in written]
        for name in example.keys() & written.keys():
            missing += names_missing(example[name], written[name], f"{place}.{name}")
        return missing
    if isinstance(example, list) and isinstance(example[0], dict):
        return names_missing(example[0], written[0], f"{place}[0]")
    kinds = (int, float) if isinstance(example, int | float) else type(example)
    return [] if example is None or isinstance(written, kinds) else [place]


def all_grades(examples):
    return [one() for one in (*examples.ALL, examples.hostile)]


def test_every_name_of_the_designs_example_is_written(examples):
    written = to_json([examples.deviating()])

    assert set(written) == {"schema_version", "grades"}
    assert written["schema_version"] == 1
    grade = written["grades"][0]
    grade["checks"] = [check for check in grade["checks"] if check["findings"]]
    assert names_missing(DESIGN, grade) == []


def test_every_kind_of_grade_satisfies_the_schema(examples):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    jsonschema.validate(
        json.loads(json.dumps(to_json(all_grades(examples)))),
        SCHEMA,
        cls=jsonschema.Draft202012Validator,
    )


def test_the_schema_refuses_points_for_what_is_not_graded(examples):
    written = to_json([examples.withheld()])
    written["grades"][0]["score"] = 50

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(written, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_the_evaluation_is_null_and_its_note_says_why_where_none_was_made(examples):
    grade = to_json([examples.without_evaluation()])["grades"][0]

    assert grade["evaluation"] is None
    assert grade["evaluation_note"].startswith("CIFAR-10 is not in nowhere: ")


def test_what_was_written_is_read_again_unchanged(examples, tmp_path):
    grades = tuple(one() for one in examples.ALL)

    write_json(grades, tmp_path / "grades.json")

    assert read_json(tmp_path / "grades.json") == grades


def test_a_hostile_grade_is_valid_utf_8_json_with_bounded_strings(examples, tmp_path):
    write_json([examples.hostile()], tmp_path / "grades.json")

    content = (tmp_path / "grades.json").read_bytes()
    (grade,) = read_json(tmp_path / "grades.json")
    assert grade.status is GradeStatus.GRADED
    assert b"\\ud83d" not in content
    assert max(len(f.received) for check in grade.checks for f in check.findings) <= 20_000


def test_a_diverged_curve_is_written_as_null(examples, tmp_path):
    grade = examples.full_marks()
    evaluation = grade.evaluation.model_copy(update={"details": Details(images_per_s=math.nan)})

    write_json([grade.model_copy(update={"evaluation": evaluation})], tmp_path / "grades.json")

    assert read_json(tmp_path / "grades.json")[0].evaluation.details == Details(images_per_s=None)


def test_the_same_grades_give_the_same_bytes(examples, tmp_path):
    for name in ("a.json", "b.json"):
        write_json(all_grades(examples), tmp_path / name)

    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


# --- writing ------------------------------------------------------------------------------


def test_a_failed_write_leaves_the_old_file_and_nothing_else(examples, tmp_path, monkeypatch):
    file = tmp_path / "grades.json"
    write_json([examples.full_marks()], file)
    before = file.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))

    with pytest.raises(KeyboardInterrupt):
        write_json([], file)

    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_missing_folders_are_made(examples, tmp_path):
    write_json([examples.full_marks()], tmp_path / "a" / "b" / "grades.json")

    assert len(read_json(tmp_path / "a" / "b" / "grades.json")) == 1


def test_a_link_is_followed_and_not_replaced(examples, tmp_path):
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")

    write_json([examples.full_marks()], tmp_path / "link.json")

    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real.json").is_file()


def test_grades_are_private_and_an_existing_files_mode_is_kept(examples, tmp_path):
    file = tmp_path / "grades.json"
    write_json([examples.full_marks()], file)
    first = file.stat().st_mode & 0o777
    file.chmod(0o644)
    write_json([examples.full_marks()], file)

    assert first == 0o600
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_folder_in_the_place_of_the_file_is_a_usage_error(examples, tmp_path):
    with pytest.raises(UsageError, match="cannot be written"):
        write_json([examples.full_marks()], tmp_path)


def test_standard_output_can_be_the_file(examples, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)

    write_json([], tmp_path / "pipe")

    assert json.loads(os.read(reader, 4096)) == {"schema_version": 1, "grades": []}
    os.close(reader)


# --- reading ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "not a JSON file"),
        ("[" * 100_000, "not a JSON file"),
        ("[]", "schema_version: expected 1"),
        ('{"schema_version": 2, "grades": []}', "Received: 2"),
        ('{"schema_version": 1}', "grades: expected a list"),
        ('{"schema_version": 1, "grades": [{}]}', "student_id: Field required"),
    ],
)
def test_what_is_not_grades_is_refused_with_its_file(tmp_path, content, expected):
    file = tmp_path / "grades.json"
    file.write_text(content, encoding="utf-8")

    with pytest.raises(UsageError) as error:
        read_json(file)

    assert str(file) in str(error.value)
    assert expected in str(error.value)


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_json(tmp_path / "none.json")


def test_a_run_directory_gives_its_grade(examples, tmp_path):
    write_json([examples.deviating()], tmp_path / "run" / "grade.json")

    assert load_grade(tmp_path / "run") == examples.deviating()


def test_a_folder_of_run_directories_gives_all_grades(examples, tmp_path):
    write_json([examples.deviating()], tmp_path / "b" / "grade.json")
    write_json([examples.full_marks()], tmp_path / "a" / "grade.json")

    assert load_grades(tmp_path) == (examples.full_marks(), examples.deviating())


def test_an_empty_folder_and_two_grades_for_one_are_usage_errors(examples, tmp_path):
    with pytest.raises(UsageError, match=r"expected grade\.json in it"):
        load_grades(tmp_path)

    write_json([examples.full_marks()] * 2, tmp_path / "grade.json")
    with pytest.raises(UsageError, match=r"expected one grade\. Received: 2"):
        load_grade(tmp_path)
