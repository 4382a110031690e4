"""An interrupted grader ends what its sandbox runs, and starts nothing more."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from grader.errors import Cause, InfrastructureError
from grader.sandbox.process import ProcessSandbox
from tests.sandbox.conftest import HONEST, STAGES, Range, survivors

BUSY = """
    import time
    print("at work", flush=True)
    def answer(): time.sleep(LONG_S)
"""


@pytest.fixture
def own(tmp_path: Path) -> Range:
    for name in ("scratch", "trees"):
        (tmp_path / name).mkdir()
    sandbox = ProcessSandbox(stages=STAGES, scratch=tmp_path / "scratch")
    return Range("process", sandbox, tmp_path / "scratch", tmp_path / "trees")


def test_what_runs_is_ended_and_leaves_nothing(own: Range) -> None:
    failed: list[InfrastructureError] = []

    def work() -> None:
        try:
            own.run(BUSY, wall_time_s=300)
        except InfrastructureError as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not any(own.scratch.iterdir()):  # its private folder: it has begun
        thread.join(0.02)
        assert thread.is_alive()
    own.sandbox.stop()
    thread.join(60)

    assert not thread.is_alive()
    assert [error.cause for error in failed] == [Cause.INFRA_INTERRUPTED]
    assert survivors(own.scratch) == []
    assert list(own.scratch.iterdir()) == []


def test_nothing_more_is_started(own: Range) -> None:
    own.sandbox.stop()

    with pytest.raises(InfrastructureError, match="interrupted"):
        own.run(HONEST)
