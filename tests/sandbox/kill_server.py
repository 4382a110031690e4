"""Runs tests in forks of one process that has loaded pytest: a second less for each.

Takes a line of JSON with a folder and a test, and gives a line with pytest's exit status; what
pytest prints is in `printed.txt` in the folder. The grader and its tests are loaded in the fork
alone, from the folder, where one defence is switched off.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys

import pydantic  # noqa: F401 - what every test imports is loaded before the first fork
import pytest

TIMEOUT_S = 240


def run(folder: str, test: str) -> int:
    """Run one test in a folder; this process is of no other use afterwards."""
    os.chdir(folder)
    sys.path[0] = folder
    os.environ |= {"PYTHONPATH": folder, "GRADER_KILL_MATRIX": "1"}
    printed = os.open("printed.txt", os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    words = ["-q", "-x", "-m", "", f"--timeout={TIMEOUT_S}"]
    words += ["-p", "no:cacheprovider", "-p", "no:xdist"]
    status = pytest.main([*words, test])
    sys.stdout.flush()
    return int(status)


def main() -> None:
    """Serve until standard input ends."""
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(["--version", "--version"])  # loads the plugins
    for line in sys.stdin:
        order = json.loads(line)
        if (child := os.fork()) == 0:
            os._exit(run(order["folder"], order["test"]))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
