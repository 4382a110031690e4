"""`grade train`: a student's own network, trained on the student's own machine by the recipe.

This is the one place outside the sandbox where a densenet.py is imported. It is for the machine of
the person who wrote it; nothing on the way from a submission to a grade comes through here.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from grader import files
from grader.assignment import load_assignment
from grader.domain import MODULE, NOTEBOOK, RECIPE, WEIGHTS, StopReason
from grader.engine.cifar10 import CLASSES
from grader.engine.data import ImageSet, NoData, find_images
from grader.engine.history import History, Loading, OnEvent, Written
from grader.engine.rates import try_rates
from grader.engine.recipe import Recipe, load_recipe
from grader.engine.train import fit, prepare
from grader.errors import Cause, InfrastructureError, UsageError
from grader.intake import code_of
from grader.intake.notebook import convert
from grader.intake.text import as_utf8
from grader.resources import assignment_dir
from grader.student.display import TrainingDisplay
from grader.student.outlook import rate_in_words
from grader.syntax import module_of

PREVIOUS_WEIGHTS = "densenet.weights.previous.h5"
HISTORY = "training.json"
CURVE = "training.png"
STATE_FOLDER = ".training"
"""Holds the checkpoint; hidden, so that it is not packed."""
WRITTEN = "written.json"
"""In there: which weights this tool wrote last, and by which run."""


def train_and_show(
    folder: Path,
    *,
    recipe: Path | None = None,
    data: Path | None = None,
    restart: bool = False,
    initial_weights: Path | None = None,
    budget_s: float | None = None,
    console: Console | None = None,
) -> History:
    """`grade train`: train with a live display, then write the curve beside the weights.

    Args:
        folder: See `train_submission`.
        recipe: See `train_submission`.
        data: See `train_submission`.
        restart: See `train_submission`.
        initial_weights: See `train_submission`.
        budget_s: See `train_submission`.
        console: Where everything goes; by default progress on standard error, what came of it on
            standard output.
    """
    progress, results = console or Console(stderr=True), console or Console()
    with TrainingDisplay(progress, results, _threshold()) as display:
        history = train_submission(
            folder,
            recipe=recipe,
            data=data,
            restart=restart,
            initial_weights=initial_weights,
            on_event=display,
            budget_s=budget_s,
            look_ahead=True,
        )
        if history.epochs:
            display.draw(history.epochs, folder / CURVE)
            display.next_steps()
    return history


def _threshold() -> float | None:
    """The accuracy that the assignment wants surpassed; None where it wants none."""
    evaluation = load_assignment(assignment_dir()).evaluation
    return None if evaluation is None else evaluation.threshold


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
    look_ahead: bool = False,
) -> History:
    """Train `build_model()` of a folder; writes the weights, training.json and checkpoints there.

    An interrupted run is taken up by the same call as long as the recipe and the code say the same
    as before. Weights are written when an epoch of the run is finished, and not before; those of
    another run that stand there are kept beside them.

    Args:
        folder: Holds densenet.py or densenet.ipynb.
        recipe: Default: recipe.toml in the folder.
        data: Where CIFAR-10 is; see `find_images`.
        restart: Forget an interrupted run.
        initial_weights: Weights to begin with, of an earlier training; None for fresh ones.
        on_event: Told of everything that happens.
        may_download: Let Keras fetch CIFAR-10 where it is nowhere.
        budget_s: Seconds of training steps allowed; None for no limit.
        look_ahead: Whether a few steps are timed first, and a `Forecast` is told.

    Raises:
        UsageError: The recipe, the code or the network cannot be trained, or nothing can be written
            to the folder; says what to do.
        InfrastructureError: INFRA_DATA; no CIFAR-10, or a damaged one.
    """
    source = _source(folder)
    rules = load_recipe(recipe or folder / RECIPE)
    state = folder / STATE_FOLDER
    with _writing_to(folder):
        _try_to_write(folder, state)
    images = _images(data, may_download)
    on_event(Loading())
    _prepare_quietly(rules)
    model, preprocess = _network(folder, source)
    start = None if initial_weights is None else _start(initial_weights, state)
    if initial_weights is not None:
        _begin_with(model, initial_weights)
    if restart:
        shutil.rmtree(state, ignore_errors=True)
    with _writing_to(folder):
        history = fit(
            model,
            rules,
            images,
            preprocess=preprocess,
            on_event=on_event,
            checkpoint_dir=state,
            budget_s=budget_s,
            fingerprint=_fingerprint(folder),
            start=start,
            look_ahead=look_ahead,
        )
        if history.epochs:
            on_event(_write(folder, model, history, start))
    return history


def find_rate_and_show(
    folder: Path,
    *,
    recipe: Path | None = None,
    data: Path | None = None,
    console: Console | None = None,
) -> None:
    """`grade train --find-rate`: try a hundred rates, say which is good; nothing is written."""
    source = _source(folder)
    rules = load_recipe(recipe or folder / RECIPE)
    images = _images(data, may_download=True)
    _prepare_quietly(rules)
    model, preprocess = _network(folder, source)
    found = try_rates(model, rules, images, preprocess)
    for line in rate_in_words(found, rules.optimizer.learning_rate):
        (console or Console()).print(line, soft_wrap=True, highlight=False)


def _prepare_quietly(rules: Recipe) -> None:
    """Load the backend, and begin to compute, without what it tells of itself.

    TensorFlow writes of instructions it could use and of being rebuilt, which students take for
    errors, straight to the system's standard error. What fails is raised, and told.
    """
    sys.stderr.flush()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        import keras

        prepare(rules)
        keras.ops.zeros(1)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def _images(data: Path | None, may_download: bool) -> ImageSet:
    images = find_images(data, may_download=may_download)
    if isinstance(images, NoData):
        raise InfrastructureError(
            Cause.INFRA_DATA, images.reason, "Name the folder that holds it with --data."
        )
    return images


def _begin_with(model: Any, weights: Path) -> None:
    try:
        model.load_weights(str(weights))
    except (OSError, ValueError) as error:
        raise UsageError(f"{weights}: no weights of build_model(). {error}") from error


def _source(folder: Path) -> bytes:
    """densenet.py as Python reads it, from the notebook where there is one instead."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder with {MODULE}. Received: no folder.")
    try:
        if (folder / MODULE).is_file():
            return as_utf8((folder / MODULE).read_bytes())[0]
        if (folder / NOTEBOOK).is_file():
            return convert((folder / NOTEBOOK).read_bytes()).source.encode()
    except OSError as error:
        raise UsageError(f"{MODULE}: cannot be read ({error.strerror}).") from error
    below = [place.parent.name for place in sorted(folder.glob(f"*/{MODULE}"))[:1]]
    advice = (
        f"Is it {below[0]} that you mean? Then: grade train {(folder / below[0]).as_posix()}"
        if below
        else "Run grade init first."
    )
    here = "this folder" if folder == Path(".") else str(folder)
    raise UsageError(f"{here}: neither {MODULE} nor {NOTEBOOK} is there. {advice}")


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
    except SystemExit as error:
        raise UsageError(
            f"{MODULE}: it ends the program when it is imported (sys.exit or exit). Remove that."
        ) from error
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
    if shape != (2, len(CLASSES)):
        raise UsageError(
            f"build_model(): expected output (2, {len(CLASSES)}) for 2 images. Received: {shape}."
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


# --- what is written ------------------------------------------------------------------------


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    """A disk that is full or read-only is the user's to mend, and says so.

    Code of the student's that raises an OSError ended before, where its network is built.
    """
    try:
        yield
    except BrokenPipeError:  # who watched the training went away
        raise
    except OSError as error:
        raise UsageError(
            f"{folder}: the weights and checkpoints of the training cannot be written there: "
            f"{error.strerror or error}. Free some space, or copy the folder to where you may "
            "write, and give the same command again. What was written before is as it was."
        ) from error


def _try_to_write(folder: Path, state: Path) -> None:
    """Fail now rather than after an epoch."""
    state.mkdir(exist_ok=True)
    for place in (folder, state):
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"x")


def _write(folder: Path, model: Any, history: History, start: str | None) -> Written:
    """Weights and history, each put in place whole; what another run left there is kept."""
    state = folder / STATE_FOLDER
    weights = _weights_of(model, state)
    digest = hashlib.sha256(weights).hexdigest()
    previous = _keep_previous(folder, digest, history.run_id)
    files.write_atomically(folder / WEIGHTS, weights)
    told = {
        "sha256": digest,
        "run": history.run_id,
        "start": start,
        "interrupted": history.stopped is StopReason.INTERRUPTED,
    }
    files.write_atomically(state / WRITTEN, json.dumps(told).encode())
    text = history.model_dump_json(indent=2) + "\n"
    files.write_atomically(folder / HISTORY, text.encode())
    return Written(WEIGHTS, previous, HISTORY)


def _weights_of(model: Any, state: Path) -> bytes:
    """The weights as Keras writes them to a file."""
    with tempfile.TemporaryDirectory(dir=state) as folder:
        place = Path(folder) / WEIGHTS
        _save_weights(model, place)
        return place.read_bytes()


def _save_weights(model: Any, path: Path) -> None:
    try:
        model.save_weights(path)
    except RuntimeError as error:  # what h5py makes of a full disk
        raise OSError(str(error)) from error


def _keep_previous(folder: Path, digest: str, run_id: str) -> str | None:
    """Copy the weights of another run aside; returns the copy's name where there was a need."""
    there = folder / WEIGHTS
    if not there.is_file():
        return None
    found, last = _digest(there), _last_written(folder / STATE_FOLDER)
    own = last.get("sha256") == found and last.get("run") == run_id
    if own or found == digest:
        return None
    files.write_atomically(folder / PREVIOUS_WEIGHTS, there.read_bytes())
    return PREVIOUS_WEIGHTS


def _start(weights: Path, state: Path) -> str | None:
    """Names the weights that a run begins with.

    An interrupted run may have written its own over those that it began with; then the same
    command means that run.
    """
    try:
        digest = _digest(weights)
    except OSError as error:
        raise UsageError(f"{weights}: cannot be read ({error.strerror}).") from error
    last = _last_written(state)
    own = last.get("interrupted") and last.get("sha256") == digest
    return last.get("start") if own else digest


def _last_written(state: Path) -> dict[str, Any]:
    try:
        told = json.loads((state / WRITTEN).read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- what decides the network ----------------------------------------------------------------


def _fingerprint(folder: Path) -> str:
    """Names what the code says: comments, docstrings and layout do not matter."""
    whole = hashlib.sha256()
    for path, content in sorted(code_of(folder).items()):
        text = _said(content) if path.endswith(".py") else content
        whole.update(f"{path} {len(text)} ".encode() + text)
    return whole.hexdigest()


def _said(source: bytes) -> bytes:
    try:
        tree = module_of(source)
    except (SyntaxError, ValueError, RecursionError):
        return source
    return ast.dump(_Plain().visit(tree)).encode()


class _Plain(ast.NodeTransformer):
    """Leaves out texts that stand alone, such as docstrings, and what runs only as a script."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        script = ast.unparse(node.test).replace('"', "'") == "__name__ == '__main__'"
        return None if script and not node.orelse else self.generic_visit(node)
