"""Whoever has no key cannot change, drop, add, copy or reorder a line unseen."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.ledger import ProblemKind, verify, write_grade
from grader.ledger.key import CourseKey
from tests.ledger.grades import grade

KEY = CourseKey.of(bytes(range(32)))
OTHER = CourseKey.of(bytes(32))

Lines = list[bytes]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for n in range(5):
        write_grade(tmp_path, grade(f"s{n}", score=float(n)), KEY)
    return tmp_path


def tampered(results: Path, change: Callable[[Lines], Lines]) -> list[tuple[str, int | None]]:
    path = results / "ledger.jsonl"
    lines = change(path.read_bytes().splitlines())
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return [(problem.kind.value, problem.line) for problem in verify(results, KEY)]


def raised(line: bytes) -> bytes:
    fields = json.loads(line)
    fields["score"] = 100.0
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def test_an_untouched_record_has_no_problem(results: Path) -> None:
    assert verify(results, KEY) == []


def test_a_folder_without_a_record_has_no_problem(tmp_path: Path) -> None:
    assert verify(tmp_path, KEY) == []


@pytest.mark.parametrize("n", range(5))
def test_a_changed_score_is_found_at_its_line(results: Path, n: int) -> None:
    found = tampered(results, lambda lines: [*lines[:n], raised(lines[n]), *lines[n + 1 :]])

    assert found == [("changed", n + 1)]


@pytest.mark.parametrize("n", range(5))
def test_a_dropped_line_is_found_where_it_stood(results: Path, n: int) -> None:
    found = tampered(results, lambda lines: lines[:n] + lines[n + 1 :])

    assert found == [("dropped", n + 1)]


@pytest.mark.parametrize("n", range(6))
def test_an_added_line_is_found(results: Path, n: int) -> None:
    found = tampered(results, lambda lines: [*lines[:n], raised(lines[0]), *lines[n:]])

    assert found == [("added", n + 1)]


@pytest.mark.parametrize("n", range(6))
def test_a_sealed_line_copied_to_another_place_is_found(results: Path, n: int) -> None:
    found = tampered(results, lambda lines: [*lines[:n], lines[2], *lines[n:]])

    assert {kind for kind, _ in found} <= {"added", "dropped"}
    assert found


def test_lines_that_changed_places_are_found(results: Path) -> None:
    found = tampered(results, lambda lines: [lines[1], lines[0], *lines[2:]])

    assert found


def test_everything_dropped_is_found(results: Path) -> None:
    found = tampered(results, lambda _: [])

    assert found == [("dropped", 1)] * 5


def test_a_line_of_another_record_with_the_same_key_is_found(results: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for n in range(6):
        write_grade(other, grade(f"x{n}", score=100.0), KEY)
    sixth = (other / "ledger.jsonl").read_bytes().splitlines()[5]

    assert tampered(results, lambda lines: [*lines, sixth]) == [("added", 6)]


def test_the_seal_of_another_key_is_no_seal(results: Path) -> None:
    found = verify(results, OTHER)

    assert [problem.kind for problem in found] == [ProblemKind.OTHER_KEY]
    assert KEY.id not in found[0].message


def test_a_changed_or_missing_grade_is_found(results: Path) -> None:
    files = sorted((results / "grades").iterdir())
    files[0].write_bytes(files[0].read_bytes().replace(b'"score": 0.0', b'"score": 9.0'))
    files[1].unlink()

    kinds = sorted(problem.kind for problem in verify(results, KEY))

    assert kinds == ["grade-changed", "grade-missing"]


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_lines_that_are_cut_off_together_with_the_head_are_found(results: Path, kept: int) -> None:
    (results / "ledger.head.json").unlink()

    found = tampered(results, lambda lines: lines[:kept])

    assert {kind for kind, _ in found} <= {"unrecorded", "head"}
    assert found


def test_a_ledger_that_is_gone_beside_its_grades_is_found(results: Path) -> None:
    (results / "ledger.head.json").unlink()
    (results / "ledger.jsonl").unlink()

    assert [problem.kind for problem in verify(results, KEY)] == ["unrecorded"] * 5


def test_a_ledger_of_one_line_cut_from_two_is_no_interrupted_write(tmp_path: Path) -> None:
    for n in range(2):
        write_grade(tmp_path, grade(f"s{n}"), KEY)
    (tmp_path / "ledger.head.json").unlink()

    assert tampered(tmp_path, lambda lines: lines[:1]) == [("unrecorded", None)]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"count": 2}', b"\xff"])
def test_a_changed_head_is_found(results: Path, content: bytes) -> None:
    (results / "ledger.head.json").write_bytes(content)

    assert [problem.kind for problem in verify(results, KEY)] == [ProblemKind.HEAD]


def test_a_missing_head_is_found(results: Path) -> None:
    (results / "ledger.head.json").unlink()

    assert [problem.kind for problem in verify(results, KEY)] == [ProblemKind.HEAD]


def test_looking_changes_nothing(results: Path) -> None:
    def state() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in results.rglob("*") if p.is_file()}

    before = state()
    verify(results, KEY)

    assert state() == before


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_changed_byte_is_found(results: Path, data: st.DataObject) -> None:
    path = results / "ledger.jsonl"
    content = path.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != content[at]))
    path.write_bytes(content[:at] + bytes([byte]) + content[at + 1 :])

    found = verify(results, KEY)
    path.write_bytes(content)

    assert found
