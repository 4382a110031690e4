"""Grades are stored whole and recorded once, whoever is killed and whatever the disk does."""

import errno
import os
import resource
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import grader.ledger.book as book_module
from grader.domain import Provenance, SubmissionRef
from grader.errors import Cause, InfrastructureError
from grader.ledger import Ledger, verify, write_grade
from grader.ledger.key import CourseKey
from tests.ledger.grades import grade

KEY = CourseKey.of(bytes(range(32)))
GRADES = [grade(f"s{n}", score=float(n)) for n in range(3)]


def scores(results: Path) -> dict[str, float]:
    return {entry.student_id: entry.score for entry in Ledger(results, KEY).current()}


def lines(results: Path) -> list[bytes]:
    return (results / "ledger.jsonl").read_bytes().splitlines()


def test_a_grade_is_stored_and_read_back(tmp_path: Path) -> None:
    book = Ledger(tmp_path / "results", KEY)

    entry = book.write_grade(GRADES[1])

    assert entry.seq == 1
    assert book.read_grade(entry) == GRADES[1]
    assert verify(tmp_path / "results", KEY) == []


def test_the_same_grade_is_not_recorded_twice(tmp_path: Path) -> None:
    first = write_grade(tmp_path, GRADES[0], KEY)

    assert write_grade(tmp_path, GRADES[0], KEY) == first
    assert len(lines(tmp_path)) == 1


def test_a_new_grade_replaces_the_old_one_and_both_stay_on_record(tmp_path: Path) -> None:
    for score in (1.0, 2.0, 1.0):
        write_grade(tmp_path, grade(score=score), KEY)

    assert scores(tmp_path) == {"s1": 1.0}
    assert len(lines(tmp_path)) == 3
    assert verify(tmp_path, KEY) == []


def by(assignment: str, **changes: Any) -> Any:
    provenance = Provenance(grader="1.0", assignment_sha256=assignment * 64)
    return grade(provenance=provenance, **changes)


def test_a_grade_by_a_changed_assignment_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    write_grade(tmp_path, by("b", score=82.0), KEY)
    write_grade(tmp_path, by("c", score=102.0), KEY)

    assert scores(tmp_path) == {"s1": 102.0}
    assert len(lines(tmp_path)) == 2


def test_the_grade_of_a_run_is_the_one_that_was_recorded_last_of_it(tmp_path: Path) -> None:
    run = f"{'a' * 16}-{'0' * 12}"
    made = Provenance(grader="1.0", assignment_sha256="b" * 64, run=run)
    for each in (grade(score=1.0, provenance=made), grade(score=2.0, provenance=made), grade()):
        write_grade(tmp_path, each, KEY)
    book = Ledger(tmp_path, KEY)

    found = book.grade_of_run(run)

    assert found is not None
    assert found.score == 2.0
    assert book.grade_of_run(f"{'a' * 16}-{'1' * 12}") is None


def test_a_time_of_receipt_that_a_person_set_is_known_by_student_and_submission(
    tmp_path: Path,
) -> None:
    when = datetime(2027, 9, 30, 17, 0, tzinfo=UTC)
    by_hand = SubmissionRef(
        source="s2.zip", sha256="c" * 64, received_at=when, received_from="argument"
    )
    write_grade(tmp_path, grade("s1"), KEY)
    write_grade(tmp_path, grade("s2", submission=by_hand), KEY)

    assert Ledger(tmp_path, KEY).received_by_hand() == {("s2", "c" * 64): when}


def test_what_a_kill_left_of_a_grade_is_gone_with_the_next_one(tmp_path: Path) -> None:
    write_grade(tmp_path, GRADES[0], KEY)
    left = tmp_path / "grades" / "s1-0123456789abcdef.json"
    left.write_text("{}")
    assert [problem.kind for problem in verify(tmp_path, KEY)] == ["interrupted"]

    write_grade(tmp_path, GRADES[2], KEY)

    assert not left.exists()
    assert verify(tmp_path, KEY) == []


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_nothing_is_added_where_lines_and_head_were_taken_away(tmp_path: Path, kept: int) -> None:
    for each in GRADES:
        write_grade(tmp_path, each, KEY)
    (tmp_path / "ledger.head.json").unlink()
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines(tmp_path)[:kept]))

    with pytest.raises(InfrastructureError, match="does not hold together"):
        write_grade(tmp_path, grade("s9"), KEY)


def test_a_hostile_student_id_is_no_path(tmp_path: Path) -> None:
    entry = write_grade(tmp_path / "results", grade("../../x\n\x1b[31m"), KEY)

    assert Path(entry.grade_file).parent == Path("grades")
    assert [p.name for p in tmp_path.iterdir()] == ["results"]
    assert len(lines(tmp_path / "results")) == 1


def test_two_that_write_by_turns_keep_one_chain(tmp_path: Path) -> None:
    one, two = Ledger(tmp_path, KEY), Ledger(tmp_path, KEY)
    for n in range(6):
        (one, two)[n % 2].write_grade(grade(f"s{n}"))

    assert [entry.seq for entry in one.current()] == [1, 2, 3, 4, 5, 6]
    assert verify(tmp_path, KEY) == []


def test_many_processes_keep_one_chain(tmp_path: Path) -> None:
    def write(worker: int) -> None:
        for n in range(5):
            write_grade(tmp_path, grade(f"w{worker}-{n}"), KEY)

    children = [in_child(lambda worker=worker: write(worker), wait=False) for worker in range(4)]
    statuses = [os.waitpid(child, 0)[1] for child in children]

    assert statuses == [0, 0, 0, 0]
    assert len(lines(tmp_path)) == 20
    assert verify(tmp_path, KEY) == []


# --- killed -------------------------------------------------------------------------------


def in_child(work: Callable[[], Any], *, wait: bool = True) -> int:
    """Run in a forked child that never comes back here; returns its status, or its number."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] if wait else child


def killed_at(step: int, results: Path) -> bool:
    """Write all grades in a child that kills itself at a step; whether it got that far."""
    count = 0

    def wrapped(function: Callable[..., Any], torn: bool) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            nonlocal count
            count += 1
            if count == step:
                if torn:
                    function(args[0], bytes(args[1])[: len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args)

        return call

    def work() -> None:
        os.write = wrapped(os.write, True)  # type: ignore[assignment]
        for name in ("fsync", "replace", "chmod", "ftruncate"):
            setattr(os, name, wrapped(getattr(os, name), False))
        for each in GRADES:
            write_grade(results, each, KEY)

    return os.WIFSIGNALED(in_child(work))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
def test_killed_at_any_step_nothing_is_lost_or_counted_twice(tmp_path: Path) -> None:
    step = 0
    reached = True
    while reached:
        step += 1
        results = tmp_path / str(step)
        reached = killed_at(step, results)
        for each in GRADES:
            write_grade(results, each, KEY)

        assert scores(results) == {"s0": 0.0, "s1": 1.0, "s2": 2.0}, step
        assert len(lines(results)) == 3, step
        assert verify(results, KEY) == [], step
    assert step > 20


def test_a_torn_line_is_put_aside_not_lost(tmp_path: Path) -> None:
    write_grade(tmp_path, GRADES[0], KEY)
    with (tmp_path / "ledger.jsonl").open("ab") as file:
        file.write(b'{"seq": 2, "half')

    assert [problem.kind for problem in verify(tmp_path, KEY)] == ["interrupted"]

    write_grade(tmp_path, GRADES[1], KEY)

    assert (tmp_path / "ledger.damaged").read_bytes() == b'{"seq": 2, "half\n'
    assert scores(tmp_path) == {"s0": 0.0, "s1": 1.0}
    assert verify(tmp_path, KEY) == []


def test_a_grade_file_that_was_lost_is_written_again(tmp_path: Path) -> None:
    entry = write_grade(tmp_path, GRADES[0], KEY)
    (tmp_path / entry.grade_file).unlink()

    write_grade(tmp_path, GRADES[0], KEY)

    assert Ledger(tmp_path, KEY).read_grade(entry) == GRADES[0]


def test_a_clock_that_jumps_back_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        now_is = datetime(2027, 1, 1, tzinfo=UTC)

        @classmethod
        def now(cls, _: object) -> datetime:
            return cls.now_is

    monkeypatch.setattr(book_module, "datetime", Clock)
    write_grade(tmp_path, grade(score=1.0), KEY)
    Clock.now_is = datetime(1999, 1, 1, tzinfo=UTC)
    write_grade(tmp_path, grade(score=2.0), KEY)

    assert scores(tmp_path) == {"s1": 2.0}
    assert verify(tmp_path, KEY) == []


# --- the disk -----------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX's")
def test_a_disk_that_takes_half_a_line_keeps_none_of_it(tmp_path: Path) -> None:
    write_grade(tmp_path, GRADES[0], KEY)
    size = (tmp_path / "ledger.jsonl").stat().st_size
    small = grade("s9")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # No file may grow beyond this: the grade still fits, the ledger's second line half.
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + size // 2, hard))
    try:
        with pytest.raises(InfrastructureError) as caught:
            write_grade(tmp_path, small, KEY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert caught.value.cause is Cause.INFRA_DISK
    assert "ledger.jsonl could not be stored" in caught.value.message
    assert (tmp_path / "ledger.jsonl").stat().st_size == size
    assert verify(tmp_path, KEY) == []


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "Free some space"), (errno.EROFS, "read-only"), (errno.EDQUOT, "quota")],
)
def test_a_full_or_read_only_disk_is_named_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    write_grade(tmp_path, GRADES[0], KEY)
    before = sorted(p.name for p in tmp_path.rglob("*"))

    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InfrastructureError) as caught:
        write_grade(tmp_path, GRADES[1], KEY)
    monkeypatch.undo()

    assert caught.value.cause is Cause.INFRA_DISK
    assert words in caught.value.help
    assert sorted(p.name for p in tmp_path.rglob("*")) == before
    assert scores(tmp_path) == {"s0": 0.0}


def test_a_results_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(InfrastructureError) as caught:
        write_grade(tmp_path / "file" / "results", GRADES[0], KEY)

    assert caught.value.cause is Cause.INFRA_DISK


def test_nothing_is_added_to_a_record_that_was_changed(tmp_path: Path) -> None:
    for each in GRADES:
        write_grade(tmp_path, each, KEY)
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"score":1.0', b'"score":9.0'))
    before = path.read_bytes()

    with pytest.raises(InfrastructureError, match=r"line 2 of .* was changed") as caught:
        write_grade(tmp_path, grade("s9"), KEY)

    assert "grade verify" in caught.value.help
    assert path.read_bytes() == before


def test_a_record_of_another_key_is_told_from_one_that_was_changed(tmp_path: Path) -> None:
    """As after `docker run` without the volume that keeps the key."""
    write_grade(tmp_path, GRADES[0], KEY)

    with pytest.raises(InfrastructureError, match="sealed with course key") as caught:
        write_grade(tmp_path, GRADES[1], CourseKey.of(bytes(32)))

    assert "GRADER_KEY_FILE" in caught.value.help
    assert "/cache" in caught.value.help
