"""The record of grades of earlier versions is moved whole, or not at all.

`before_sqlite` was written by the last version that kept `ledger.jsonl`.
"""

import shutil
from pathlib import Path

import pytest

from grader.domain import LEDGER
from grader.errors import InfrastructureError
from grader.ledger import Ledger, verify, write_grade
from grader.ledger.key import CourseKey
from tests.ledger.grades import grade

KEY = CourseKey.of(bytes(range(32)))
OLD = Path(__file__).parent / "before_sqlite"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return shutil.copytree(OLD, tmp_path / "results")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_every_grade_is_there_with_its_time_and_the_old_files_are_kept(results: Path) -> None:
    book = Ledger(results, KEY)

    entries = book.current()

    assert [(e.student_id, e.score) for e in entries] == [("s0", 0.0), ("s1", 55.5)]
    assert entries[0].written_at.isoformat()[:10] == "2026-11-29"
    assert book.read_grade(entries[1]).provenance.run == entries[1].run
    assert book.head().count == 3
    assert verify(results, KEY) == []
    assert names(results) == {LEDGER, "ledger-before-sqlite"}
    kept = results / "ledger-before-sqlite"
    assert (kept / "ledger.jsonl").read_bytes() == (OLD / "ledger.jsonl").read_bytes()
    assert names(kept / "grades") == names(OLD / "grades")


def test_a_grade_that_was_recorded_before_is_not_recorded_again(results: Path) -> None:
    assert write_grade(results, grade("s0", score=0.0), KEY).seq == 1
    assert write_grade(results, grade("s7"), KEY).seq == 4
    assert verify(results, KEY) == []


def test_verify_reads_an_old_record_and_moves_nothing(results: Path) -> None:
    before = names(results)

    assert verify(results, KEY) == []
    assert names(results) == before


def cut_between_line_and_head(results: Path) -> None:
    file = results / "ledger.jsonl"
    file.write_bytes(file.read_bytes() + b'{"seq": 4, "half')


def test_what_a_kill_left_of_an_old_line_is_no_grade(results: Path) -> None:
    cut_between_line_and_head(results)

    assert Ledger(results, KEY).head().count == 3


def test_killed_while_the_old_files_were_put_aside_the_next_command_goes_on(results: Path) -> None:
    Ledger(results, KEY).head()
    (results / "ledger-before-sqlite" / "ledger.jsonl").rename(results / "ledger.jsonl")

    assert Ledger(results, KEY).head().count == 3
    assert names(results) == {LEDGER, "ledger-before-sqlite"}


CHANGES = {
    "a line": ("ledger.jsonl", b'"score":1.0', b'"score":9.0', "line 2"),
    "a line less": ("ledger.jsonl", b'"seq":2', b'"seq":3', "line 2"),
    "the head": ("ledger.head.json", b'"count":3', b'"count":2', "ledger.head.json"),
    "no head": ("ledger.head.json", b"{", b"[", "ledger.jsonl"),
}


@pytest.mark.parametrize(("file", "old", "new", "named"), CHANGES.values(), ids=CHANGES)
def test_a_record_that_was_changed_is_not_moved(
    results: Path, file: str, old: bytes, new: bytes, named: str
) -> None:
    content = (results / file).read_bytes()
    assert old in content
    (results / file).write_bytes(content.replace(old, new, 1))

    with pytest.raises(InfrastructureError, match=named):
        write_grade(results, grade("s9"), KEY)
    (problem,) = verify(results, KEY)

    assert named in problem.message
    assert (results / "ledger.jsonl").exists()


def test_lines_cut_off_at_the_end_are_seen(results: Path) -> None:
    file = results / "ledger.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:1]))

    assert "lines at the end" in verify(results, KEY)[0].message


def test_a_changed_grade_is_not_moved(results: Path) -> None:
    (file,) = (results / "grades").glob("s0-*")
    file.write_bytes(file.read_bytes().replace(b'"score": 0.0', b'"score": 9.0'))

    with pytest.raises(InfrastructureError, match=file.name):
        Ledger(results, KEY).current()


def test_another_key_moves_nothing(results: Path) -> None:
    with pytest.raises(InfrastructureError, match="of another course key"):
        Ledger(results, CourseKey.of(bytes(32))).current()
