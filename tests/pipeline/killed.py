"""Kills the grader at every change it makes to the disk, and runs the same command again.

    python -m tests.pipeline.killed FOLDER EVERY THEN    a line of JSON for each step: what stands
                                                         at the end
    python -m tests.pipeline.killed --command FOLDER [--clock DAY]    one command, nobody killed

Up to step EVERY no step is left out, from then on each THENth is taken: a further submission adds
nothing but time.

The command is the real one, from its words to its exit status; only the sandbox answers from
hand-written graphs and the accuracy is made up, so that a run takes no second. One process imports
all of it and forks for each run; the fork that is to die kills itself, nobody else.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grader.engine.accuracy
import grader.sandbox
from grader.cli import run
from grader.domain import Dataset, MeasuredAccuracy, Measurement
from grader.ledger import Ledger
from grader.report import classtable, terminal  # noqa: F401 - before the first fork
from grader.run.audit import verify_results
from tests.pipeline.test_pipeline import Replay, replayed

OPERATIONS = 50
"""Of SQLite's virtual machine, that are one step."""
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "os.chmod"}


def submissions(folder: Path) -> None:
    """Two that are read, with the same bytes at every step, and one that is refused."""
    folder.mkdir()
    for student in ("ada", "ben"):
        with zipfile.ZipFile(folder / f"{student}.zip", "w") as archive:
            archive.writestr(zipfile.ZipInfo("densenet.py"), f"# {student}\n")
            archive.writestr(zipfile.ZipInfo("recipe.toml"), "epochs = 2\n")
    (folder / "eve.zip").write_bytes(b"no zip")


def measurement() -> Measurement:
    return Measurement(
        mode="weights", images=10_000, of_images=10_000, correct=9_000,
        wall_time_s=1.0, device="made up",
        dataset=Dataset(name="cifar10", sha256="0" * 64, official=True),
    )  # fmt: skip


class Counted(Replay):
    """Notes each run in a file of the folder, as `measure` does; to judge the answer is cheap."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        self.log = log

    def run(self, stage: Any) -> Any:
        note(self.log, "run")
        probes = [f"probe:{probe['id']}" for probe in stage.request["probes"]]
        return replayed(stage, leave_out=[*probes, "model"])


def note(log: Path, what: str) -> None:
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, f"{what}\n".encode())
    os.close(fd)


def die_at(step: int, places: tuple[str, ...]) -> None:
    """End this process at its so manyth change of the disk, or piece of SQLite's work on one."""
    count = 0

    def one_more() -> int:
        nonlocal count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        opens = event == "open" and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if not (opens or event in CHANGES):
            return
        # A call relative to a folder's descriptor, as rmtree makes them, is one of ours as well.
        path = str(arguments[0])
        if path.startswith("/") and not path.startswith(places):
            return
        one_more()

    connect = sqlite3.connect

    def watched(*arguments: Any, **more: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **more)
        connection.set_progress_handler(one_more, OPERATIONS)
        return connection

    sqlite3.connect = watched  # type: ignore[assignment]
    sys.addaudithook(hook)


def command(folder: Path, step: int | None) -> int:
    """The real command in a fork; its wait status."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    status = 70
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        status = grade(folder, step)
    finally:
        os._exit(status)


def grade(folder: Path, step: int | None = None) -> int:
    """The real command, dying at a step where one is given; its exit status."""
    os.chdir(folder)
    tempfile.tempdir = str(folder / "tmp")
    os.environ["GRADER_KEY_FILE"] = str(folder.parent / "course.key")
    log = folder / "log"
    grader.sandbox.open_sandbox = lambda *_, **__: Counted(log)  # type: ignore[assignment]

    def measure(*_: Any, scratch: Path, **__: Any) -> MeasuredAccuracy:
        note(log, "measure")
        (scratch / "evaluation").mkdir(exist_ok=True)
        (scratch / "evaluation" / "plan.npz").write_bytes(b"plan")
        return MeasuredAccuracy(runs=(measurement(),))

    grader.engine.accuracy.measure = measure  # type: ignore[assignment]
    if step is not None:
        die_at(step, (f"{folder}/results", f"{folder}/tmp", f"{folder}/all.json"))
    words = ["in", "--results", "results", "--json", "all.json", "--jobs", "1", "--device", "cpu"]
    return run([*words, "--submitted-at", "2027-09-01T12:00:00Z"])


def jump(day: str) -> None:
    """Let every clock that tells the date say this one."""
    then = datetime.fromisoformat(day).replace(tzinfo=UTC)

    class Jumped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return then.astimezone(tz)

    for name, module in list(sys.modules.items()):
        if name.startswith("grader") and getattr(module, "datetime", None) is datetime:
            module.datetime = Jumped  # type: ignore[attr-defined]
    time.time = then.timestamp


def state(folder: Path) -> dict[str, Any]:
    """What stands there now."""
    results, log = folder / "results", folder / "log"
    os.environ["GRADER_KEY_FILE"] = str(folder.parent / "course.key")
    grades = [Ledger(results).read_grade(entry) for entry in Ledger(results).current()]
    done = log.read_text().split() if log.exists() else []
    return {
        "grades": sorted([g.student_id, g.status.value, g.score] for g in grades),
        "events": Ledger(results).head().count,
        "problems": [p.message for p in verify_results(results)],
        "files": sorted(
            p.relative_to(folder).as_posix()
            for place in (results, folder / "tmp")
            for p in place.rglob("*")
        ),
        "beside": sorted(p.name for p in folder.iterdir()),
        "json": json.loads((folder / "all.json").read_text()),
        "runs": done.count("run"),
        "measures": done.count("measure"),
    }


def main(base: Path, every: int, then: int) -> None:
    step = 0
    while True:
        folder = base / str(step)
        folder.mkdir()
        (folder / "tmp").mkdir()
        submissions(folder / "in")
        first = command(folder, step or None)
        if step and not os.WIFSIGNALED(first):
            break
        again = command(folder, None)
        statuses = [first, os.waitstatus_to_exitcode(again)]
        print(json.dumps({"step": step, "statuses": statuses, **state(folder)}), flush=True)
        shutil.rmtree(folder)
        step += 1 if step < every else then


def once(folder: Path, day: str | None) -> int:
    """One command, nobody killed; what stands afterwards goes out as the last line."""
    if not (folder / "in").exists():
        (folder / "tmp").mkdir()
        submissions(folder / "in")
    if day:
        jump(day)
    status = grade(folder)
    if status in (0, 1):
        print(json.dumps(state(folder)))
    return status


if __name__ == "__main__":
    if sys.argv[1] == "--command":
        place, *more = sys.argv[2:]
        sys.exit(once(Path(place), more[1] if more else None))
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
