"""The extensions file is read strictly; each mistake is named with its line."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from grader.assignment import load_assignment
from grader.classroom.extensions import load_extensions
from grader.errors import AssignmentError

SHIPPED = Path(__file__).parents[1] / "example_assignment.toml"


def assignment_with(folder: Path, rows: str | bytes | None):
    text = SHIPPED.read_text(encoding="utf-8")
    text = text.replace("# extensions =", "extensions =")
    (folder / "assignment.toml").write_text(text, encoding="utf-8")
    if rows is not None:
        content = rows if isinstance(rows, bytes) else rows.encode()
        (folder / "extensions.csv").write_bytes(content)
    return load_assignment(folder)


def refusal(folder: Path, rows: str | bytes | None) -> str:
    given = assignment_with(folder, rows)
    with pytest.raises(AssignmentError) as error:
        load_extensions(given)
    assert "extensions.csv" in str(error.value)
    return str(error.value)


def test_no_file_named_means_no_extensions():
    assert load_extensions(load_assignment(SHIPPED)) == {}


def test_a_due_time_without_offset_is_in_the_assignments_zone(tmp_path):
    given = assignment_with(tmp_path, "student_id,due\ns1,2027-10-02T23:00:00\n")

    assert load_extensions(given) == {"s1": datetime(2027, 10, 2, 17, 30, tzinfo=UTC)}


def test_an_offset_a_byte_order_mark_windows_line_ends_and_empty_lines_are_read(tmp_path):
    rows = b"\xef\xbb\xbfdue,student_id\r\n\r\n2027-10-02T23:00:00+02:00,s1\r\n,\r\n"

    given = assignment_with(tmp_path, rows)

    assert load_extensions(given) == {"s1": datetime(2027, 10, 2, 21, 0, tzinfo=UTC)}


def test_extensions_cannot_be_changed_after_reading(tmp_path):
    given = assignment_with(tmp_path, "student_id,due\n")

    with pytest.raises(TypeError):
        load_extensions(given)["s1"] = datetime.now(UTC)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (None, "no such file, but deadline.extensions names it"),
        ("", "It is empty"),
        ("student_id;due\n", "line 1: expected the columns student_id,due, separated by commas"),
        ("student,due\n", "line 1: expected the columns"),
        ("student_id,due\ns1\n", "line 2: expected the 2 values"),
        ("student_id,due\ns1,\n", "line 2: expected the 2 values"),
        ("student_id,due\ns1,2027-10-02T23:00,x\n", "line 2: expected the 2 values"),
        ("student_id,due\n\ns1,Oct 2\n", "line 3: due: expected a full date with its year"),
        ("student_id,due\ns1,10-02T23:00\n", "line 2: due: expected a full date with its year"),
        ("student_id,due\ns1,2027-09-01T23:00:00\n", "line 2: due: expected a time after"),
        (
            "student_id,due\ns1,2027-10-02T23:00\ns1,2027-10-03T23:00\n",
            "line 3: student_id: expected each student once. Received again: 's1'",
        ),
        ('student_id,due\n"s1,2027-10-02T23:00\n', "not valid CSV"),
        (b"student_id,due\ns\xff,2027-10-02T23:00\n", "not UTF-8"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, rows, expected):
    assert expected in refusal(tmp_path, rows)
