"""What a run leaves on disk so that it can go on, whatever happens to the process.

Property protected: each file is either the old one or the new one, never half of one, so a kill -9
at any moment costs about a minute. The last whole epoch lies in one file, what came after it in
another; a run that is given up for a changed one stays until that one has finished an epoch, and
one more after that. The files hold plain arrays and are read without pickle.
"""

from __future__ import annotations

import json
import secrets
import zipfile
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grader import files
from grader.engine.history import Abandoned

FILE_NAME = "checkpoint.npz"
WITHIN = "within.npz"
"""The epoch under way."""
PREVIOUS = "checkpoint.previous.npz"
"""The run before this one: taking back what was changed goes on with it."""
TRIAL = "trial.npz"
"""Written to see that there is room, and removed."""
_META = "meta"

Arrays = list[npt.NDArray[Any]]


def copy_of(variable: Any) -> npt.NDArray[Any]:
    """A variable or tensor of any backend as an array of its own."""
    from keras import ops

    return np.array(ops.convert_to_numpy(variable))


class Checkpoint(NamedTuple):
    """All that a run needs to go on."""

    groups: dict[str, Arrays]
    """Arrays by role: model, optimizer, ema."""
    meta: dict[str, Any]
    """What JSON can hold: epochs, what decides the run, times."""


def save(folder: Path, checkpoint: Checkpoint, name: str = FILE_NAME) -> Path:
    """Write the checkpoint in one atomic step and return its path.

    Raises:
        OSError: The disk did not take it. Nothing of it is left, and the old file is untouched.
    """
    with files.drafted(folder / name) as stream:
        _write(stream, checkpoint)
    return folder / name


def _write(stream: IO[bytes], checkpoint: Checkpoint) -> None:
    arrays = {
        f"{group}/{number}": array
        for group, members in checkpoint.groups.items()
        for number, array in enumerate(members)
    }
    arrays[_META] = np.frombuffer(json.dumps(checkpoint.meta).encode(), np.uint8)
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    stream.flush()


def load(folder: Path, name: str = FILE_NAME) -> Checkpoint | None:
    """The last whole checkpoint, or None where there is none that can be read."""
    try:
        # np.load leaves a file that it opened itself open where it cannot read it.
        with (
            (folder / name).open("rb") as stream,
            np.load(stream, allow_pickle=False) as archive,
        ):
            arrays = {name: archive[name] for name in archive.files}
            meta = json.loads(arrays.pop(_META).tobytes())
    except (OSError, ValueError, KeyError, EOFError, AttributeError, TypeError, zipfile.BadZipFile):
        return None
    groups: dict[str, Arrays] = {}
    for key in sorted(arrays, key=lambda key: (key.split("/")[0], int(key.split("/")[1]))):
        groups.setdefault(key.split("/")[0], []).append(arrays[key])
    return Checkpoint(groups, meta)


class Keep:
    """The checkpoints of one run.

    Args:
        folder: Where they lie; None keeps nothing.
        run: What decides the run, as JSON holds it: `code`, `recipe`, `network`, and `start`, what
            it began with. A stored run with the same is taken up. A `start` of None is that of
            whatever run is stored.
    """

    def __init__(self, folder: Path | None, run: dict[str, Any]) -> None:
        self.folder, self.run = folder, {"id": secrets.token_hex(8), **run}
        self.abandoned: Abandoned | None = None

    def load(self) -> Checkpoint | None:
        """The last whole epoch of this run; sets `abandoned` where another lies in its place."""
        stored = [self._read(name) for name in (FILE_NAME, PREVIOUS)]
        for found in stored:
            if found is not None and self._is_ours(found):
                self.run = found.meta["run"]
                return found
        self.abandoned = self._other(stored[0] or self._read(WITHIN))
        return None

    def load_within(self, epochs: int) -> Checkpoint | None:
        """What this run did after so many whole epochs."""
        found = self._read(WITHIN)
        if found is None or not self._is_ours(found) or len(found.meta["epochs"]) != epochs:
            return None
        self.run, self.abandoned = found.meta["run"], None
        return found

    def save(self, state: dict[str, Arrays], meta: dict[str, Any]) -> None:
        """Keep a whole epoch. The run that lies there, if it is another, becomes the previous."""
        if self.folder is None:
            return
        file = self.folder / FILE_NAME
        with files.drafted(file) as stream:
            _write(stream, Checkpoint(state, {"run": self.run, **meta}))
            there = self._read(FILE_NAME)
            if there is not None and not self._is_ours(there):
                files.write_atomically(self.folder / PREVIOUS, file.read_bytes())
        (self.folder / WITHIN).unlink(missing_ok=True)

    def save_within(self, state: dict[str, Arrays], meta: dict[str, Any]) -> bool:
        """Keep an epoch under way; returns whether the disk took it."""
        if self.folder is None:
            return False
        try:
            save(self.folder, Checkpoint(state, {"run": self.run, **meta}), WITHIN)
        except OSError:
            return False
        return True

    def try_out(self, state: dict[str, Arrays]) -> None:
        """See that a checkpoint can be written, before hours go into what it is to hold.

        Raises:
            OSError: It cannot.
        """
        if self.folder is not None:
            save(self.folder, Checkpoint(state, {}), TRIAL).unlink()

    def _read(self, name: str) -> Checkpoint | None:
        return load(self.folder, name) if self.folder is not None else None

    def _is_ours(self, found: Checkpoint) -> bool:
        return not _changes(found.meta.get("run", {}), self.run)

    def _other(self, found: Checkpoint | None) -> Abandoned | None:
        if found is None:
            return None
        run = found.meta.get("run", {})
        return Abandoned(len(found.meta.get("epochs", ())), _changes(run, self.run))


def _changes(before: dict[str, Any], now: dict[str, Any]) -> tuple[str, ...]:
    """What of two runs differs, in words; nothing for one and the same."""
    changes = []
    if before.get("code") != now["code"]:
        changes.append("densenet.py, or a file that it uses, has changed")
    changes += _other_values(before.get("recipe", {}), now["recipe"])
    if now["start"] is not None and before.get("start") != now["start"]:
        changes.append("it began with other weights")
    if not changes and before.get("network") != now["network"]:
        changes.append("build_model() gives another network")
    return tuple(changes)


def _other_values(before: dict[str, Any], now: dict[str, Any], table: str = "") -> list[str]:
    changes = []
    for key, value in now.items():
        if isinstance(value, dict):
            changes += _other_values(before.get(key, {}), value, f"{key}.")
        elif before.get(key) != value:
            changes.append(f"{table}{key} was {before.get(key, 'not there')} and is {value}")
    return changes
