"""One file per run that always holds the last whole epoch, whatever happens to the process.

Property protected: the file is either the old one or the new one, never half of one, so a kill -9
at any moment costs at most the epoch under way. It holds plain arrays and is read without pickle.
"""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

FILE_NAME = "checkpoint.npz"
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
    """What JSON can hold: epoch, history, fingerprint, times."""


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write the checkpoint in one atomic step and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        f"{group}/{number}": array
        for group, members in checkpoint.groups.items()
        for number, array in enumerate(members)
    }
    arrays[_META] = np.frombuffer(json.dumps(checkpoint.meta).encode(), np.uint8)
    draft = folder / f".{FILE_NAME}.{os.getpid()}"
    with draft.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]
        stream.flush()
        os.fsync(stream.fileno())
    target = folder / FILE_NAME
    draft.replace(target)
    return target


def load(folder: Path) -> Checkpoint | None:
    """The last whole checkpoint, or None where there is none that can be read."""
    try:
        # np.load leaves a file that it opened itself open where it cannot read it.
        with (
            (folder / FILE_NAME).open("rb") as stream,
            np.load(stream, allow_pickle=False) as archive,
        ):
            arrays = {name: archive[name] for name in archive.files}
            meta = json.loads(arrays.pop(_META).tobytes())
    except (OSError, ValueError, KeyError, EOFError, AttributeError, TypeError, zipfile.BadZipFile):
        return None
    groups: dict[str, Arrays] = {}
    for name in sorted(arrays, key=lambda key: (key.split("/")[0], int(key.split("/")[1]))):
        groups.setdefault(name.split("/")[0], []).append(arrays[name])
    return Checkpoint(groups, meta)
