"""A stage ends by our clock, nothing of it stays, and what was written counts, whatever it does.

After each test (conftest): no process or thread survives, no file is left, the next submission
passes. Where a defence is missing these programs still end by themselves: they sleep for at most
half a minute, and write at most 48 MiB below their own folder.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.errors import Cause
from grader.sandbox import pump

from .conftest import Range, settle, survivors

EXIT_OF_ONE_THREAD = (
    "ctypes.CDLL(None).syscall({'x86_64': 60, 'aarch64': 93}[os.uname().machine], 0)"
)
"""Ends the calling thread alone; the process goes on as long as another thread lives."""


# --- what lives on ------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 5])
def test_a_program_whose_main_thread_has_ended_is_over(any_range: Range, threads: int) -> None:
    source = f"""
        import ctypes, os, threading, time
        def answer():
            for _ in range({threads}):
                threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
            {EXIT_OF_ONE_THREAD}
    """

    result = any_range.run(source)

    assert result.run.cause is Cause.STUDENT_EXITED
    assert "main thread" in result.run.message
    assert result.run.wall_time_s < 10


def test_what_threads_without_a_main_thread_write_is_gone_too(any_range: Range) -> None:
    source = f"""
        import ctypes, os, pathlib, threading, time
        def go_on():
            end = time.monotonic() + 30
            while time.monotonic() < end:
                for number in range(1000):
                    (pathlib.Path.home() / str(number)).touch()
        def answer():
            threading.Thread(target=go_on, daemon=True).start()
            time.sleep(0.1)
            {EXIT_OF_ONE_THREAD}
    """

    assert any_range.run(source).run.cause is Cause.STUDENT_EXITED


@pytest.mark.parametrize("name", ["process", "process-warm", "jail", "jail-warm"])
def test_a_supervisor_that_hangs_is_killed_when_its_time_is_over(
    ranges: Callable[[str], Range], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "STOP_S", 0.5)
    found = ranges(name)
    stopped: list[int] = []

    def stop_the_supervisor() -> None:
        assert settle(lambda: bool(survivors(found.scratch)))
        stat = Path(f"/proc/{survivors(found.scratch)[0]}/stat").read_text()
        stopped.append(int(stat.rpartition(")")[2].split()[1]))
        os.kill(stopped[0], signal.SIGSTOP)

    stopper = threading.Thread(target=stop_the_supervisor)
    stopper.start()
    result = found.run("import time\ndef answer(): time.sleep(30)", wall_time_s=2)
    stopper.join()

    assert result.run.cause is Cause.STUDENT_TIMEOUT
    assert settle(lambda: not Path(f"/proc/{stopped[0]}").exists())
    assert settle(lambda: not survivors(found.scratch))
    assert list(found.scratch.iterdir()) == []
