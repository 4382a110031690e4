import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from grader.engine.checkpoint import FILE_NAME, Checkpoint, Keep, load, save
from grader.engine.history import Abandoned


def some(value: float) -> Checkpoint:
    groups = {"model": [np.full((2, 3), value, np.float32)], "ema": [np.arange(12), np.array(0.5)]}
    return Checkpoint(groups, {"epochs": [{"loss": 0.5}]})


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    save(tmp_path / "new", some(1.5))

    found = load(tmp_path / "new")
    assert found is not None
    assert found.meta == {"epochs": [{"loss": 0.5}]}
    assert found.groups["model"][0].dtype == np.float32
    assert (found.groups["model"][0] == 1.5).all()
    assert [array.tolist() for array in found.groups["ema"]] == [list(range(12)), 0.5]


def test_more_than_ten_arrays_keep_their_order(tmp_path: Path) -> None:
    save(tmp_path, Checkpoint({"model": [np.array(i) for i in range(25)]}, {}))

    found = load(tmp_path)
    assert found is not None
    assert [int(array) for array in found.groups["model"]] == list(range(25))


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert load(tmp_path) is None


def test_a_damaged_checkpoint_is_none_not_a_crash(tmp_path: Path) -> None:
    path = save(tmp_path, some(1.0))
    whole = path.read_bytes()

    for damaged in (b"", b"PK\x03\x04", whole[: len(whole) // 2], b"x" * len(whole)):
        path.write_bytes(damaged)
        assert load(tmp_path) is None


def test_a_half_written_draft_of_a_killed_process_does_not_matter(tmp_path: Path) -> None:
    save(tmp_path, some(1.0))
    (tmp_path / f".{FILE_NAME}.12345").write_bytes(b"half")

    found = load(tmp_path)
    assert found is not None
    assert (found.groups["model"][0] == 1.0).all()


def test_a_full_disk_leaves_the_old_checkpoint_and_no_half_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, some(1.0))

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, some(2.0))
    with pytest.raises(OSError, match="No space"):
        keep(tmp_path).try_out(some(2.0).groups)

    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    assert load(tmp_path).groups["model"][0][0, 0] == 1.0
    assert not keep(tmp_path).save_within(some(2.0).groups, {"epochs": []})


def keep(folder: Path, **changes: object) -> Keep:
    run = {"code": "a", "recipe": {"epochs": 4, "optimizer": {"name": "sgd"}}, "network": "(3, 3)"}
    return Keep(folder, {**run, "start": "", **changes})


def finish(run: Keep, value: float, epochs: int = 1) -> None:
    run.load()
    run.save(some(value).groups, {"epochs": [{}] * epochs})


def value_of(found: Checkpoint | None) -> float | None:
    return None if found is None else float(found.groups["model"][0][0, 0])


def test_trying_out_leaves_nothing_and_takes_no_part(tmp_path: Path) -> None:
    keep(tmp_path / "new").try_out(some(1.0).groups)

    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"code": "b"}, "densenet.py, or a file that it uses, has changed"),
        (
            {"recipe": {"epochs": 8, "optimizer": {"name": "sgd"}}},
            "epochs was 4 and is 8",
        ),
        (
            {"recipe": {"epochs": 4, "optimizer": {"name": "adam"}}},
            "optimizer.name was sgd and is adam",
        ),
        ({"start": "other"}, "it began with other weights"),
        ({"network": "(5, 5)"}, "build_model() gives another network"),
    ],
)
def test_a_changed_run_says_what_is_left_and_why(
    tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    finish(keep(tmp_path), 1.0, epochs=7)
    changed = keep(tmp_path, **changes)

    assert changed.load() is None
    assert changed.abandoned == Abandoned(7, (told,))


def test_a_run_that_was_left_goes_on_when_the_change_is_taken_back(tmp_path: Path) -> None:
    finish(keep(tmp_path), 1.0)
    finish(keep(tmp_path, code="b"), 2.0)

    again = keep(tmp_path)
    assert value_of(again.load()) == 1.0
    assert again.abandoned is None

    again.save(some(3.0).groups, {"epochs": [{}, {}]})
    assert value_of(keep(tmp_path).load()) == 3.0
    assert value_of(keep(tmp_path, code="b").load()) == 2.0


def test_an_epoch_under_way_takes_nothing_from_another_run(tmp_path: Path) -> None:
    finish(keep(tmp_path), 1.0)
    changed = keep(tmp_path, code="b")
    changed.load()
    changed.save_within(some(2.0).groups, {"epochs": []})

    assert value_of(keep(tmp_path).load()) == 1.0
    assert keep(tmp_path).load_within(1) is None
    assert value_of(keep(tmp_path, code="b").load_within(0)) == 2.0


def test_what_came_before_the_last_whole_epoch_is_not_gone_on_with(tmp_path: Path) -> None:
    run = keep(tmp_path)
    run.save_within(some(1.0).groups, {"epochs": []})
    finish(run, 2.0)

    assert keep(tmp_path).load_within(0) is None
    assert keep(tmp_path).load_within(1) is None


def test_a_start_that_is_not_said_is_that_of_the_run_that_is_there(tmp_path: Path) -> None:
    finish(keep(tmp_path, start="given"), 1.0)
    run = keep(tmp_path, start=None)

    assert value_of(run.load()) == 1.0
    assert run.run["start"] == "given"


def test_all_sittings_of_a_run_have_one_name_and_other_runs_another(tmp_path: Path) -> None:
    first = keep(tmp_path)
    finish(first, 1.0)
    second, other = keep(tmp_path), keep(tmp_path, code="b")
    second.load()
    other.load()

    assert second.run["id"] == first.run["id"] != other.run["id"]


def test_kill_9_in_the_midst_of_writing_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, numpy as np\n"
        "from grader.engine.checkpoint import Checkpoint, save\n"
        "for i in range(100000):\n"
        "    save(pathlib.Path(sys.argv[1]), Checkpoint({'m': [np.full(300000, i)]}, {'i': i}))\n"
        "    print(i, flush=True)\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert writer.stdout is not None
    for _ in range(5):
        written = int(writer.stdout.readline())

    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()

    found = load(tmp_path)
    assert found is not None
    assert found.meta["i"] >= written
    assert (found.groups["m"][0] == found.meta["i"]).all()
