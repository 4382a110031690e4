"""Whoever has no key cannot change, drop, add, copy or reorder a record unseen."""

import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.domain import LEDGER
from grader.errors import InfrastructureError
from grader.ledger import Ledger, ProblemKind, verify, write_grade
from grader.ledger.key import CourseKey
from tests.ledger.grades import grade

KEY = CourseKey.of(bytes(range(32)))
OTHER = CourseKey.of(bytes(32))

Rows = list[dict[str, Any]]


def fill(folder: Path, count: int = 5) -> None:
    for n in range(count):
        write_grade(folder, grade(f"s{n}", score=float(n)), KEY)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    fill(tmp_path)
    return tmp_path


def sql(results: Path, *statements: str) -> None:
    """What anybody can do who may write the file."""
    connection = sqlite3.connect(results / LEDGER, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def rows(results: Path, table: str = "event") -> Rows:
    connection = sqlite3.connect(results / LEDGER)
    connection.row_factory = sqlite3.Row
    found = [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
    connection.close()
    return found


def add(results: Path, row: dict[str, Any]) -> None:
    connection = sqlite3.connect(results / LEDGER)
    places = ", ".join(f":{column}" for column in row)
    connection.execute(f"INSERT INTO event VALUES ({places})", row)
    connection.commit()
    connection.close()


def found(results: Path) -> list[tuple[str, int | None]]:
    return [(problem.kind.value, problem.seq) for problem in verify(results, KEY)]


def refused(results: Path) -> bool:
    """Whether neither a new grade is taken nor the old ones are shown."""
    with pytest.raises(InfrastructureError, match="does not hold together"):
        write_grade(results, grade("s9"), KEY)
    with pytest.raises(InfrastructureError, match="does not hold together"):
        Ledger(results, KEY).current()
    return True


def test_an_untouched_record_has_no_problem(results: Path) -> None:
    assert verify(results, KEY) == []


def test_a_folder_without_a_record_has_no_problem_and_gets_none(tmp_path: Path) -> None:
    assert verify(tmp_path, KEY) == []
    assert list(tmp_path.iterdir()) == []


COLUMNS = {
    "kind": "'lift'", "written_at": "'2020-01-01T00:00:00Z'", "student_id": "'s9'",
    "source": "'x'", "submission_sha256": "NULL", "assignment_sha256": "'c'", "run": "'r'",
    "status": "'review'", "cause": "'STUDENT_IMPORT'", "score": "100.0", "max_score": "1.0",
    "received_at": "NULL", "received_from": "'argument'", "why": "'he asked'",
    "by_whom": "'nobody'",
}  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_column_is_found_at_its_record(results: Path, column: str) -> None:
    sql(results, f"UPDATE event SET {column} = {COLUMNS[column]} WHERE seq = 3")

    assert found(results) == [("changed", 3)]
    assert refused(results)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_a_changed_score_is_found_at_its_record(results: Path, n: int) -> None:
    sql(results, f"UPDATE event SET score = 99.5 WHERE seq = {n}")

    assert found(results) == [("changed", n)]
    assert refused(results)


@pytest.mark.parametrize("written", ["'4.0'", "NULL", "X'00'", "'four'"])
def test_a_score_of_another_kind_is_a_changed_one(results: Path, written: str) -> None:
    sql(results, f"UPDATE event SET score = {written} WHERE seq = 5")

    # SQLite itself makes the number of '4.0' that the column stores.
    assert found(results) == ([] if written == "'4.0'" else [("changed", 5)])


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_a_record_taken_away_is_found(results: Path, n: int) -> None:
    sql(results, f"DELETE FROM event WHERE seq = {n}")

    assert ("dropped", n) in found(results)
    assert refused(results)


@pytest.mark.parametrize("n", [1, 3, 5])
def test_a_record_taken_away_with_its_grade_is_found(results: Path, n: int) -> None:
    sql(
        results,
        f"DELETE FROM content WHERE sha256 = (SELECT grade_sha256 FROM event WHERE seq = {n})",
        f"DELETE FROM event WHERE seq = {n}",
    )

    assert found(results) == [("dropped", n)]


@pytest.mark.parametrize("n", [-3, 0, 6, 60])
def test_an_added_record_is_found(results: Path, n: int) -> None:
    add(results, rows(results)[2] | {"seq": n, "score": 100.0})

    assert found(results) == [("added", n)]


def test_records_that_changed_places_are_found(results: Path) -> None:
    sql(
        results,
        "UPDATE event SET seq = 100 WHERE seq = 2",
        "UPDATE event SET seq = 2 WHERE seq = 3",
        "UPDATE event SET seq = 3 WHERE seq = 100",
    )

    assert found(results) == [("changed", 2), ("changed", 3)]


def test_everything_taken_away_is_found(results: Path) -> None:
    sql(results, "DELETE FROM event", "DELETE FROM content")

    assert found(results) == [("dropped", n) for n in range(1, 6)]


def another_record(tmp_path: Path, count: int = 6) -> Path:
    other = tmp_path / "other"
    for n in range(count):
        write_grade(other, grade(f"x{n}", score=100.0), KEY)
    return other


@pytest.mark.parametrize("n", [2, 4, 5, 6])
def test_a_record_of_another_ledger_with_the_same_key_is_found(
    results: Path, tmp_path: Path, n: int
) -> None:
    stranger = rows(another_record(tmp_path))[n - 1]
    sql(results, f"DELETE FROM event WHERE seq = {n}")
    add(results, stranger)

    assert ("added", n) in found(results)
    assert refused(results)


def test_the_end_and_the_head_of_another_ledger_are_found(results: Path, tmp_path: Path) -> None:
    other = another_record(tmp_path)
    (head,) = rows(other, "head")
    add(results, rows(other)[5])
    sql(results, f"UPDATE head SET count = 6, last = '{head['last']}', mac = '{head['mac']}'")

    assert ("added", 6) in found(results)


def test_the_seal_of_another_key_is_no_seal(results: Path) -> None:
    problems = verify(results, OTHER)

    assert [problem.kind for problem in problems] == [ProblemKind.OTHER_KEY]
    assert KEY.id not in problems[0].message


def test_a_record_sealed_with_another_key_among_ours_is_a_changed_one(results: Path) -> None:
    own = Ledger(results, KEY).current()[2]
    forged = own.model_copy(update={"score": 100.0}).sealed(OTHER)
    sql(results, f"UPDATE event SET score = 100.0, mac = '{forged.mac}' WHERE seq = 3")

    assert found(results) == [("changed", 3)]


def test_a_changed_or_missing_grade_is_found(results: Path) -> None:
    first, second = (row["grade_sha256"] for row in rows(results)[:2])
    sql(
        results,
        f"UPDATE content SET text = replace(text, '0.0', '9.0') WHERE sha256 = '{first}'",
        f"DELETE FROM content WHERE sha256 = '{second}'",
    )

    assert found(results) == [("grade-changed", 1), ("grade-missing", 2)]
    for entry in Ledger(results, KEY).current()[:2]:
        with pytest.raises(InfrastructureError, match=f"the grade of record {entry.seq} is"):
            Ledger(results, KEY).read_grade(entry)


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_records_that_are_cut_off_together_with_the_head_are_found(
    results: Path, kept: int
) -> None:
    sql(results, "DELETE FROM head", f"DELETE FROM event WHERE seq > {kept}")

    assert {kind for kind, _ in found(results)} <= {"unrecorded", "head"}
    assert found(results)


def test_records_cut_off_with_their_grades_and_the_head_put_back_are_an_older_copy(
    tmp_path: Path,
) -> None:
    """What nobody can see without a copy of `head().count`: said in docs/ledger.md."""
    fill(tmp_path, 3)
    (head,) = rows(tmp_path, "head")
    fill(tmp_path, 5)
    sql(
        tmp_path,
        "DELETE FROM content WHERE sha256 IN (SELECT grade_sha256 FROM event WHERE seq > 3)",
        "DELETE FROM event WHERE seq > 3",
        f"UPDATE head SET count = 3, last = '{head['last']}', mac = '{head['mac']}'",
    )

    assert verify(tmp_path, KEY) == []
    assert Ledger(tmp_path, KEY).head().count == 3


@pytest.mark.parametrize("change", ["count = 4", "count = 6", "last = mac", "mac = last"])
def test_a_changed_head_is_found(results: Path, change: str) -> None:
    sql(results, f"UPDATE head SET {change}")

    assert [problem.kind for problem in verify(results, KEY)] == [ProblemKind.HEAD]
    assert refused(results)


def test_a_missing_head_is_found(results: Path) -> None:
    sql(results, "DELETE FROM head")

    assert [problem.kind for problem in verify(results, KEY)] == [ProblemKind.HEAD]
    assert refused(results)


TABLES = {
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON event BEGIN DELETE FROM content; END",
    "a column more": "ALTER TABLE event ADD COLUMN more TEXT",
    "a table less": "DROP TABLE content",
    "a view for a table": "DROP TABLE head",
}


@pytest.mark.parametrize("change", TABLES.values(), ids=TABLES)
def test_changed_tables_are_found_and_nothing_is_added(results: Path, change: str) -> None:
    sql(results, change)
    if "head" in change:
        sql(results, "CREATE VIEW head AS SELECT 1 AS one, 0 AS count, '' AS last, '' AS mac")

    assert found(results) == [("damaged", None)]
    assert refused(results)


def test_an_instructors_own_views_and_indexes_are_welcome(results: Path) -> None:
    sql(
        results,
        "CREATE VIEW mine AS SELECT student_id, score FROM event",
        "CREATE INDEX my_index ON event (score)",
    )

    assert verify(results, KEY) == []
    assert write_grade(results, grade("s9"), KEY).seq == 6


def test_looking_changes_nothing(results: Path) -> None:
    def state() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in results.rglob("*") if p.is_file()}

    before = state()
    verify(results, KEY)

    assert state() == before


def contents(results: Path) -> tuple[Rows, Rows, Rows]:
    return rows(results), rows(results, "content"), rows(results, "head")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_changed_byte_is_found_or_changes_no_record(results: Path, data: st.DataObject) -> None:
    content, before = (results / LEDGER).read_bytes(), contents(results)
    at = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != content[at]))
    with tempfile.TemporaryDirectory(dir=results) as name:
        other = Path(name)
        (other / LEDGER).write_bytes(content[:at] + bytes([byte]) + content[at + 1 :])

        assert verify(other, KEY) or contents(other) == before
