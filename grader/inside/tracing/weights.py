"""The student's weights file."""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import failures


def load(model: Any, weights: str | None, tree: Path) -> dict[str, Any]:
    """Load the student's weights file, here where it can do no harm."""
    if weights is None:
        return {"file": None, "loaded": False}
    try:
        with _named_by_content(tree / weights) as file:
            model.load_weights(str(file))
    except BaseException as error:  # a broken file is a finding, not an abort
        failure = failures.failure(error, tree)
        failure["message"] = _numbers(model, weights, tree) or failure["message"]
        return {"file": weights, "loaded": False, "failure": failure}
    return {"file": weights, "loaded": True}


def _numbers(model: Any, weights: str, tree: Path) -> str:
    """How many numbers a file holds that does not fit, beside those of the network; "" if equal.

    Of an optimizer's state nothing is counted: a whole model was saved with it.
    """
    import h5py

    found = [0]

    def count(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
            found[0] += int(item.size)

    try:
        with h5py.File(tree / weights, "r") as file:
            file.visititems(count)
    except Exception:  # it is no such file; Keras's own words say so
        return ""
    asked = sum(math.prod(v.shape) for v in model.weights)
    if found[0] == asked:
        return ""
    return f"{Path(weights).name} holds {found[0]:,} numbers, build_model() has {asked:,}."


@contextlib.contextmanager
def _named_by_content(file: Path) -> Iterator[Path]:
    """A weights file under the ending that tells Keras how it is laid out.

    Keras goes by the ending alone, while Keras 2 wrote its own layout into *.weights.h5 as well.
    """
    ending = _ending(file)
    if file.name.endswith(ending) and not (ending == ".h5" and file.name.endswith(".weights.h5")):
        yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / f"network{ending}"
        try:
            named.symlink_to(file)
        except (OSError, NotImplementedError):  # Windows asks for a privilege
            shutil.copyfile(file, named)
        yield named


def _ending(file: Path) -> str:
    import h5py

    with file.open("rb") as content:
        if content.read(2) == b"PK":
            return ".keras"
    try:
        with h5py.File(file, "r") as found:
            old = "layer_names" in found.attrs or "model_weights" in found
    except OSError:  # no such file at all: Keras says what is wrong with it
        return "".join(file.suffixes[-1:])
    return ".h5" if old else ".weights.h5"
