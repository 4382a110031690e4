"""`grade train`: a student's own network, trained on the student's own machine by the recipe.

This is the one place outside the sandbox where a densenet.py is imported. It is for the machine of
the person who wrote it; nothing on the way from a submission to a grade comes through here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grader.engine.data import CLASS_NAMES, NoData, find_cifar10
from grader.engine.history import History, OnEvent
from grader.engine.recipe import load_recipe
from grader.engine.train import fit, prepare
from grader.errors import Cause, InfrastructureError, UsageError
from grader.intake.notebook import convert
from grader.intake.text import as_utf8

MODULE = "densenet.py"
NOTEBOOK = "densenet.ipynb"
RECIPE = "recipe.toml"
WEIGHTS = "densenet.weights.h5"
HISTORY = "training.json"
STATE_FOLDER = ".training"
"""Holds the checkpoint; hidden, so that it is not packed."""


def train_submission(
    folder: Path,
    *,
    recipe: Path | None = None,
    data: Path | None = None,
    restart: bool = False,
    initial_weights: Path | None = None,
    on_event: OnEvent = lambda event: None,
    may_download: bool = True,
    budget_s: float | None = None,
) -> History:
    """Train `build_model()` of a folder; writes the weights, training.json and checkpoints there.

    An interrupted run is taken up by the same call as long as densenet.py and the recipe are as
    they were.

    Args:
        folder: Holds densenet.py or densenet.ipynb.
        recipe: Default: recipe.toml in the folder.
        data: Where CIFAR-10 is; see `find_cifar10`.
        restart: Forget an interrupted run.
        initial_weights: Weights to begin with, of an earlier training; None for fresh ones.
        on_event: Told of everything that happens.
        may_download: Let Keras fetch CIFAR-10 where it is nowhere.
        budget_s: Seconds of training steps allowed; None for no limit.

    Raises:
        UsageError: The recipe, the code or the network cannot be trained; says what to do.
        InfrastructureError: INFRA_DATA; no CIFAR-10, or a damaged one.
    """
    rules = load_recipe(recipe or folder / RECIPE)
    source = _source(folder)
    images = find_cifar10(data, may_download=may_download)
    if isinstance(images, NoData):
        raise InfrastructureError(
            Cause.INFRA_DATA, images.reason, "Name the folder that holds it with --data."
        )
    state = folder / STATE_FOLDER
    if restart:
        shutil.rmtree(state, ignore_errors=True)
    prepare(rules)
    model, preprocess = _network(folder, source)
    if initial_weights is not None:
        _begin_with(model, initial_weights)
    history = fit(
        model,
        rules,
        images,
        preprocess=preprocess,
        on_event=on_event,
        checkpoint_dir=state,
        budget_s=budget_s,
        fingerprint=hashlib.sha256(source).hexdigest(),
    )
    _write(folder, model, history)
    return history


def _begin_with(model: Any, weights: Path) -> None:
    try:
        model.load_weights(str(weights))
    except (OSError, ValueError) as error:
        raise UsageError(f"{weights}: no weights of build_model(). {error}") from error


def _source(folder: Path) -> bytes:
    """densenet.py as Python reads it, from the notebook where there is one instead."""
    try:
        if (folder / MODULE).is_file():
            return as_utf8((folder / MODULE).read_bytes())[0]
        if (folder / NOTEBOOK).is_file():
            return convert((folder / NOTEBOOK).read_bytes()).source.encode()
    except OSError as error:
        raise UsageError(f"{MODULE}: cannot be read ({error.strerror}).") from error
    raise UsageError(f"{folder}: neither {MODULE} nor {NOTEBOOK} is there. Run grade init first.")


def _network(folder: Path, source: bytes) -> tuple[Any, Callable[[Any], Any]]:
    """Run densenet.py, and see that its network can be trained on CIFAR-10."""
    module = types.ModuleType("densenet")
    module.__file__ = str(folder / MODULE)
    sys.path.insert(0, str(folder.resolve()))
    sys.modules["densenet"] = module
    arguments, sys.argv = sys.argv, [MODULE]  # a parser of arguments in it is not meant for ours
    try:
        exec(compile(source, str(folder / MODULE), "exec"), module.__dict__)
        model = module.build_model()
        preprocess = module.preprocess
        shape = _try_out(model, preprocess)
    except NotImplementedError as error:
        raise UsageError(f"{MODULE}: {error}. Write it, then see grade check.") from error
    # The student's code on the student's machine may raise anything; the cause is chained.
    except Exception as error:
        raise UsageError(
            f"{MODULE}: {type(error).__name__}: {error}. grade check says more."
        ) from error
    finally:
        sys.path.remove(str(folder.resolve()))
        sys.modules.pop("densenet", None)
        sys.argv = arguments
    if shape != (2, len(CLASS_NAMES)):
        raise UsageError(
            f"build_model(): expected output (2, {len(CLASS_NAMES)}) for 2 images."
            f" Received: {shape}."
        )
    return model, preprocess


def _try_out(model: Any, preprocess: Callable[[Any], Any]) -> tuple[int, ...]:
    """Shape of the answer to two black images, computed in a compiled function as in training."""
    import keras
    import numpy as np

    images = np.zeros((2, 32, 32, 3), np.uint8)
    if keras.backend.backend() == "jax":
        import jax

        return tuple(model(jax.jit(preprocess)(images)).shape)
    import tensorflow as tf

    return tuple(model(tf.function(preprocess)(tf.constant(images))).shape)


def _write(folder: Path, model: Any, history: History) -> None:
    """Weights and history, each put in place whole."""
    state = folder / STATE_FOLDER
    draft = state / WEIGHTS
    state.mkdir(exist_ok=True)
    model.save_weights(draft)
    os.replace(draft, folder / WEIGHTS)
    draft = state / HISTORY
    draft.write_text(history.model_dump_json(indent=2) + "\n", encoding="utf-8")
    os.replace(draft, folder / HISTORY)
