"""How often the looks for weights that have seen the test images are wrong, either way.

    python benchmarks/looks.py --data DIR [--epochs 20] [--repeats 1] [--json FILE]

Small networks on a part of CIFAR-10: honest ones of several kinds and lengths of training, and
ones whose training images hold a share of the test images. Each is looked at as the grader does.
At this size honest networks are weak (40 to 55%); the shares, not the levels, carry over.
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

TRAIN, TEST = 2000, 1000
KINDS = {
    "plain": {},
    "flip and shift": {"flip": True, "pad_crop": 2},
}
SHARES = (0.0, 0.25, 1.0)
"""Of the test images among the training images; 0 is honest."""


def one(data, kind: str, epochs: int, share: float, seed: int) -> dict:
    import densenet

    from grader.engine.looks import draw, further_sets, judge_looks
    from grader.engine.recipe import Augmentation, Optimizer, Recipe, Schedule
    from grader.engine.retrain import predicted_labels
    from grader.engine.train import fit, prepare

    recipe = Recipe(
        epochs=epochs,
        batch_size=64,
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
    model = densenet.build_densenet(depth=10, growth_rate=16, bottleneck=False)
    fit(model, recipe, trained_on, evaluate_every=epochs)
    samples = draw(data, TEST)
    sets = {"test": data.test_images, **further_sets(data, samples)}
    labels = {name: predicted_labels(model, images / 255) for name, images in sets.items()}
    looks = judge_looks(labels, data, samples)
    found = {"kind": kind, "epochs": epochs, "share": share, "seed": seed, **looks.model_dump()}
    print(json.dumps(found), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--epochs", type=int, nargs="+", default=[20])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    from grader.engine.data import find_cifar10

    whole = find_cifar10(given.data)
    data = dataclasses.replace(
        whole,
        train_images=whole.train_images[:TRAIN],
        train_labels=whole.train_labels[:TRAIN],
        test_images=whole.test_images[:TEST],
        test_labels=whole.test_labels[:TEST],
    )
    start = time.perf_counter()
    runs = [
        one(data, kind, epochs, share, seed)
        for seed in range(given.repeats)
        for epochs in given.epochs
        for share in SHARES
        for kind in KINDS
    ]
    table = []
    for share in SHARES:
        mine = [r for r in runs if r["share"] == share]
        caught = sum(bool(r["suspicions"]) for r in mine)
        table.append({"share": share, "networks": len(mine), "shown to a person": caught})
    report = {
        "train_images": TRAIN,
        "test_images": TEST,
        "network": "basic L=10 k=16",
        "official_data": whole.official,
        "seconds": round(time.perf_counter() - start),
        "command": " ".join(["python", *sys.argv]),
        "table": table,
        "runs": runs,
    }
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print("share of the test images in training → networks shown to a person")
    for row in table:
        print(f"{row['share']:>6.0%}   {row['shown to a person']} of {row['networks']}")


if __name__ == "__main__":
    main()
