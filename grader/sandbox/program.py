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


def program(stage: str, stages: Path, *options: str) -> list[str]:
    """Return the command line of `grader/inside/main.py`."""
    main = str(STAGES / "main.py")
    return [sys.executable, "-I", "-B", main, stage, "--stages", str(stages), *options]
