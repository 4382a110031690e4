"""Images per second of the evaluation, each way beside Keras predict, in one run.

    python benchmarks/evaluate.py [--networks 40x12b reference] [--seconds 4] [--rounds 3]
    python benchmarks/evaluate.py --quick --networks paper

A network is written as for recipes.py, such as 40x12c1 or 100x12b; "reference" is the reference
solution's, "paper" all that the paper trained on CIFAR. Each sees as many images as Keras predict
answers in so many seconds. ONNX Runtime takes part where onnx and onnxruntime are installed, which
the grader does not need.

Every way takes its turn in every round, and its best round counts: on a shared machine the best is
the least disturbed. Beside the clock stands processor time, summed over all threads, which other
programs disturb less. The answers of all ways are compared with Keras's. Ceilings of the machine
(a matrix product and a copy of memory) are measured in the same rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Some machines name an old kernel for OpenBLAS, which would make a ceiling of half the height.
for setting in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(setting, None)
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "reference_solution"), str(ROOT / "tests" / "graph")]

import numpy as np  # noqa: E402  the path comes first
from recipes import network_of  # noqa: E402


def ceilings() -> dict[str, float]:
    """GFLOP/s of a large float32 matrix product, GB/s of a copy that leaves every cache."""
    a = np.ones((1536, 1536), np.float32)
    start = time.perf_counter()
    a @ a
    product = 2 * 1536**3 / (time.perf_counter() - start) / 1e9
    source = np.ones(2**26, np.uint8)
    target = np.zeros_like(source) + 1  # its pages are there before the clock starts
    start = time.perf_counter()
    np.copyto(target, source)
    return {"gflops": product, "copy_gb_s": 2 * 2**26 / (time.perf_counter() - start) / 1e9}


def ways(build_model, quick: bool, xla: bool) -> tuple[dict, object]:
    """Name → function of images that gives answers; and the plan."""
    import densenet
    import keras
    import tracing

    from grader.engine.faster import faster
    from grader.engine.plan import make_plan
    from grader.engine.runner_keras import KerasRunner
    from grader.engine.runner_openvino import OpenVinoRunner, fastest

    keras.utils.set_random_seed(0)
    kept = []

    def build():
        kept.append(build_model(densenet))
        return kept[0]

    traced = tracing.trace_model(build, densenet.preprocess, modes=("inference",))
    model = kept[0]
    plan = make_plan(traced.graphs["inference"], traced.values)

    def predict(batch):
        return lambda images: model.predict(images / np.float32(255), batch, verbose=0)

    found = {f"Keras predict, batch {b}": predict(b) for b in ((16,) if quick else (8, 16, 32))}
    batches = (16,) if quick else (8, 32)
    for b in batches:
        found[f"tf.function, plan as read, batch {b}"] = KerasRunner(plan, b).predict
    if not quick or xla:
        found["XLA, batch 32"] = KerasRunner(plan, 32, True).predict
    if find_spec("openvino"):
        for b in (1,) if quick else (1, 4, 8, 16):
            found[f"OpenVINO, plan as read, batch {b}"] = OpenVinoRunner(plan, b).predict
        chosen = fastest(faster(plan), 8)
        found[f"as graded: OpenVINO, batch {chosen.batch}"] = chosen.predict
    if find_spec("onnxruntime") and find_spec("onnx"):
        from onnx_plan import OnnxRunner

        for b in (8,) if quick else (1, 8, 32):
            found[f"ONNX Runtime, batch {b}"] = OnnxRunner(plan, b).predict
    return found, plan


PAPER = ("40x12c1", "100x12c1", "100x24c1", "100x12b", "250x24b", "190x40b")


def built(text: str, densenet):
    """A network by its name."""
    if text == "reference":
        return densenet.build_model()
    return densenet.build_densenet(**network_of(text))


@dataclass
class Way:
    """What was measured of one way: the best round by the clock and by the processor."""

    images_per_s: float = 0.0
    images_per_processor_s: float = 0.0
    answers: np.ndarray | None = None

    def take(self, predict: Callable, images: np.ndarray) -> None:
        """One round."""
        predict(images[:32])
        start, worked = time.perf_counter(), time.process_time()
        self.answers = predict(images)
        by_processor = len(images) / (time.process_time() - worked)
        self.images_per_s = max(self.images_per_s, len(images) / (time.perf_counter() - start))
        self.images_per_processor_s = max(self.images_per_processor_s, by_processor)


def enough(predict: Callable, seconds: float) -> np.ndarray:
    """As many random images as are answered in some seconds, 64 at least."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (64, 32, 32, 3), dtype=np.uint8)
    predict(images)
    start = time.perf_counter()
    predict(images)
    count = int(64 * seconds / (time.perf_counter() - start))
    return draw.integers(0, 256, (min(max(count, 64), 10_000), 32, 32, 3), dtype=np.uint8)


def measured(text: str, given: argparse.Namespace) -> dict:
    """All ways of one network, in turn."""
    found, plan = ways(lambda densenet: built(text, densenet), given.quick, given.xla)
    images = enough(next(iter(found.values())), given.seconds)
    taken = {name: Way() for name in found}
    limits: dict[str, float] = {}
    for _ in range(given.rounds):
        for name, value in ceilings().items():
            limits[name] = max(limits.get(name, 0.0), value)
        for name, predict in found.items():
            taken[name].take(predict, images)
    return {
        "network": text,
        "images": len(images),
        "rounds": given.rounds,
        "multiplications_per_image": plan.multiplications,
        "ceilings": {k: round(v, 1) for k, v in limits.items()},
        "machine": _machine(),
        "command": " ".join(["python", *sys.argv]),
        "table": rows(taken, plan.multiplications),
    }


def rows(taken: dict[str, Way], multiplications: int) -> list[dict]:
    """What was measured, beside the best of Keras."""
    keras = [way for name, way in taken.items() if name.startswith("Keras")]
    by_clock = max(way.images_per_s for way in keras)
    by_processor = max(way.images_per_processor_s for way in keras)
    expected = keras[0].answers
    assert expected is not None
    return [
        {
            "way": name,
            "images_per_s": round(way.images_per_s, 1),
            "times_keras": round(way.images_per_s / by_clock, 2),
            "images_per_processor_s": round(way.images_per_processor_s, 1),
            "times_keras_by_processor": round(way.images_per_processor_s / by_processor, 2),
            "gflops": round(2 * multiplications * way.images_per_s / 1e9, 1),
            "largest_difference": float(np.abs(way.answers - expected).max()),
            "answered_alike": int((way.answers.argmax(-1) == expected.argmax(-1)).sum()),
        }
        for name, way in taken.items()
    ]


def show(report: dict) -> None:
    """One network's table."""
    print(json.dumps({k: v for k, v in report.items() if k != "table"}, indent=1))
    for row in report["table"]:
        print(
            f"{row['way']:<36}{row['images_per_s']:>9.1f} images/s{row['times_keras']:>7.2f} ×"
            f"{row['images_per_processor_s']:>9.1f} per processor-second"
            f"{row['times_keras_by_processor']:>7.2f} ×"
            f"   difference {row['largest_difference']:.0e}, {row['answered_alike']} alike",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=["40x12b"])
    parser.add_argument("--seconds", type=float, default=4.0, help="of Keras predict, each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one batch size for each way")
    parser.add_argument("--xla", action="store_true", help="with --quick: XLA too, a minute")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    named = [n for text in given.networks for n in (PAPER if text == "paper" else (text,))]
    reports = []
    for text in named:
        reports.append(measured(text, given))
        show(reports[-1])
        if given.json:
            given.json.write_text(json.dumps(reports, indent=1) + "\n", encoding="utf-8")


def _machine() -> dict[str, object]:
    from importlib.metadata import PackageNotFoundError, version

    from grader.engine.devices import processor

    found: dict[str, object] = {"processor": processor(), "load": os.getloadavg()[0]}
    for name in ("tensorflow", "tensorflow-cpu", "keras", "openvino", "onnxruntime", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    main()
