"""How far two trainings with the same seed agree, and what deterministic ops cost.

    python benchmarks/seeds.py --data DIR [--backend tensorflow] [--threads 2] [--depth 10]
        [--images 960] [--epochs 3] [--json FILE]

Trains the same small network by the same recipe four times in one process: twice as it comes,
then twice with deterministic ops. Under JAX, which is told of them at its start, the first two
alone: run it again with --deterministic. Run it on one thread and on two, and compare the hashes.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "reference_solution")]

import numpy as np  # noqa: E402  the path comes first


def trained(recipe, data, depth: int) -> dict:
    """One training: its weights, curve and cost."""
    import densenet

    from grader.engine.checkpoint import copy_of
    from grader.engine.train import fit, prepare

    prepare(recipe)
    model = densenet.build_densenet(depth, 8, bottleneck=False, dropout_rate=0.1)
    worked = time.process_time()
    history = fit(model, recipe, data, preprocess=densenet.preprocess, evaluate_every=recipe.epochs)
    weights = np.concatenate([copy_of(v).ravel() for v in model.trainable_variables])
    return {
        "weights": weights,
        "sha256": hashlib.sha256(weights.tobytes()).hexdigest()[:16],
        "losses": [epoch.loss for epoch in history.epochs],
        "test_accuracy": history.test_accuracy,
        "training_s": history.times.training_s,
        "processor_s": time.process_time() - worked,
    }


def compared(name: str, a: dict, b: dict) -> dict:
    return {
        "what": name,
        "identical": a["sha256"] == b["sha256"],
        "largest difference of a weight": float(np.abs(a["weights"] - b["weights"]).max()),
        "test accuracies": [a["test_accuracy"], b["test_accuracy"]],
        "sha256": [a["sha256"], b["sha256"]],
        "training_s": [round(r["training_s"], 2) for r in (a, b)],
        "processor_s": [round(r["processor_s"], 2) for r in (a, b)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--backend", choices=["tensorflow", "jax"], default="tensorflow")
    parser.add_argument("--threads", type=int, help="cores this process may use; default: all")
    parser.add_argument("--depth", type=int, default=10)
    parser.add_argument("--images", type=int, default=960)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--deterministic", action="store_true", help="from the start")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    os.environ["KERAS_BACKEND"] = given.backend
    if given.deterministic:
        os.environ["XLA_FLAGS"] = "--xla_gpu_deterministic_ops=true"
    if given.threads:
        os.sched_setaffinity(0, set(list(os.sched_getaffinity(0))[: given.threads]))
    from grader.engine import devices
    from grader.engine.data import find_images
    from grader.engine.recipe import Augmentation, Optimizer, Recipe, Schedule

    devices.prepare_devices(deterministic=given.deterministic)
    whole = find_images(given.data)
    data = dataclasses.replace(
        whole,
        train_images=whole.train_images[: given.images],
        train_labels=whole.train_labels[: given.images],
        test_images=whole.test_images[:500],
        test_labels=whole.test_labels[:500],
    )
    recipe = Recipe(
        epochs=given.epochs,
        batch_size=64,
        seed=3,
        validation=0.0,
        label_smoothing=0.1,
        ema=0.9,
        optimizer=Optimizer(learning_rate=0.1, weight_decay=5e-4),
        schedule=Schedule(name="one_cycle"),
        augmentation=Augmentation(flip=True, pad_crop=2),
    )
    first, second = (trained(recipe, data, given.depth) for _ in range(2))
    how = "deterministic ops" if given.deterministic else "as it comes"
    rows = [compared(f"same seed twice, {how}", first, second)]
    if given.backend == "tensorflow" and not given.deterministic:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
        third, fourth = (trained(recipe, data, given.depth) for _ in range(2))
        rows.append(compared("same seed twice, deterministic ops", third, fourth))
        rows.append(compared("as it comes, and with deterministic ops", second, third))
    report = {
        "network": f"basic L={given.depth} k=8 with dropout, batch 64",
        "device": " ".join(devices.device()),
        "threads": devices.cores(),
        "command": " ".join(["python", *sys.argv]),
        "rows": rows,
    }
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"{report['network']}, on {report['device']}, {report['threads']} threads")
    for row in rows:
        same = "identical" if row["identical"] else "differ"
        print(
            f"{row['what']:<42}{same:<10} weights by {row['largest difference of a weight']:.1e}"
            f"   accuracies {row['test accuracies']}   steps {row['training_s']} s"
            f"   processor {row['processor_s']} s   {' '.join(row['sha256'])}"
        )


if __name__ == "__main__":
    main()
