"""The program beside which a student's own code runs where nothing is confined: Windows, macOS.

    grader ══ three pipes ══► this process

One process, by the standard library alone, on every system that has Python. It imports the stage's
libraries, says "ready", and waits for the request: so it can be started before it is needed. From
then on it runs the student's code with the rights of its author, who could start it as well.
What it must keep is the contract of the frames; time and memory are kept by the grader outside.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
import threading
from typing import NoReturn

from . import frames
from .job import load_stage
from .tree import add_tree_to_path


def work(stage: str, stages: pathlib.Path) -> NoReturn:
    """Be the whole of a run, from the import of its libraries to the end frame.

    Args:
        stage: Name of the stage module.
        stages: Folder it lies in.
    """
    channel, requests = _arrange_descriptors()
    status = 1
    try:
        module = load_stage(stage, stages)
        channel.send_json(frames.READY, {})
        asked = frames.read_frame(requests, frames.REQUEST)
        _end_with_grader(requests)
        tree = pathlib.Path(asked["tree"])
        os.chdir(tree)
        add_tree_to_path(tree)
        module.run(dict(asked["request"]), tree, channel)
        channel.send_json(frames.END, {})
        status = 0
    except BaseException as error:
        # Not a verdict: the grader reads it to say what happened.
        report = {"type": type(error).__name__, "message": str(error)[:2000]}
        with contextlib.suppress(OSError):
            channel.send_json(frames.CRASH, report)
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)  # no atexit, no threads, no destructors of the student's


def _arrange_descriptors() -> tuple[frames.Channel, int]:
    """Give the student's code a null input and the log, and keep the pipes out of its way.

    Returns:
        The channel, and where requests come from.
    """
    _count_every_byte(0, 1)
    requests, channel = os.dup(0), os.dup(1)
    _count_every_byte(requests, channel)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return frames.Channel(channel), requests


def _count_every_byte(*descriptors: int) -> None:
    """Windows would turn line ends in what goes through a descriptor of text."""
    if sys.platform == "win32":
        import msvcrt

        for descriptor in descriptors:
            msvcrt.setmode(descriptor, os.O_BINARY)


def _end_with_grader(requests: int) -> None:
    """End when the grader has gone, whatever became of it: it holds the other end of the pipe."""

    def wait() -> None:
        with contextlib.suppress(OSError):
            os.read(requests, 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
