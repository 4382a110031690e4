"""Describe a submission: the op graphs of its functions, its variables, its trained weights.

Runs inside the sandbox, beside student code, and judges nothing. It imports densenet.py, calls
its functions on the probes it was asked for, traces the results with `tf.function` (inference and
training) and sends what it found as plain records.
Nothing here is trusted by the other side: every record is validated there.

Standard library, numpy, TensorFlow and Keras only: the rest of `grader` is not importable here.
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

from . import call
from .tracing import (
    building,
    cheaper,
    copies,
    failures,
    importing,
    kinds,
    modes,
    places,
    probes,
    student,
    trained,
)
from .tracing.patience import Patience


def warm() -> None:
    """Import what every trace needs. Runs no op, so that a forked child is safe."""
    importing.import_libraries()


def run(request: dict[str, Any], tree: Path, channel: Any) -> None:
    """Answer one request.

    Args:
        request: {"module": "densenet" or null, "probes": [...], "model": {...} or null}; "plain"
            where every network is to be traced whole, "compared" the ids of those that are in any
            case, with the modes, "calls" what is called for its values.
        tree: The rewritten submission.
        channel: Takes `send_json(name, object)` and `send_binary(name, bytes)`.
    """
    warm()
    tf, keras = _silence()
    channel.send_json("versions", {"tensorflow": tf.__version__, "keras": keras.__version__})
    plain = bool(request.get("plain")) or not keras.__version__.startswith(kinds.KERAS)
    if not plain:
        building.with_less_bookkeeping()
    asked = request.get("probes", [])
    if any("file" in probe for probe in asked):
        places.note_layers(tree)
    copies.begin(plain=plain, compared=request.get("compared"))
    name = request.get("module", "densenet")
    student.greet(name or "submission")
    patience = Patience(request.get("call_s"))
    module, told = student.load(name, tree, patience)
    described = {"functions": student.signatures(module), "others": student.others(module)}
    channel.send_json("module", {**told, **described})
    if module is None:
        asked = [probe for probe in asked if "file" in probe]
    late: dict[tuple[str, str], Any] = {}
    for probe in asked:
        # Who did not come back once is not waited for again: the other functions get their turn.
        called = (probe.get("file", ""), probe["function"])
        answer = late.get(called)
        answer = answer or probes.answer(tree, module, probe, channel, patience)
        channel.send_json("probe:" + probe["id"], answer)
        if patience.ran_out:
            late[called] = {"failure": answer["failure"]}
            patience.ran_out = False
    call.answer(request.get("calls", []), tree, channel, patience, {name: (module, told)})
    if request.get("model") is not None and module is not None:
        wanted = request["model"]
        model = patience.watch(trained.answer) if late else trained.answer
        channel.send_json("model", failures.attempt(tree, model, module, wanted, tree, channel))


def _silence() -> tuple[Any, Any]:
    import warnings

    import keras
    import tensorflow as tf

    warnings.simplefilter("ignore")
    tf.get_logger().setLevel("ERROR")
    keras.utils.set_random_seed(0)
    # Graphs are cycles of many small objects that live until the end.
    gc.set_threshold(200_000, 10, 10)
    modes.keep_written_modes()
    cheaper.write_normalisation_as_one_op()
    return tf, keras
