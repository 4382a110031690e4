"""Trace submissions of the catalogue with copied layers and without, and say what differs.

    python tests/inside/both_ways.py [NAME...]      all of them where none is named

Each is traced in a process of its own, forked from one that has run no op. Nothing may differ but
the names of ops. Prints one line for each difference; ends with 1 where there is one.
"""

import json
import os
import pickle
import sys
import tempfile
from pathlib import Path

from grader.assignment import BlockProbe, NetworkProbe, TransitionProbe
from grader.graph.probes import Probe
from grader.inside import trace
from grader.inside.tracing import copies
from grader.selftest.catalogue import catalogue, write

BOTH = ("inference", "training")
PROBES = (
    Probe(id="block", function="dense_block", hidden=False, modes=BOTH,
          block=BlockProbe(channels=9, num_layers=3, growth_rate=3, bottleneck=True, size=6,
                           dropout_rate=0.2)),
    Probe(id="transition", function="transition", hidden=False, modes=BOTH,
          transition=TransitionProbe(channels=15, compression=0.5, size=6)),
    Probe(id="network", function="build_densenet", hidden=True, modes=BOTH,
          network=NetworkProbe(depth=10, growth_rate=3, compression=0.5, bottleneck=True,
                               num_classes=5, size=16, dropout_rate=0.2)),
)  # fmt: skip
REQUEST = {
    "probes": [p.request() for p in PROBES],
    "model": {"input_shape": [32, 32, 3], "modes": BOTH, "weights": None, "seed": 1},
    "compared": {"network": ["inference"], "block": ["training"]},
}


class Kept:
    """Takes what would go through the pipe."""

    def __init__(self):
        self.frames = {}

    def send_json(self, name, content):
        self.frames[name] = json.loads(json.dumps(content))

    def send_binary(self, name, data):
        self.frames[name] = bytes(data)


def traced(tree: Path, plain: bool) -> tuple[dict, int]:
    """The frames of a submission, traced in a child; and how many kinds of layer were copied."""
    read, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.chdir(tree)
            sys.dont_write_bytecode = True
            kept = Kept()
            trace.run({**REQUEST, "plain": plain}, tree, kept)
            told = pickle.dumps((kept.frames, copies.examples()))
            with os.fdopen(write_end, "wb") as pipe:
                pipe.write(told)
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read, "rb") as pipe:
        told = pipe.read()
    os.waitpid(pid, 0)
    return pickle.loads(told)


def without_names(frame):
    for graph in frame.get("graphs", {}).values() if isinstance(frame, dict) else ():
        graph["nodes"] = [[op, *rest] for op, _, *rest in graph["nodes"]]
    return frame


def differences(tree: Path) -> tuple[list[str], int]:
    """The frames that differ, and how many kinds of layer were copied."""
    (copied, examples), (whole, _) = traced(tree, plain=False), traced(tree, plain=True)
    notes = [copied.pop(name) for name in list(copied) if name.startswith("copies:")]
    wrong = [] if all(note["alike"] for note in notes) else ["copies"]
    names = copied.keys() | whole.keys()
    return wrong + [
        name
        for name in sorted(names)
        if without_names(copied.get(name)) != without_names(whole.get(name))
    ], examples


def main(names: list[str]) -> int:
    trace.warm()
    found = 0
    for mutant in catalogue():
        if names and mutant.name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            write(mutant, Path(folder))
            wrong, examples = differences(Path(folder))
        print(f"{mutant.name}: {', '.join(wrong) or 'equal'}; {examples} kinds copied", flush=True)
        found += bool(wrong)
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
