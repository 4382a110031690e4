"""How the program that runs beside student code is started: its command line and environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

STAGES = Path(__file__).resolve().parent.parent / "inside"
"""Where the program lies."""
_NOWHERE = "/dev/null/nowhere"
"""Cannot be made, not even by root."""


def stage_environment() -> dict[str, str]:
    """Return all the environment a stage gets: nothing of ours but where libraries are loaded."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": _NOWHERE,
        "KERAS_HOME": _NOWHERE,
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        "MPLBACKEND": "agg",
        # One thread each: a stage describes a network, it does not train one, and several run
        # at once; and an import that starts threads could not be forked or confined.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
    }
    for name in ("LD_LIBRARY_PATH", "SYSTEMROOT"):
        if name in os.environ:
            environment[name] = os.environ[name]
    return environment


def own_environment(private: Path) -> dict[str, str]:
    """Return the environment for a student's own code: the student's, with places of its own.

    Where libraries are found is in it, under whatever name this system has for that.

    Args:
        private: What it takes for the home and the temporary folder.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRADER_")}
    places = dict.fromkeys(("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP"), str(private))
    path = {"PATH": os.environ.get("PATH", ""), "KERAS_HOME": str(private / ".keras")}
    return {**kept, **stage_environment(), **places, **path}


def program(stage: str, stages: Path, *options: str, utf8: bool = False) -> list[str]:
    """Return the command line of `grader/inside/main.py`.

    Args:
        stage: Name of the stage module.
        stages: Folder it lies in.
        options: Further words.
        utf8: Let its text be UTF-8 whatever this system's is, as it is where it will be graded.
    """
    text = ["-X", "utf8"] if utf8 else []
    main = str(STAGES / "main.py")
    return [sys.executable, "-I", "-B", *text, main, stage, "--stages", str(stages), *options]
