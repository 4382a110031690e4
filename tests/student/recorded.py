"""Real trainings and packs, recorded, so that their screens are drawn from what happened.

`python -m tests.student.recorded` records them again (needs TensorFlow and CIFAR-10 in GRADER_DATA,
some minutes): the sittings below, each through `grade train`, and what the sandbox says of weights
when they are packed. A test plays the events back through the screens.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from grader.engine.forecast import Forecast
from grader.engine.history import EpochDone, Event, Loading, Progress, Started, Stopped, Written
from grader.resources import reference_dir, template_dir

FILE = Path(__file__).parent / "recorded.json"
KINDS = {
    kind.__name__: kind
    for kind in (Loading, Forecast, Started, Progress, EpochDone, Stopped, Written)
}
NETWORK = "build_densenet(depth=10, growth_rate=6, compression=0.5, bottleneck=False)"
BUILD = "return build_densenet(depth=13, growth_rate=32, compression=0.5, bottleneck=False)"
RECIPE = """\
epochs = 3
batch_size = 128
seed = 1
validation = 0.1

[optimizer]
name = "sgd"
learning_rate = 0.2
momentum = 0.9
nesterov = true

[schedule]
name = "one_cycle"

[images]
sizes = [16, 32]
changes_at = [0.7]
"""


SITTINGS = ("interrupted", "resumed", "anew", "out of time")


def events_of(sitting: str) -> list[Event]:
    """What one sitting told, in order."""
    told = json.loads(FILE.read_text(encoding="utf-8"))["sittings"][sitting]
    return [TypeAdapter(KINDS[kind]).validate_json(json.dumps(event)) for kind, event in told]


def frame_of(weights: str) -> bytes:
    """What the sandbox said of weights: "right", or "of another network"."""
    said = json.loads(FILE.read_text(encoding="utf-8"))["weights"][weights]
    return json.dumps(said).encode()


# --- recording -------------------------------------------------------------------------------


class Recorder:
    """Keeps what is told; of the steps of an epoch the first, the middle and the last."""

    def __init__(self, ends: Callable[[Event], bool]) -> None:
        self.kept: list[Event] = []
        self._ends = ends

    def __call__(self, event: Event) -> None:
        self.kept.append(event)
        if self._ends(event):
            raise KeyboardInterrupt

    def thinned(self) -> list[tuple[str, Any]]:
        return [
            (type(event).__name__, TypeAdapter(type(event)).dump_python(event, mode="json"))
            for event, before, after in zip(
                self.kept, [None, *self.kept], [*self.kept[1:], None], strict=False
            )
            if not isinstance(event, Progress)
            or not (isinstance(before, Progress) and isinstance(after, Progress))
            or self._is_middle(event)
        ]

    def _is_middle(self, event: Progress) -> bool:
        of_epoch = [e for e in self.kept if isinstance(e, Progress) and e.epoch == event.epoch]
        return event == of_epoch[len(of_epoch) // 2]


def _never(event: Event) -> bool:
    return False


def in_epoch_two(event: Event) -> bool:
    """Half an epoch is done: Ctrl-C is pressed."""
    return isinstance(event, Progress) and event.epoch == 2 and event.step > 170


def folder_with(place: Path, network: str = NETWORK, recipe: str = RECIPE) -> Path:
    """A student's folder with the functions written."""
    shutil.copytree(template_dir(), place)
    text = (reference_dir() / "densenet.py").read_text(encoding="utf-8")
    assert text.count(BUILD) == 1
    (place / "densenet.py").write_text(text.replace(BUILD, f"return {network}"), encoding="utf-8")
    (place / "recipe.toml").write_text(recipe, encoding="utf-8")
    return place


def sittings(place: Path) -> dict[str, list[tuple[str, Any]]]:
    """One run interrupted and taken up, a new recipe over it, and one without enough time."""
    from grader.student.train import train_submission

    told: dict[str, list[tuple[str, Any]]] = {}

    def sit(name: str, folder: Path, ends: Callable[[Event], bool] = _never, **how: Any) -> None:
        recorder = Recorder(ends)
        with contextlib.suppress(KeyboardInterrupt):  # before the first step it ends the program
            train_submission(folder, on_event=recorder, look_ahead=True, **how)
        told[name] = recorder.thinned()
        print(name, len(recorder.kept), len(told[name]), flush=True)

    folder = folder_with(place / "densenet")
    sit("interrupted", folder, in_epoch_two)
    sit("resumed", folder)
    (folder / "recipe.toml").write_text(RECIPE.replace("epochs = 3", "epochs = 2"), "utf-8")
    sit("anew", folder)
    larger = NETWORK.replace("growth_rate=6", "growth_rate=12")
    slow = folder_with(place / "slow", larger, RECIPE.replace("epochs = 3", "epochs = 12"))
    sit("out of time", slow, budget_s=60.0)
    sit("not one epoch", slow, lambda event: isinstance(event, Started), budget_s=1.0)
    return told


def weights(place: Path) -> dict[str, Any]:
    """What the sandbox says of loading weights that fit, and weights of another network."""
    from grader.student import pack

    said: dict[str, Any] = {}
    kept = pack._said_of_weights
    for name, network in (("right", BUILD), ("of another network", f"return {NETWORK}")):
        folder = place / name.replace(" ", "-")
        shutil.copytree(reference_dir(), folder)
        text = (folder / "densenet.py").read_text(encoding="utf-8").replace(BUILD, network)
        (folder / "densenet.py").write_text(text, encoding="utf-8")
        archive = pack.pack(folder, folder)

        def keep(frame: bytes, file: str, name: str = name) -> list[str]:
            loading = json.loads(frame)["weights"]
            said[name] = {"weights": loading}
            return kept(frame, file)

        pack._said_of_weights = keep
        from grader.assignment import load_assignment
        from grader.resources import assignment_dir

        rules = load_assignment(assignment_dir())
        pack.remarks_on_packed(archive, "densenet.weights.h5", rules)
    pack._said_of_weights = kept
    return said


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        recorded = {"weights": weights(Path(place)), "sittings": sittings(Path(place))}
    FILE.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
