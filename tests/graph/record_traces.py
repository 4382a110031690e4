"""Record real traces of small probes: `python -m tests.graph.record_traces` (needs TensorFlow).

Each file in traces/ holds what the sandbox would send for one mutant of the catalogue, so that the
tests of the judge see real op graphs without TensorFlow. Run again when inside/trace.py changes;
names after it record only those.
"""

import gzip
import importlib
import json
import sys
import tempfile
from pathlib import Path

from grader.assignment import BlockProbe, NetworkProbe, TransitionProbe
from grader.graph.probes import Probe
from grader.inside import trace
from grader.selftest.catalogue import catalogue, write

TRACES = Path(__file__).parent / "traces"
BOTH = ("inference", "training")
PROBES = (
    Probe(id="block", function="dense_block", hidden=False, modes=BOTH,
          block=BlockProbe(channels=7, num_layers=3, growth_rate=3, bottleneck=True, size=4)),
    Probe(id="transition", function="transition", hidden=False, modes=BOTH,
          transition=TransitionProbe(channels=15, compression=0.5, size=4)),
    Probe(id="network", function="build_densenet", hidden=False, modes=("inference",),
          network=NetworkProbe(depth=10, growth_rate=3, compression=0.5, bottleneck=True,
                               num_classes=5, size=16)),
)  # fmt: skip
GOLDEN = {
    "reference": "",
    "own-bn-by-mean-of-squares": "",
    "stem-relu": "stem",
    "bn-hard-wired-to-inference": "training-behaviour",
    "transition-round": "parameter-count-network parameter-count-transition transition-layer "
    "transition-shape",
    "leaky-relu": "composite-function head transition-layer",
    "links-transposed": "dense-connectivity foreign-ops",
}
"""Mutant → exactly the checks that fail; none for a right one."""


class Kept:
    """Takes what would go through the pipe."""

    def __init__(self):
        self.json, self.binary = {}, {}

    def send_json(self, name, content):
        self.json[name] = content

    def send_binary(self, name, data):
        self.binary[name] = list(data)


def main():
    """Write every trace anew."""
    TRACES.mkdir(exist_ok=True)
    mutants = {mutant.name: mutant for mutant in catalogue()}
    for mutant in (mutants[name] for name in sys.argv[1:] or GOLDEN):
        with tempfile.TemporaryDirectory() as folder:
            write(mutant, Path(folder))
            kept = Kept()
            request = {"probes": [p.request() for p in PROBES], "model": None}
            trace.run(request, Path(folder), kept)
            sys.path.remove(folder)
            sys.modules.pop("densenet")
            importlib.invalidate_caches()
        content = json.dumps({"json": kept.json, "binary": kept.binary}).encode()
        # mtime=0: the same trace is the same file.
        (TRACES / f"{mutant.name}.json.gz").write_bytes(gzip.compress(content, 9, mtime=0))


if __name__ == "__main__":
    main()
