"""One run, as supervisor and worker know it, and how modules of this folder are found."""

from __future__ import annotations

import importlib
import pathlib
import sys
import types
from typing import Any

from . import landlock

HERE = pathlib.Path(__file__).resolve().parent
SUBMISSION = "submission"
"""Name of the program's working folder: its own copy of the student's files, to write in."""


class Job:
    """What the supervisor decided for its worker.

    Attributes:
        stage: Name of the stage module.
        stages: Folder it lies in.
        module: It, where it is imported already.
        order: {"limits": Limits as a dict, "jail": whether to confine, "alone": whether no file
            that can be read is anybody else's (then without Landlock), "private": the folder to
            make and remove, "tree": the student's files, where they lie on this machine, "seat":
            number among the runs of this moment, None for one alone,
            "container": whether the one around it is a file system of its own, and then
            "tree_bytes": what the student's tree takes of it}. None until it came.
        private: The private folder.
        own_room: Whether that is a file system of its own.
        copied: Bytes of it that are the copy of the student's files, not what the program wrote.
        uid: User to become, None to stay.
        tasks: Threads that this user may have, all others of this user's included; None where
            others count them.
        libraries: What may be read of this machine, and folders that may be listed. The grader's
            own package is left out: where it is installed, a reference solution lies in it.
    """

    def __init__(self, stage: str, stages: pathlib.Path) -> None:
        self.stage = stage
        self.stages = stages
        self.module: types.ModuleType | None = None
        self.order: dict[str, Any] | None = None
        self.private: str | None = None
        self.copied = 0
        self.uid: int | None = None
        self.own_room = False
        self.tasks: int | None = None
        ours = landlock.copies(str(HERE.parent))
        self.libraries = landlock.carve(landlock.readable_paths(), *ours)


def load_stage(name: str, folder: pathlib.Path) -> types.ModuleType:
    """Import a stage module, of this folder or of another one, and what it will need."""
    package = sys.modules[__package__]
    package.__path__ = list(dict.fromkeys([*package.__path__, str(folder)]))
    module = importlib.import_module(f"{__package__}.{name}")
    if hasattr(module, "warm"):
        module.warm()
    return module
