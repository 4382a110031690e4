"""Training images per second: our engine beside the plain `model.fit` a student would write.

    python benchmarks/train.py [--depth 40] [--batch 64] [--steps 30] [--precision float32]
        [--to 0.85 --recipe FILE --data DIR] [--json FILE]

Same network, batch, device and images, one after the other in one process; compile time apart.
With --to, the reference network is then trained by the recipe until the test accuracy is above
that, and the time is told with and without compilation.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "reference_solution")]

import numpy as np  # noqa: E402  the path comes first


def network(depth: int, growth_rate: int):
    import densenet
    import keras

    keras.utils.set_random_seed(0)
    return densenet.build_densenet(depth, growth_rate)


def tutorial_pipeline(images, labels, batch: int):
    """Flips and shifts by tf.data, as in any tutorial."""
    import tensorflow as tf

    def augment(image, label):
        image = tf.image.random_flip_left_right(tf.cast(image, tf.float32) / 255)
        padded = tf.pad(image, [[4, 4], [4, 4], [0, 0]])
        return tf.image.random_crop(padded, [32, 32, 3]), label

    data = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(1000).repeat()
    return data.map(augment, tf.data.AUTOTUNE).batch(batch).prefetch(tf.data.AUTOTUNE)


def ready_batches(images, labels, batch: int):
    """For a backend without tf.data: no image is changed, which spares plain fit that work."""
    import keras

    floats = images.astype(np.float32) / 255

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1_000_000

        def __getitem__(self, step):
            start = step * batch % (len(floats) - batch + 1)
            return floats[start : start + batch], labels[start : start + batch]

    return Batches()


def plain_fit(depth: int, growth_rate: int, batch: int, steps: int, images, labels) -> dict:
    """Keras's own loop."""
    import keras

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.begin, self.working = time.perf_counter(), time.process_time()

        def on_epoch_end(self, epoch, logs=None):  # its logs are numbers: nothing is under way
            self.took = [*self.took, time.perf_counter() - self.begin]
            self.worked = time.process_time() - self.working

    model = network(depth, growth_rate)
    model.compile(
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    with_tensorflow = keras.backend.backend() == "tensorflow"
    data = (tutorial_pipeline if with_tensorflow else ready_batches)(images, labels, batch)
    clock = Clock()
    clock.took = []
    for count in (2, steps):  # the first epoch compiles
        model.fit(data, steps_per_epoch=count, epochs=1, verbose=0, callbacks=[clock])
    return {
        "images_per_s": steps * batch / clock.took[1],
        "images_per_processor_s": steps * batch / clock.worked,
        "compile_s": clock.took[0],
    }


def our_engine(
    depth: int, growth_rate: int, batch: int, steps: int, precision: str, images, labels
) -> dict:
    from grader.engine.data import ImageSet
    from grader.engine.history import Progress
    from grader.engine.recipe import Augmentation, Optimizer, Recipe
    from grader.engine.train import fit, prepare

    recipe = Recipe(
        epochs=1000,
        batch_size=batch,
        validation=0.0,
        precision=precision,
        optimizer=Optimizer(learning_rate=0.1),
        augmentation=Augmentation(flip=True, pad_crop=4),
    )
    prepare(recipe)
    data = ImageSet(images, labels, images[:10], labels[:10], source="noise", official=False)
    seen: list[tuple[int, float, float]] = []

    def note(event) -> None:
        if not isinstance(event, Progress):
            return
        step = (event.epoch - 1) * (len(images) // batch) + event.step
        seen.append((step, time.perf_counter(), time.process_time()))
        if step >= steps:
            raise KeyboardInterrupt  # how a run is ended from outside

    history = fit(network(depth, growth_rate), recipe, data, on_event=note, evaluate_every=1000)
    # The first call compiles; from its end on, the clock runs.
    (first, start, worked), (last, end, done) = seen[0], seen[-1]
    return {
        "images_per_s": (last - first) * batch / (end - start),
        "images_per_processor_s": (last - first) * batch / (done - worked),
        "compile_s": history.times.compilation_s,
    }


def time_to(target: float, recipe, folder: Path | None, first: int | None, build=None) -> dict:
    """Train until the test accuracy is above `target`: what is built, or the reference network."""
    import dataclasses

    import densenet

    from grader.engine.data import find_images
    from grader.engine.history import EpochDone
    from grader.engine.train import fit, prepare

    # Of a benchmark all images are trained on, and each epoch is measured on the test images.
    recipe = recipe.model_copy(update={"validation": 0.0})
    data = find_images(folder)
    if first:
        names = ("train_images", "train_labels", "test_images", "test_labels")
        data = dataclasses.replace(data, **{name: getattr(data, name)[:first] for name in names})
    prepare(recipe)
    start = time.perf_counter()
    reached: list[tuple[int, float, float]] = []

    def note(event) -> None:
        if isinstance(event, EpochDone):
            e = event.epoch
            print(f"epoch {e.number}: {e.test_accuracy:.2%}, {e.training_s:.1f} s", flush=True)
            if not reached and e.test_accuracy > target:
                reached.append((e.number, e.training_s, time.perf_counter() - start))

    history = fit(
        (build or densenet.build_model)(),
        recipe,
        data,
        preprocess=densenet.preprocess,
        on_event=note,
    )
    epoch, training_s, all_s = reached[0] if reached else (None, None, None)
    return {
        "target": target,
        "epoch": epoch,
        "training_s": training_s,
        "with_compilation_and_evaluation_s": all_s,
        "final_accuracy": history.test_accuracy,
        "final_training_s": history.times.training_s,
        "times": history.times.model_dump(),
        "official_data": data.official,
        "curve": [e.model_dump() for e in history.epochs],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, default=40)
    parser.add_argument("--growth-rate", type=int, default=12)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--to", type=float)
    parser.add_argument("--recipe", type=Path, default=ROOT / "reference_solution" / "recipe.toml")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only-to", action="store_true", help="leave out the speeds")
    parser.add_argument("--first", type=int, help="only so many images, for a dry run")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    from grader.engine.devices import device, prepare_devices

    prepare_devices()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5000, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, 5000)
    common = (given.depth, given.growth_rate, given.batch, given.steps)
    report: dict = {
        "network": f"BC L={given.depth} k={given.growth_rate}",
        "batch": given.batch,
        "steps": given.steps,
        "device": " ".join(device()),
        "command": " ".join(["python", *sys.argv]),
    }
    if not given.only_to:
        report["plain fit"] = plain_fit(*common, images, labels)
        report["engine, float32"] = our_engine(*common, "float32", images, labels)
        if given.precision != "float32":
            name = f"engine, {given.precision}"
            report[name] = our_engine(*common, given.precision, images, labels)
    if given.to is not None:
        from grader.engine.recipe import load_recipe

        recipe = load_recipe(given.recipe)
        report["time to accuracy"] = time_to(given.to, recipe, given.data, given.first)
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if given.only_to:
        print(f"the reference solution by {given.recipe.name}, on {report['device']}")
    else:
        print(f"{report['network']}, batch {given.batch}, on {report['device']}")
    plain = report.get("plain fit", {})
    for name, row in report.items():
        if isinstance(row, dict) and "images_per_s" in row:
            speed, thrifty = row["images_per_s"], row["images_per_processor_s"]
            print(
                f"{name:<28}{speed:>8.0f} images/s{speed / plain['images_per_s']:>7.2f} ×"
                f"{thrifty:>8.1f} per processor-second"
                f"{thrifty / plain['images_per_processor_s']:>7.2f} ×"
                f"   compile {row['compile_s']:.1f} s"
            )
    if "time to accuracy" in report:
        print(reached(report["time to accuracy"]))


def reached(row: dict) -> str:
    """The time to an accuracy, in a line."""
    end = f"at the end {row['final_accuracy']:.2%} after {row['final_training_s']:.1f} s"
    if row["epoch"] is None:
        return f"{row['target']:.0%} was not reached; {end}"
    return (
        f"above {row['target']:.0%} in epoch {row['epoch']}, {row['training_s']:.1f} s of training,"
        f" {row['with_compilation_and_evaluation_s']:.1f} s in all; {end}"
    )


if __name__ == "__main__":
    main()
