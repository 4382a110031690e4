"""One measurement of `gpu.sh`, in a process of its own, with Keras on JAX; it gives one JSON file.

    python benchmarks/gpu.py pack FOLDER               networks with weights, traced (TensorFlow)
    python benchmarks/gpu.py ceilings                  what the device can do at most
    python benchmarks/gpu.py fit plain|ours            images per second of training
    python benchmarks/gpu.py evaluate keras|ours       seconds for 10,000 images
    python benchmarks/gpu.py reach                     the reference network above 85%
    python benchmarks/gpu.py paper                     the paper's recipe in the time that is left
    python benchmarks/gpu.py table                     all of it, for a person

The floor beside each: its operations at the device's matrix rate, or its maps, each read and
written once, at the device's bandwidth; whichever takes longer. Both rates are measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "reference_solution"), str(ROOT / "benchmarks")]

import numpy as np  # noqa: E402  the path comes first

GROWTH_RATE = 12
TRAINED = 50_000
TESTED = 10_000


def pack(given: argparse.Namespace) -> dict[str, Any]:
    """The plan of a network, as the grader reads it, and its weights, for a machine that cannot."""
    sys.path.insert(0, str(ROOT / "tests" / "graph"))
    import densenet
    import tracing
    from train import network

    from grader.engine.plan import make_plan

    built = []

    def build():
        built.append(network(given.depth, GROWTH_RATE))
        return built[0]

    traced = tracing.trace_model(build, densenet.preprocess, modes=("inference",))
    make_plan(traced.graphs["inference"], traced.values).save(given.folder / "plan.npz")
    np.savez(given.folder / "weights.npz", *built[0].get_weights())
    return {}


def ceilings(given: argparse.Namespace) -> dict[str, Any]:
    """Operations and bytes per second, the best of some tries."""
    import jax
    import jax.numpy as jnp

    side, size = (256, 2**20) if given.dry else (8192, 2**30)

    def product(dtype: str, precision: str) -> float:
        a = jax.random.normal(jax.random.key(0), (side, side)).astype(dtype)
        run = jax.jit(lambda x: jnp.matmul(x, x, precision=precision))
        return 2 * side**3 / _best(lambda: run(a))

    source = jnp.zeros(size // 4, jnp.float32)
    copy = jax.jit(lambda x: x + 1)
    return {
        "device": _device(),
        "bfloat16_flops": product("bfloat16", "default"),
        "float32_flops": product("float32", "highest"),
        "bytes_per_s": 2 * size / _best(lambda: copy(source)),
    }


def _best(call: Any, tries: int = 10) -> float:
    """Seconds of the quickest call."""
    import jax

    jax.block_until_ready(call())
    taken = []
    for _ in range(tries):
        start = time.perf_counter()
        jax.block_until_ready(call())
        taken.append(time.perf_counter() - start)
    return min(taken)


def fit(given: argparse.Namespace) -> dict[str, Any]:
    """Training images per second, on noise: nothing is learnt, and nothing else differs."""
    import keras
    from train import network, our_engine, plain_fit

    from grader.engine.devices import prepare_devices

    prepare_devices()
    rng = np.random.default_rng(0)
    count = given.first or TRAINED
    images = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, count)
    common = (given.depth, GROWTH_RATE, given.batch, given.steps)
    precision = "float32" if given.dry else given.precision
    if given.way == "plain":
        keras.config.set_dtype_policy(precision)
        row = plain_fit(*common, images, labels)
    else:
        row = our_engine(*common, precision, images, labels)
    return {
        **row,
        **cost(network(given.depth, GROWTH_RATE)),
        "network": _name(given.depth),
        "batch": given.batch,
        "peak_bytes": _peak_bytes(),
    }


def evaluate(given: argparse.Namespace) -> dict[str, Any]:
    """Seconds for the test images' number of noise images, with the same weights both ways."""
    from train import network

    from grader.engine.devices import prepare_devices

    prepare_devices()
    count = given.first or TESTED
    images = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    model = network(given.depth, GROWTH_RATE)
    found = {**cost(model), "network": _name(given.depth), "images": count}
    if given.way == "ours":
        labels, row = _ours(given.folder / "plan.npz", images)
    else:
        with np.load(given.folder / "weights.npz") as arrays:
            model.set_weights([arrays[name] for name in arrays.files])
        labels, row = _by_keras(model, images, given.batch)
    np.save(given.json.with_suffix(".npy"), labels)
    return {**found, **row, "peak_bytes": _peak_bytes()}


def _ours(plan: Path, images: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """As `grade evaluate` does it in its child."""
    from grader.engine.devices import device
    from grader.engine.evaluate import batch_for
    from grader.engine.measure import Job, run_plan
    from grader.engine.plan import Plan

    loaded = Plan.load(plan)
    batch = batch_for(loaded, "jax", device()[0] != "CPU")
    job = Job(runtime="jax", batch=batch, sets=("test",), stop_after_s=600.0)
    measured, answers = run_plan(loaded, job, {"test": images})
    times = measured.times
    row = {"batch": batch, "seconds": times.evaluation_s, "compile_s": times.compilation_s}
    return answers.labels["test"], row


def _by_keras(model: Any, images: np.ndarray, batch: int) -> tuple[np.ndarray, dict[str, Any]]:
    """`model.predict`; its first call compiles and is not counted."""
    ready = images.astype(np.float32) / 255
    start = time.perf_counter()
    model.predict(ready[:batch], batch, verbose=0)
    compile_s = time.perf_counter() - start
    start = time.perf_counter()
    answers = model.predict(ready, batch, verbose=0)
    row = {"batch": batch, "seconds": time.perf_counter() - start, "compile_s": compile_s}
    return answers.argmax(-1), row


def reach(given: argparse.Namespace) -> dict[str, Any]:
    """The reference network trained until it answers 85% of the test images."""
    from train import time_to

    from grader.engine.recipe import load_recipe

    recipe = _on(given, load_recipe(ROOT / "benchmarks" / "gpu-fast.toml"))
    found = time_to(0.85, recipe, given.data, given.first)
    return {**found, "peak_bytes": _peak_bytes()}


def paper(given: argparse.Namespace) -> dict[str, Any]:
    """The paper's recipe on BC L=40, with as many epochs as the time that is left holds."""
    from train import network, time_to

    from grader.engine.recipe import load_recipe

    speed = json.loads(given.speed.read_text(encoding="utf-8"))["images_per_s"]
    recipe = load_recipe(ROOT / "benchmarks" / "gpu-paper-short.toml")
    epochs = max(1, min(300, int(0.7 * given.left_s * speed / (given.first or TRAINED))))
    found = time_to(
        0.93,
        _on(given, recipe.model_copy(update={"epochs": epochs})),
        given.data,
        given.first,
        build=lambda: network(given.depth, GROWTH_RATE),
    )
    return {**found, "network": _name(given.depth), "epochs": epochs, "peak_bytes": _peak_bytes()}


def _on(given: argparse.Namespace, recipe: Any) -> Any:
    """The recipe; in a dry run short, and in numbers that a processor knows."""
    small = {"epochs": 2, "batch_size": 8, "precision": "float32"}
    return recipe.model_copy(update=small) if given.dry else recipe


def cost(model: Any) -> dict[str, int]:
    """Multiplications for an image, and numbers that its convolutions read and write once each."""
    multiplications = numbers = 0
    for layer in model.layers:
        if not hasattr(layer, "kernel"):
            continue
        places = int(np.prod(layer.output.shape[1:-1]))
        multiplications += places * int(np.prod(layer.kernel.shape))
        numbers += int(np.prod(layer.input.shape[1:])) + int(np.prod(layer.output.shape[1:]))
    return {"multiplications": multiplications, "numbers": numbers}


def _name(depth: int) -> str:
    return f"BC L={depth} k={GROWTH_RATE}"


def _device() -> str:
    from grader.engine.devices import device, processor

    kind, version = device()
    return f"{processor() if kind == 'CPU' else kind}, {version}"


def _peak_bytes() -> int | None:
    import jax

    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


# --- the table ------------------------------------------------------------------------------


def table(given: argparse.Namespace) -> dict[str, Any]:
    """Print what the others found; a measurement that is missing is said to be."""
    rows = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(given.folder.glob("*.json"))
    }
    if given.dry:
        print("DRY RUN at a small size: it shows that all runs, and its figures mean nothing.\n")
    limits = rows.get("ceilings")
    if limits is None:
        print("ceilings: not measured")
    else:
        print(
            f"{limits['device']}: bfloat16 {limits['bfloat16_flops'] / 1e12:.1f} TFLOP/s, float32"
            f" {limits['float32_flops'] / 1e12:.1f} TFLOP/s, {limits['bytes_per_s'] / 1e9:.0f} GB/s"
        )
    for depth in ("small", "large"):
        _print_pair(rows, f"fit-plain-{depth}", f"fit-ours-{depth}", limits)
    _print_evaluation(rows, given.folder, limits)
    for name in ("reach", "paper"):
        _print_training(name, rows.get(name))
    return {}


def _print_pair(rows: dict, plain: str, ours: str, limits: dict | None) -> None:
    base = rows.get(plain)
    for name in (plain, ours):
        row = rows.get(name)
        if row is None:
            print(f"{name}: not measured")
            continue
        times = f"{row['images_per_s'] / base['images_per_s']:.2f} ×" if base else "– ×"
        floor = ""
        if limits:
            # Forwards once, and backwards to the maps and to the weights.
            best = _floor(row, limits, "bfloat16_flops", passes=3, bytes_each=2)
            floor = f"; floor {1 / best:,.0f} images/s"
        print(
            f"{name:<20}{row['network']}, batch {row['batch']}: {row['images_per_s']:,.0f} images/s"
            f" {times}, compiled in {row['compile_s']:.1f} s{_memory(row)}{floor}"
        )


def _print_evaluation(rows: dict, folder: Path, limits: dict | None) -> None:
    for way in ("keras", "ours"):
        row = rows.get(f"evaluate-{way}")
        if row is None:
            print(f"evaluate-{way}: not measured")
            continue
        floor = ""
        if limits:
            best = _floor(row, limits, "float32_flops", passes=1, bytes_each=4) * row["images"]
            floor = f"; floor {best:.2f} s"
        print(
            f"{'evaluate-' + way:<20}{row['network']}, batch {row['batch']}: {row['seconds']:.2f} s"
            f" for {row['images']:,} images, compiled in {row['compile_s']:.1f} s"
            f"{_memory(row)}{floor}"
        )
    files = [folder / f"evaluate-{way}.npy" for way in ("keras", "ours")]
    if all(file.is_file() for file in files):
        one, other = map(np.load, files)
        print(f"{'':<20}{(one == other).sum():,} of {len(one):,} images answered alike")


def _print_training(name: str, row: dict | None) -> None:
    from train import reached

    if row is None:
        print(f"{name}: not measured")
        return
    what = f"{row['network']}, {row['epochs']} epochs" if name == "paper" else "reference network"
    compiled = row["times"]["compilation_s"]
    print(f"{name:<20}{what}: {reached(row)}; compiled in {compiled:.1f} s{_memory(row)}")


def _memory(row: dict) -> str:
    return f", {row['peak_bytes'] / 2**30:.1f} GiB at most" if row.get("peak_bytes") else ""


def _floor(row: dict, limits: dict, rate: str, passes: int, bytes_each: int) -> float:
    """Seconds for one image: operations over the matrix rate, or bytes over the bandwidth."""
    operations = 2 * passes * row["multiplications"] / limits[rate]
    return max(operations, passes * bytes_each * row["numbers"] / limits["bytes_per_s"])


MEASUREMENTS = {
    "pack": pack,
    "ceilings": ceilings,
    "fit": fit,
    "evaluate": evaluate,
    "reach": reach,
    "paper": paper,
    "table": table,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=MEASUREMENTS)
    parser.add_argument("way", nargs="?", help="plain, keras or ours")
    parser.add_argument("--folder", type=Path, help="of the plan and weights, or of the results")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--depth", type=int, default=40)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--first", type=int, help="only so many images, for a dry run")
    parser.add_argument("--speed", type=Path, help="what fit said of the network")
    parser.add_argument("--left-s", type=float, default=60.0)
    parser.add_argument("--dry", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = MEASUREMENTS[given.what](given)
    if given.json:
        found["command"] = " ".join(["python", *sys.argv])
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
