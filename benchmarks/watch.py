"""How long a student waits: for the first answer of `grade check`, and after a save with --watch.

    python benchmarks/watch.py [--depth 22] [--saves 20] [--plain] [--skip-cold]

The first table says what the first answer is made of. The second saves a file again and again, with
another mistake each time, and times from the save to the shown result. Each time stands twice: by
the clock, and as processor time, which depends less on what else the machine does; after a save
that is the grader's own, without the sandbox.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from grader.resources import reference_dir
from grader.sandbox.program import stage_environment
from grader.student.watch import Seen, Watch

BUILD = "return build_densenet(depth=13, growth_rate=32, compression=0.5, bottleneck=False)"
MISTAKES = (
    ("AveragePooling2D(", "MaxPooling2D("),
    ("use_bias=False", "use_bias=True"),
    ("4 * growth_rate", "3 * growth_rate"),
    ("", ""),
)
"""What is right in the reference → what a student writes; the last is right again."""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "densenet"
        place.mkdir()
        text = _network_of(options.depth)
        (place / "densenet.py").write_text(text, encoding="utf-8")
        if not options.skip_cold:
            _first_answer(place)
        _after_saves(place, text, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depth", type=int, default=22, help="L of build_model()")
    parser.add_argument("--saves", type=int, default=20)
    parser.add_argument("--plain", action="store_true", help="as on Windows and macOS")
    parser.add_argument("--skip-cold", action="store_true", help="the saves alone")
    return parser.parse_args()


def _network_of(depth: int) -> str:
    text = (reference_dir() / "densenet.py").read_text(encoding="utf-8")
    mine = f"return build_densenet(depth={depth}, growth_rate=12, compression=0.5, bottleneck=True)"
    assert text.count(BUILD) == 1
    return text.replace(BUILD, mine)


# --- the first answer -----------------------------------------------------------------------


def _first_answer(folder: Path) -> None:
    grade = [sys.executable, "-m", "grader.cli", "check", str(folder)]
    parts: dict[str, tuple[list[str], dict[str, str] | None]] = {
        "Python": ([sys.executable, "-c", ""], None),
        "our modules": (
            [sys.executable, "-c", "import grader.cli, grader.pipeline, grader.report.terminal"],
            None,
        ),
        "TensorFlow and Keras, as they are": (
            [sys.executable, "-I", "-c", "import keras, tensorflow"],
            stage_environment(),
        ),
        "TensorFlow and Keras, as the stage loads them": (
            [sys.executable, "-c", "from grader.inside.trace import warm; warm()"],
            {**stage_environment(), "PYTHONPATH": os.pathsep.join(sys.path)},
        ),
        "the whole first answer": (grade, None),
    }
    print(f"{'of the first answer':48} {'clock':>7} {'processor':>10}")
    for name, (command, environment) in parts.items():
        times = [_timed(command, environment) for _ in range(3)]
        clock, processor = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"{name:48} {clock:6.2f}s {processor:9.2f}s", flush=True)
    print("TensorFlow is loaded beside our modules, in a process of its own.\n")


def _timed(command: list[str], environment: dict[str, str] | None) -> tuple[float, float]:
    before, began = _of_children(), time.perf_counter()
    subprocess.run(command, env=environment, capture_output=True, check=True)
    return time.perf_counter() - began, _of_children() - before


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# --- after a save ---------------------------------------------------------------------------


class Recorder:
    """A screen that notes when something is shown."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []

    def show(self, seen: Seen) -> None:
        """Note it."""
        self.seen.append(seen)

    def checking(self, seconds: float) -> None:
        """Nothing to note."""

    def unchanged(self) -> None:
        """Nothing to note."""


def _after_saves(folder: Path, text: str, options: argparse.Namespace) -> None:
    from grader.course import GradeOptions
    from grader.intake import IntakePolicy
    from grader.pipeline import checking
    from grader.resources import assignment_dir
    from grader.sandbox import open_for_own_code
    from grader.student.looking import Look
    from grader.student.watch import LOOK_S

    asked = GradeOptions(assignment_dir())
    room = open_for_own_code("plain" if options.plain else "auto")
    look, screen = Look(folder, IntakePolicy.of(asked.assignment)), Recorder()
    with checking(asked, room) as checker:
        watch = Watch(
            look.state,
            look.said,
            lambda: checker.check(folder),
            checker.interrupt,
            screen,
        )

        def until_shown() -> None:
            count = len(screen.seen)
            while len(screen.seen) == count:
                watch.step()
                time.sleep(LOOK_S)

        until_shown()
        print(f"{'after a save, L=' + str(options.depth):48} {'clock':>7} {'processor':>10}")
        rows = [_save(folder, saved, screen, until_shown) for saved in _saves(text, options.saves)]
    clocks, processors = zip(*rows, strict=True)
    print(f"{'median':48} {statistics.median(clocks):6.2f}s {statistics.median(processors):9.2f}s")
    print(f"{'most':48} {max(clocks):6.2f}s {max(processors):9.2f}s")


def _saves(text: str, count: int) -> Iterator[str]:
    """The code with one mistake after another, never twice the same file."""
    for number in range(count):
        right, wrong = MISTAKES[number % len(MISTAKES)]
        yield re.sub(re.escape(right), wrong, text, count=1) + f"\n# save {number}\n"


def _save(
    folder: Path, text: str, screen: Recorder, until_shown: Callable[[], None]
) -> tuple[float, float]:
    (folder / "densenet.py").write_text(text, encoding="utf-8")
    began, used = time.perf_counter(), time.process_time()
    until_shown()
    took, ours = time.perf_counter() - began, time.process_time() - used
    seen = screen.seen[-1]
    changed = f"right {len(seen.now_right)}, wrong {len(seen.now_wrong)}"
    failed = [c.name for c in seen.grade.checks if c.outcome == "failed"] if seen.grade else []
    print(f"  {changed:18} {', '.join(failed)[:27]:27} {took:6.2f}s {ours:9.2f}s", flush=True)
    return took, ours


if __name__ == "__main__":
    main()
