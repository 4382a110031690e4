"""A Ray cluster on this machine: the same grades, and nothing lost with a worker."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from grader import cluster
from grader.cli import run
from grader.cluster import Failed, Measured, joined, measure_run, pack, run_stage, unpack
from grader.domain import MeasuredAccuracy
from grader.engine.accuracy import ANY_INSTRUMENTS
from grader.errors import Cause, InfrastructureError, UsageError
from grader.ledger.key import CourseKey
from grader.resources import reference_dir
from grader.sandbox.contract import Stage

HONEST = "import keras\n" + (reference_dir() / "densenet.py").read_text(encoding="utf-8")
WAIT_S = 120
KEY = CourseKey.of(b"k" * 32)


@pytest.fixture
def a_class(tmp_path):
    """Two students, one of them with code that cannot be imported."""
    for name, text in (("asha", HONEST), ("ben", "import torch\n")):
        (tmp_path / "class" / name).mkdir(parents=True)
        (tmp_path / "class" / name / "densenet.py").write_text(text, encoding="utf-8")
    return tmp_path / "class"


def graded(where, *options):
    """The grades of a class through the command line: what a student got, and for what."""
    file = where.parent / "grades.json"
    results = where.parent / "results"
    words = [where, "--no-evaluation", "--reference", "--quiet", "--json", file, *options]
    assert run([str(word) for word in [*words, "--results", results]]) == 0
    grades = json.loads(file.read_text())["grades"]
    return {g["student_id"]: (g["score"], [c["outcome"] for c in g["checks"]]) for g in grades}


def workers_of_stages():
    """Processes of Ray that run a stage now, by the title that Ray gives them."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            title = Path(f"/proc/{entry}/cmdline").read_bytes()
            parents = Path(f"/proc/{entry}/environ").read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::run_stage") and MARK.encode() in parents:
            found.append(int(entry))
    return found


MARK = f"GRADER_TEST_OF={os.getpid()}"
"""Stands in the environment of the workers of this very test, and of no other."""


@pytest.mark.sandbox
@pytest.mark.tensorflow
@pytest.mark.exhaustive
# Ray leaves it to the interpreter to find out that its processes have ended.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_worker_that_is_killed_half_way_loses_nothing(a_class, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv(*MARK.split("="))
    killed = []

    def kill_one():
        give_up = time.monotonic() + WAIT_S
        while not killed and time.monotonic() < give_up:
            for worker in workers_of_stages():
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)
                return
            time.sleep(0.05)

    hunter = threading.Thread(target=kill_one)
    hunter.start()
    on_cluster = graded(a_class, "--engine", "ray", "--jobs", "2")
    hunter.join()

    assert len(killed) == 1
    assert on_cluster["asha"][0] == 82
    assert set(on_cluster["asha"][1]) == {"passed", "skipped"}
    assert on_cluster["ben"][0] < 10
    # The record is the same as that of this machine: graded once more, nothing is new.
    assert graded(a_class, "--jobs", "1") == on_cluster


def test_the_bare_process_has_no_place_on_a_cluster():
    with pytest.raises(UsageError, match="--sandbox jail or docker"), joined(None, "process", 1):
        pass


def test_a_cluster_without_a_token_is_refused(monkeypatch):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)

    with (
        pytest.raises(UsageError, match="RAY_AUTH_MODE=token"),
        joined("10.0.0.5:6379", "jail", 1),
    ):
        pass


def test_an_address_without_the_engine_is_a_mistake(tmp_path, capsys):
    (tmp_path / "a.zip").write_bytes(b"")

    assert run([str(tmp_path / "a.zip"), "--address", "10.0.0.5:6379"]) == 2
    assert "--engine ray" in capsys.readouterr().err


def test_work_of_another_version_is_refused():
    answer = run_stage("0.0", "jail", Stage("", Path(), {}), {})

    assert isinstance(answer, Failed)
    assert answer.cause is Cause.INFRA_SANDBOX
    assert "expected 0.0. Received: " in answer.message


def test_a_node_without_the_sandbox_says_so(monkeypatch):
    def lacks(kind, *, warm):
        raise InfrastructureError(Cause.INFRA_SANDBOX, "no Landlock", "Take Docker.")

    monkeypatch.setattr(cluster, "open_sandbox", lacks)
    cluster._room.cache_clear()

    answer = run_stage(cluster._version(), "jail", Stage("", Path(), {}), {})

    assert isinstance(answer, Failed)
    assert answer.message.endswith("no Landlock")
    assert answer.error.help == "Take Docker."


def test_a_folder_arrives_as_it_was(tmp_path):
    (tmp_path / "here" / "pkg").mkdir(parents=True)
    (tmp_path / "here" / "pkg" / "é.py").write_bytes(b"x = 1\r\n")
    (tmp_path / "here" / "a").write_bytes(b"")

    unpack(pack(tmp_path / "here"), tmp_path / "there")

    assert pack(tmp_path / "there") == {"a": b"", "pkg/é.py": b"x = 1\r\n"}


def test_what_a_measurement_leaves_comes_back_and_nothing_else(tmp_path, monkeypatch):
    def measured(run, assignment, instruments, *, scratch):
        (scratch / "evaluation").mkdir()
        (scratch / "evaluation" / "confusion.svg").write_bytes(b"<svg/>")
        return MeasuredAccuracy(note=run.path.joinpath("frame-1").read_text())

    monkeypatch.setattr(cluster, "measured_in", measured)
    monkeypatch.setattr(cluster, "EVALUATION_LOCK", f"{tmp_path.name}.lock")
    asked = (cluster._version(), {"frame-1": b"as sent"}, KEY, None, ANY_INSTRUMENTS)

    there = measure_run(*asked, on_gpu=False)

    assert isinstance(there, Measured)
    assert there.accuracy.note == "as sent"
    assert there.files == {"evaluation/confusion.svg": b"<svg/>"}
