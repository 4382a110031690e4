"""Accuracy against cost: what a recipe and a network reach for their multiplications.

    python benchmarks/recipes.py student_template/recipe.laptop.toml --seeds 1 2 3
    python benchmarks/recipes.py benchmarks/recipe-small.toml --small 8000 --networks 10x48 22x16b
    python benchmarks/recipes.py --table

Each run starts from scratch. The last tenth of the training images is held back; a whole run is
measured on the test images as well, once, at its end. --small N trains on the first N images only,
which shows what is better for its cost, not what is reached. A network is written L x k, with c and
θ where θ is not 0.5, and b for bottlenecks. Cost: multiply-adds of the way forward times images
seen, at the sizes they were seen at, in runs of the reference solution. What is measured is added
to the file of results, and table and picture are drawn from it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import re
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "reference_solution")]

HELD_BACK = 5000
LAPTOP = "16x16c1"
"""The network that recipe.laptop.toml names."""
RESULTS = ROOT / "benchmarks" / "results" / "recipes.json"
KNOWN = {
    "recipe": "reference_solution/recipe.toml, recipe.second.toml",
    "network": "13x32",
    "seed": 1,
    "images": 50_000,
    "cost": 1.0,
    "held_back": None,
    "test": 0.8573,
    "training_s": 6600,
    "processor_s": None,
    "epochs": [],
}
"""The run of the reference solution's weights, for comparison: reference_solution/README.md."""


def network_of(text: str) -> dict:
    """The arguments of build_densenet."""
    found = re.fullmatch(r"(\d+)x(\d+)(?:c([\d.]+))?(b?)", text)
    if found is None:
        raise SystemExit(f"{text}: expected a network such as 13x32, 10x48c1 or 22x16b")
    depth, growth, theta, bottleneck = found.groups()
    return {
        "depth": int(depth),
        "growth_rate": int(growth),
        "compression": float(theta or 0.5),
        "bottleneck": bool(bottleneck),
    }


def run(text: str, recipe, name: str, data, small: int | None, keep: Path | None) -> dict:
    """Train one network from scratch and measure it."""
    import densenet

    from grader.engine.cost import REFERENCE, multiplications, run_multiplications
    from grader.engine.history import EpochDone
    from grader.engine.train import fit, prepare

    if small:
        chosen = [*range(small), *range(len(data.train_images) - HELD_BACK, len(data.train_images))]
        data = dataclasses.replace(
            data, train_images=data.train_images[chosen], train_labels=data.train_labels[chosen]
        )
        recipe = recipe.model_copy(update={"validation": HELD_BACK / len(chosen)})
    seen = len(data.held_back(recipe.validation)[0].train_images)
    prepare(recipe)
    model = densenet.build_densenet(**network_of(text))
    cost = run_multiplications(multiplications(model), recipe, seen) / REFERENCE

    def show(event) -> None:
        if isinstance(event, EpochDone):
            e = event.epoch
            unseen = "" if e.unseen_accuracy is None else f"{e.unseen_accuracy:.4f}"
            print(f"{text} {e.number:3} {e.loss:.3f} {e.train_accuracy:.4f} {unseen}", flush=True)

    worked = time.process_time()
    history = fit(
        model,
        recipe,
        data,
        on_event=show,
        checkpoint_dir=keep,
        evaluate_every=recipe.epochs if small else 1,
        measure_at_end=not small,
    )
    if keep:
        model.save_weights(keep / "densenet.weights.h5")
    return {
        "recipe": name,
        "network": text,
        "parameters": sum(math.prod(v.shape) for v in model.trainable_variables),
        "seed": recipe.seed,
        "images": seen,
        "cost": round(cost, 4),
        "held_back": history.epochs[-1].unseen_accuracy,
        "test": history.test_accuracy,
        "training_s": round(history.times.training_s),
        "processor_s": round(time.process_time() - worked),
        "epochs": [epoch.model_dump() for epoch in history.epochs],
    }


def add(row: dict, place: Path) -> None:
    """Put a row into the file of results, in place of an older one of the same run."""
    told = json.loads(place.read_text(encoding="utf-8")) if place.exists() else {"runs": [KNOWN]}
    what = ("recipe", "network", "seed", "images")
    rest = [r for r in told["runs"] if [r[k] for k in what] != [row[k] for k in what]]
    told["runs"] = [*rest, row]
    place.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def table(runs: list[dict]) -> str:
    """The runs as a table, whole ones first, by cost."""
    lines = [
        "| recipe | network | weights | seed | images | cost | held back | test | processor s |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in sorted(runs, key=lambda row: (-row["images"], row["cost"])):
        shares = [f"{s:.2%}" if s is not None else "–" for s in (row["held_back"], row["test"])]
        weights = f"{row['parameters']:,}" if "parameters" in row else "–"
        figures = [weights, row["seed"], f"{row['images']:,}", f"{row['cost']:.3f}", *shares]
        cells = [row["recipe"], row["network"], *figures, row["processor_s"] or "–"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def draw(runs: list[dict], path: Path) -> None:
    """The curves of the whole runs, and accuracy against cost of all."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    curves, costs = figure.subplots(1, 2)
    for row in runs:
        curve = [100 * (e["validation_accuracy"] or 0) for e in row["epochs"]]
        if all(curve) and len(curve) > 1:
            label = f"{row['network']}, seed {row['seed']}, cost {row['cost']:.2f}"
            curves.plot(range(1, len(curve) + 1), curve, label=label)
        reached = row["held_back"] if row["held_back"] is not None else row["test"]
        marker = "o" if row["images"] >= 45_000 else "x"
        costs.plot([row["cost"]], [100 * reached], marker, color="C0")
        costs.annotate(row["network"], (row["cost"], 100 * reached), fontsize=7)
    curves.set(xlabel="epoch", ylabel="accuracy on held-back images in %")
    curves.legend(fontsize=7)
    costs.set(xlabel="cost in runs of the reference solution", xscale="log")
    costs.axhline(85, color="grey", linestyle=":")
    for axes in (curves, costs):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipes", nargs="*", type=Path)
    parser.add_argument("--networks", nargs="+", default=[LAPTOP])
    parser.add_argument("--seeds", nargs="+", type=int, help="default: the recipe's own")
    parser.add_argument("--small", type=int, help="train on so many images only")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--keep", type=Path, help="folder for checkpoint and weights of one run")
    parser.add_argument(
        "--table", action="store_true", help="draw table and picture, train nothing"
    )
    given = parser.parse_args()
    if not given.table:
        measure(given)
    runs = json.loads(given.results.read_text(encoding="utf-8"))["runs"]
    draw(runs, given.results.with_suffix(".png"))
    print(table(runs))


def measure(given: argparse.Namespace) -> None:
    """Train what is asked for, one run after the other."""
    from grader.engine.data import find_images
    from grader.engine.recipe import load_recipe

    data = find_images(given.data)
    for path in given.recipes:
        recipe = load_recipe(path)
        for text in given.networks:
            for seed in given.seeds or [recipe.seed]:
                seeded = recipe.model_copy(update={"seed": seed})
                row = run(text, seeded, path.name, data, given.small, given.keep)
                add(row, given.results)


if __name__ == "__main__":
    main()
