"""Weights files that are none, or more than weights: what `load_weights` makes of each, inside.

Each is made with h5py for a network of one layer. Nothing larger than 128 MiB unpacks out of any of
them, so that a missing limit costs memory and no more.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

NETWORK = """
import keras

def dense_block(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0):
    raise NotImplementedError

transition = build_densenet = dense_block

def build_model():
    image = keras.Input((32, 32, 3))
    x = keras.layers.GlobalAveragePooling2D()(image)
    return keras.Model(image, keras.layers.Dense(10, activation="softmax", name="dense")(x))

def preprocess(images):
    return images / 255
"""
"""Its weights: dense/vars/0 (3, 10) and dense/vars/1 (10,)."""

KERNEL, BIAS = "layers/dense/vars/0", "layers/dense/vars/1"
MiB = 2**20
Change = Callable[[Any], None]


@dataclass(frozen=True)
class WeightsCase:
    """One weights file.

    Attributes:
        name: What it is.
        data: Makes its bytes.
        taken: Whether it is loaded: then `build_model()` would be measured with it.
        says: Words of the note, or of the reason for a review.
        why: What would happen without the defence.
        file: Its name.
    """

    name: str
    data: Callable[[], bytes]
    taken: bool
    says: str
    why: str
    file: str = "model.weights.h5"


def hdf5(change: Change | None = None, dtype: str = "f4") -> Callable[[], bytes]:
    """The weights of the network in one HDF5 file, then changed."""

    def make() -> bytes:
        import h5py

        room = io.BytesIO()
        with h5py.File(room, "w") as store:
            store[KERNEL] = np.full((3, 10), 0.1, dtype)
            store[BIAS] = np.zeros(10, dtype)
            if change is not None:
                change(store)
        return room.getvalue()

    return make


def kernel(value: Any) -> Callable[[], bytes]:
    """The same with another kernel."""

    def change(store: Any) -> None:
        del store[KERNEL]
        store[KERNEL] = value

    return hdf5(change)


def _bomb(store: Any) -> None:
    del store[KERNEL]
    store.create_dataset(KERNEL, (32 * MiB,), "f4", chunks=(MiB,), compression="gzip")
    store[KERNEL][: 32 * MiB : MiB] = 1.0


def _never_written(store: Any) -> None:
    del store[KERNEL]
    store.create_dataset(KERNEL, (2**40,), "f4", chunks=(MiB,))


def _external(store: Any) -> None:
    import h5py

    del store[KERNEL]
    store[KERNEL] = h5py.ExternalLink("/etc/hostname", "/")


def _raw_external(store: Any) -> None:
    del store[KERNEL]
    store.create_dataset(KERNEL, (3, 10), "f4", external=[("/proc/self/environ", 0, 120)])


def _virtual(store: Any) -> None:
    import h5py

    del store[KERNEL]
    layout = h5py.VirtualLayout((3, 10), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "/", (3, 10))
    store.create_virtual_dataset(KERNEL, layout)


def _loop(store: Any) -> None:
    import h5py

    del store[KERNEL]
    store[KERNEL] = h5py.SoftLink("/" + KERNEL)


def _knot(store: Any) -> None:
    store["layers/dense/again"] = store["layers"]


def _attribute(store: Any) -> None:
    store["layers"].attrs.create("note", np.zeros(8000, "u1"))


def _further(store: Any) -> None:
    store["layers/conv2d/vars/0"] = np.zeros((3, 3, 3, 8), "f4")


def _without_bias(store: Any) -> None:
    del store[BIAS]


class _Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("a pickle was run",))


def _pickle() -> bytes:
    return pickle.dumps(_Payload())


def _object_array() -> bytes:
    room = io.BytesIO()
    np.save(room, np.array([_Payload()], object), allow_pickle=True)
    return room.getvalue()


def keras_file(files: dict[str, Callable[[], bytes]]) -> Callable[[], bytes]:
    """A .keras file: a zip of these."""

    def make() -> bytes:
        room = io.BytesIO()
        with zipfile.ZipFile(room, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data())
        return room.getvalue()

    return make


LAMBDA = b"""{"module": "keras.layers", "class_name": "Lambda", "config": {"name": "l", "function":
{"class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAAAAAAAAEAAAAD", "defaults": null}}},
"registered_name": null, "build_config": {}}"""
MISFIT = "the weights file does not fit build_model()"
NO_NUMBERS = "the weights hold NaN or infinity"
KERAS = "model.keras"

WEIGHTS: tuple[WeightsCase, ...] = (
    WeightsCase("right ones", hdf5(), True, "", "honest"),
    WeightsCase("in half precision", hdf5(dtype="f2"), True, "", "honest, made on a GPU"),
    WeightsCase("a kernel of NaN", kernel(np.full((3, 10), np.nan, "f4")), False, NO_NUMBERS,
                "argmax takes a NaN for the largest number"),
    WeightsCase("a kernel of infinities", kernel(np.full((3, 10), np.inf, "f4")), False,
                NO_NUMBERS, "as for NaN"),
    WeightsCase("a bomb of zeros", hdf5(_bomb), False, MISFIT,
                "a hundred kilobytes unpack to 128 MiB in the reader"),
    WeightsCase("four terabytes that were never written", hdf5(_never_written), False, MISFIT,
                "a size in a header is allocated"),
    WeightsCase("a link into another file", hdf5(_external), False, MISFIT,
                "a file of this machine is read as weights"),
    WeightsCase("numbers that lie in another file", hdf5(_raw_external), False, MISFIT,
                "a file of this machine becomes weights, and comes out of the sandbox"),
    WeightsCase("a view of another file", hdf5(_virtual), False, MISFIT,
                "a file of this machine becomes weights, and comes out of the sandbox"),
    WeightsCase("a link to itself", hdf5(_loop), False, MISFIT, "following it never ends"),
    WeightsCase("a group inside itself", hdf5(_knot), True, "", "walking it never ends"),
    WeightsCase("a large attribute", hdf5(_attribute), True, "", "it is read by whoever lists"),
    WeightsCase("weights of a further layer", hdf5(_further), True, "",
                "they are of no use to the network, and harm nobody"),
    WeightsCase("a kernel of another shape", kernel(np.zeros((10, 3), "f4")), False, MISFIT,
                "a kernel that is reshaped gives another network"),
    WeightsCase("a weight too few", hdf5(_without_bias), False, MISFIT,
                "what is missing stays as it was drawn"),
    WeightsCase("cut short", lambda: hdf5()()[:900], False, MISFIT, "a parser runs off the end"),
    WeightsCase("a pickle", _pickle, False, MISFIT, "a pickle is a program"),
    WeightsCase("a NumPy array of objects", _object_array, False, MISFIT, "it holds a pickle"),
    WeightsCase("a .keras file with code in its config", keras_file({
        "metadata.json": lambda: b"{}", "config.json": lambda: LAMBDA,
        "model.weights.h5": hdf5()}), True, "", "a config is unmarshalled and called", KERAS),
    WeightsCase("a .keras file that unpacks beside itself", keras_file({
        "config.json": lambda: b"{}", "../../slip.py": lambda: b"raise SystemExit",
        "model.weights.h5": hdf5()}), True, "", "an archive is unpacked by its names", KERAS),
    WeightsCase("a .keras bomb", keras_file({
        "config.json": lambda: b"{}", "model.weights.h5": lambda: bytes(64 * MiB)}), False,
        MISFIT, "a member is unpacked into memory or a file", KERAS),
    WeightsCase("a .keras file without weights", keras_file({"config.json": lambda: b"{}"}), False,
                MISFIT, "a file that is missing is taken for an empty one", KERAS),
)  # fmt: skip
