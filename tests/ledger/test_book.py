"""Grades are stored whole and recorded once, whoever is killed and whatever the disk does."""

import contextlib
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import grader.ledger.book as book_module
from grader.domain import LEDGER, Provenance, SubmissionRef
from grader.errors import Cause, InfrastructureError, UsageError
from grader.ledger import Ledger, verify, write_grade
from grader.ledger.key import CourseKey
from tests.ledger.grades import grade

KEY = CourseKey.of(bytes(range(32)))
GRADES = [grade(f"s{n}", score=float(n)) for n in range(3)]


def scores(results: Path) -> dict[str, float]:
    return {entry.student_id: entry.score for entry in Ledger(results, KEY).current()}


def events(results: Path) -> int:
    return Ledger(results, KEY).head().count


def test_a_grade_is_stored_and_read_back(tmp_path: Path) -> None:
    book = Ledger(tmp_path / "results", KEY)

    entry = book.write_grade(GRADES[1])

    assert entry.seq == 1
    assert book.read_grade(entry) == GRADES[1]
    assert verify(tmp_path / "results", KEY) == []


def test_the_same_grade_is_not_recorded_twice(tmp_path: Path) -> None:
    first = write_grade(tmp_path, GRADES[0], KEY)

    assert write_grade(tmp_path, GRADES[0], KEY) == first
    assert events(tmp_path) == 1


def test_a_new_grade_replaces_the_old_one_and_both_stay_on_record(tmp_path: Path) -> None:
    for score in (1.0, 2.0, 1.0):
        write_grade(tmp_path, grade(score=score), KEY)

    assert scores(tmp_path) == {"s1": 1.0}
    assert events(tmp_path) == 3
    assert verify(tmp_path, KEY) == []


def by(assignment: str, **changes: Any) -> Any:
    provenance = Provenance(grader="1.0", assignment_sha256=assignment * 64)
    return grade(provenance=provenance, **changes)


def test_a_grade_by_a_changed_assignment_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    write_grade(tmp_path, by("b", score=82.0), KEY)
    write_grade(tmp_path, by("c", score=102.0), KEY)

    assert scores(tmp_path) == {"s1": 102.0}
    assert events(tmp_path) == 2


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


@pytest.mark.parametrize("id", ["../../x\n\x1b[31m", "\ud800", "a\0b", "'; DROP TABLE event; --"])
def test_a_hostile_student_id_is_stored_as_it_is_and_is_no_path(tmp_path: Path, id: str) -> None:
    entry = write_grade(tmp_path / "results", grade(id), KEY)
    book = Ledger(tmp_path / "results", KEY)

    assert [p.name for p in tmp_path.iterdir()] == ["results"]
    assert book.read_grade(entry).student_id == id
    assert book.current() == (entry,)
    assert verify(tmp_path / "results", KEY) == []


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
    assert events(tmp_path) == 20
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
    """Write all grades in a child that kills itself after so many of SQLite's own operations;
    whether it got that far."""
    count = 0

    def die_in_time() -> int:
        nonlocal count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    connect = sqlite3.connect

    def watched(*args: Any, **more: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **more)
        connection.set_progress_handler(die_in_time, 1)
        return connection

    def work() -> None:
        sqlite3.connect = watched  # type: ignore[assignment]
        for each in GRADES:
            write_grade(results, each, KEY)

    return os.WIFSIGNALED(in_child(work))


def in_memory(tmp_path: Path) -> Path:
    """A folder whose flushing costs nothing, where the machine has one."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else str(tmp_path)
    return Path(tempfile.mkdtemp(dir=memory, prefix="grader-test-"))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
@pytest.mark.parametrize("first", range(1, 8))
def test_killed_at_any_step_nothing_is_lost_or_counted_twice(tmp_path: Path, first: int) -> None:
    base = in_memory(tmp_path)
    step, reached = first, True
    while reached:
        results = base / str(step)
        reached = killed_at(step, results)
        known = verify(results, KEY)
        before = events(results)
        for each in GRADES:
            write_grade(results, each, KEY)

        assert known == [], step
        assert before <= 3, step
        assert scores(results) == {"s0": 0.0, "s1": 1.0, "s2": 2.0}, step
        assert events(results) == 3, step
        assert verify(results, KEY) == [], step
        shutil.rmtree(results)
        step += 7 if step < 300 else 49
    shutil.rmtree(base)
    assert step > 500


def killed_before_closing(results: Path) -> None:
    """What was committed lies in the write-ahead log alone."""

    def work() -> None:
        with Ledger(results, KEY) as book:
            for each in GRADES:
                book.write_grade(each)
            os.kill(os.getpid(), signal.SIGKILL)

    assert os.WIFSIGNALED(in_child(work))
    assert (results / f"{LEDGER}-wal").stat().st_size > 0


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
def test_what_was_recorded_before_a_kill_is_there(tmp_path: Path) -> None:
    killed_before_closing(tmp_path)

    assert verify(tmp_path, KEY) == []
    assert scores(tmp_path) == {"s0": 0.0, "s1": 1.0, "s2": 2.0}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
def test_a_torn_log_gives_whole_grades_and_no_half_ones(tmp_path: Path) -> None:
    """As after a loss of power: the log ends anywhere."""
    killed_before_closing(tmp_path / "whole")
    log = (tmp_path / "whole" / f"{LEDGER}-wal").read_bytes()
    kept = set()
    for number, size in enumerate([*range(0, len(log), 1031), len(log)]):
        results = tmp_path / str(number)
        results.mkdir()
        shutil.copyfile(tmp_path / "whole" / LEDGER, results / LEDGER)
        (results / f"{LEDGER}-wal").write_bytes(log[:size])

        assert verify(results, KEY) == []
        kept.add(events(results))
        for each in GRADES:
            write_grade(results, each, KEY)
        assert events(results) == 3
        assert verify(results, KEY) == []
    assert kept == {0, 1, 2, 3}


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


def one_page_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite may take one page more than it has, and no further one."""
    connect = sqlite3.connect

    def small(*args: Any, **more: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **more)
        if args[0] == ":memory:":
            return connection
        (count,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {count + 1}")
        return connection

    monkeypatch.setattr(sqlite3, "connect", small)


def test_a_full_disk_is_named_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_grade(tmp_path, GRADES[0], KEY)
    one_page_left(monkeypatch)
    large = grade("s9", message="x" * 100_000)

    with pytest.raises(InfrastructureError) as caught:
        write_grade(tmp_path, large, KEY)
    monkeypatch.undo()

    assert caught.value.cause is Cause.INFRA_DISK
    assert f"{LEDGER} could not be stored: No space left" in caught.value.message
    assert "Free some space" in caught.value.help
    assert scores(tmp_path) == {"s0": 0.0}
    assert verify(tmp_path, KEY) == []


def test_a_read_only_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_grade(tmp_path, GRADES[0], KEY)
    connect = sqlite3.connect

    def read_only(*args: Any, **more: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **more)
        connection.execute("PRAGMA query_only = ON")
        return connection

    monkeypatch.setattr(sqlite3, "connect", read_only)
    with pytest.raises(InfrastructureError) as caught:
        write_grade(tmp_path, GRADES[1], KEY)
    monkeypatch.undo()

    assert caught.value.cause is Cause.INFRA_DISK
    assert "read-only; choose another one with --results" in caught.value.help
    assert scores(tmp_path) == {"s0": 0.0}


def test_one_that_holds_the_file_is_named_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_grade(tmp_path, GRADES[0], KEY)
    monkeypatch.setattr("grader.ledger.database.BUSY_S", 0.01)
    other = sqlite3.connect(tmp_path / LEDGER, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(InfrastructureError, match="held by another program") as caught:
        write_grade(tmp_path, GRADES[1], KEY)
    other.close()

    assert caught.value.cause is Cause.INFRA_BUSY
    assert write_grade(tmp_path, GRADES[1], KEY).seq == 2


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0", bytes(8192)])
def test_a_file_that_is_no_ledger_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    (tmp_path / LEDGER).write_bytes(content)

    with pytest.raises(InfrastructureError, match="does not hold together"):
        write_grade(tmp_path, GRADES[0], KEY)

    assert (tmp_path / LEDGER).read_bytes() == content
    assert [problem.kind for problem in verify(tmp_path, KEY)] == ["damaged"]


def test_a_ledger_of_a_later_version_is_refused(tmp_path: Path) -> None:
    write_grade(tmp_path, GRADES[0], KEY)
    other = sqlite3.connect(tmp_path / LEDGER)
    other.execute("PRAGMA user_version = 99")
    other.close()

    with pytest.raises(UsageError, match="later version"):
        write_grade(tmp_path, GRADES[1], KEY)


def test_on_a_network_file_system_no_memory_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def journal() -> str:
        with contextlib.closing(sqlite3.connect(tmp_path / LEDGER)) as connection:
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        return str(mode)

    write_grade(tmp_path, GRADES[0], KEY)
    here = journal()
    monkeypatch.setattr("grader.ledger.database.network_file_system", lambda folder: "nfs4")
    write_grade(tmp_path, GRADES[1], KEY)

    assert (here, journal()) == ("wal", "delete")
    assert scores(tmp_path) == {"s0": 0.0, "s1": 1.0}


def test_a_results_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(InfrastructureError) as caught:
        write_grade(tmp_path / "file" / "results", GRADES[0], KEY)

    assert caught.value.cause is Cause.INFRA_DISK


def test_a_record_of_another_key_is_told_from_one_that_was_changed(tmp_path: Path) -> None:
    """As after `docker run` without the volume that keeps the key."""
    write_grade(tmp_path, GRADES[0], KEY)

    with pytest.raises(InfrastructureError, match="sealed with course key") as caught:
        write_grade(tmp_path, GRADES[1], CourseKey.of(bytes(32)))

    assert "GRADER_KEY_FILE" in caught.value.help
    assert "/cache" in caught.value.help
