"""A run directory that is there is complete; one that is not leaves nothing."""

import os
import sys
from pathlib import Path

import pytest

from grader.run.directory import filling, run_directory, sweep


def test_the_name_depends_on_all_that_decides_the_run(tmp_path: Path) -> None:
    names = {
        run_directory(tmp_path, sha, *rest)
        for sha in ("a" * 64, "b" * 64)
        for rest in (("x",), ("y",), ("x", "y"), ("xy",))
    }

    assert len(names) == 8
    assert run_directory(tmp_path, "a" * 64, "x") in names


def test_a_filled_run_appears_whole(tmp_path: Path) -> None:
    run = run_directory(tmp_path, "a" * 64)
    with filling(run) as folder:
        (folder / "run.json").write_text("{}")
        assert not run.exists()

    assert [path.name for path in run.iterdir()] == ["run.json"]


def test_a_run_that_fails_leaves_nothing(tmp_path: Path) -> None:
    run = run_directory(tmp_path, "a" * 64)

    def fail() -> None:
        with filling(run) as folder:
            (folder / "run.json").write_text("{}")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert not any(run.parent.iterdir())


def test_the_first_of_two_equal_runs_stands(tmp_path: Path) -> None:
    run = run_directory(tmp_path, "a" * 64)
    with filling(run) as late:
        (late / "run.json").write_text("late")
        with filling(run) as early:
            (early / "run.json").write_text("early")

    assert (run / "run.json").read_text() == "early"
    assert sorted(p.name for p in run.parent.iterdir()) == [".lock", run.name]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
def test_what_a_killed_process_left_is_swept_and_the_living_are_spared(tmp_path: Path) -> None:
    run = run_directory(tmp_path, "a" * 64)
    child = os.fork()
    if child == 0:
        block = filling(run)
        block.__enter__()
        os._exit(9)
    os.waitpid(child, 0)

    with filling(run) as folder:
        assert sweep(tmp_path) == 1
        assert folder.exists()
    assert run.exists()
