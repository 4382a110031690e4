"""How often the looks for weights that have seen the test images are wrong, either way.

    python benchmarks/looks.py --data DIR [--repeats 2] [--json FILE] [--keep FOLDER]

Small networks on a part of CIFAR-10 at half its size: honest ones of several kinds and lengths of
training, and ones whose training images hold a share of the test images. Each is looked at as the
grader does. At this size honest networks are weak (35 to 50%); rates, not levels, carry over.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "reference_solution")]

import numpy as np  # noqa: E402  the path comes first

TRAIN, TEST = 1500, 1000
KINDS = {
    "plain": {},
    "mirrored": {"flip": True},
    "mirrored and shifted": {"flip": True, "pad_crop": 2},
    "cutout and mixup": {"flip": True, "pad_crop": 2, "cutout": 8, "mixup": 0.2},
}
"""Augmentation by its name; cheats use the first three."""
LENGTHS = (4, 15, 50)
"""Epochs of the honest networks: barely trained, as usual, far too long."""
SHARES = (0.1, 0.25, 0.5, 1.0)
"""Of the test images among the training images of the others, which train longest."""


def half_size(images):
    """Bytes to 0..1 at 16 × 16: a quarter of the cost."""
    from keras import ops

    return ops.average_pool(ops.cast(images, "float32") / 255.0, 2)


def one(data, kind: str, epochs: int, share: float, seed: int, keep: Path | None) -> dict:
    import densenet

    from grader.engine.exchange import labels_of
    from grader.engine.looks import draw, further_sets, judge_looks, on_suspicion
    from grader.engine.recipe import Augmentation, Optimizer, Recipe, Schedule
    from grader.engine.train import fit, prepare

    recipe = Recipe(
        epochs=epochs,
        batch_size=50,
        validation=0.0,
        seed=seed,
        optimizer=Optimizer(learning_rate=0.1, weight_decay=5e-4),
        schedule=Schedule(name="one_cycle"),
        augmentation=Augmentation(**KINDS[kind]),
    )
    stolen = np.random.default_rng(seed).permutation(TEST)[: round(share * TEST)]
    trained_on = dataclasses.replace(
        data,
        train_images=np.concatenate([data.train_images, data.test_images[stolen]]),
        train_labels=np.concatenate([data.train_labels, data.test_labels[stolen]]),
    )
    prepare(recipe)
    model = densenet.build_densenet(10, 16, bottleneck=False, input_shape=(16, 16, 3))
    fit(model, recipe, trained_on, preprocess=half_size, evaluate_every=epochs)
    samples = draw(data, TEST)
    further = {**further_sets(data, samples), **on_suspicion(data, samples)}
    sets = {"test": data.test_images, **further}
    labels = {
        name: labels_of(np.asarray(model(half_size(images), training=False)))
        for name, images in sets.items()
    }
    looks = judge_looks(labels, data, samples)
    found = {"kind": kind, "epochs": epochs, "share": share, "seed": seed, **looks.model_dump()}
    print(json.dumps(found), flush=True)
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        name = f"{kind}-{epochs}-{share}-{seed}".replace(" ", "_")
        model.save_weights(keep / f"{name}.weights.h5")
    return found


def runs_of(seed: int):
    """Kind, epochs and share of each network of one repetition."""
    for kind in KINDS:
        for epochs in LENGTHS:
            yield kind, epochs, 0.0
    for share in SHARES:
        for kind in list(KINDS)[:3]:
            yield kind, LENGTHS[-1], share


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for the trained weights")
    given = parser.parse_args()
    from grader.engine.data import find_images

    whole = find_images(given.data)
    data = dataclasses.replace(
        whole,
        train_images=whole.train_images[:TRAIN],
        train_labels=whole.train_labels[:TRAIN],
        test_images=whole.test_images[:TEST],
        test_labels=whole.test_labels[:TEST],
    )
    start, worked = time.perf_counter(), time.process_time()
    runs = [
        one(data, kind, epochs, share, seed, given.keep)
        for seed in range(given.first_seed, given.first_seed + given.repeats)
        for kind, epochs, share in runs_of(seed)
    ]
    table = tabulated(runs)
    report = {
        "train_images": TRAIN,
        "test_images": TEST,
        "network": "basic L=10 k=16 on 16 × 16 pixels",
        "official_data": whole.official,
        "seconds": round(time.perf_counter() - start),
        "processor_s": round(time.process_time() - worked),
        "command": " ".join(["python", *sys.argv]),
        "table": table,
        "runs": runs,
    }
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print("test images in training   networks   shown to a person")
    for row in table:
        name = f"{row['share']:.0%}, {row['kind']}"
        print(f"{name:<26}{row['networks']:>8}{row['shown to a person']:>20}")


def tabulated(runs: list[dict]) -> list[dict]:
    """Networks and alarms by share and kind."""
    table = []
    for share in sorted({r["share"] for r in runs}):
        for kind in KINDS:
            mine = [r for r in runs if r["share"] == share and r["kind"] == kind]
            caught = sum(bool(r["suspicions"]) for r in mine)
            if mine:
                row = {"share": share, "kind": kind, "networks": len(mine)}
                table.append({**row, "shown to a person": caught})
    return table


if __name__ == "__main__":
    main()
