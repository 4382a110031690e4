import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from grader.engine.checkpoint import FILE_NAME, Checkpoint, load, save


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
