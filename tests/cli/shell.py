"""`grade` as the shell starts it."""

import subprocess
import sys


def grade(*words, cwd):
    """One command line in a process of its own; its status, output and errors."""
    return subprocess.run(
        [sys.executable, "-m", "grader.cli", *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
