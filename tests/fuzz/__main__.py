"""Fuzz what comes from the sandbox for a while: `python -m tests.fuzz --seconds 600 --seed 0`.

Prints every crash once with the seed that makes it, and the slowest cases; its exit status is the
number of different crashes.
"""

from __future__ import annotations

import argparse
import resource
import time
import traceback

from tests.fuzz.test_records import forge

MEMORY = 6 * 2**30


def main() -> int:
    """Run until the processor seconds are over."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=600.0, help="of processor time")
    parser.add_argument("--seed", type=int, default=0, help="of the first case")
    wanted = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    crashes: dict[str, str] = {}
    slowest: list[tuple[float, int]] = []
    started, seed = time.process_time(), wanted.seed
    while time.process_time() - started < wanted.seconds:
        begun = time.process_time()
        try:
            forge(seed)
        except KeyboardInterrupt:  # what was found so far is worth telling
            break
        except Exception as error:  # what this looks for
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{type(error).__name__} at {last.filename}:{last.lineno} {str(error)[:100]}"
            crashes.setdefault(place, f"seed {seed}\n{traceback.format_exc()[-2000:]}")
        slowest = sorted([*slowest, (time.process_time() - begun, seed)])[-5:]
        seed += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{seed - wanted.seed} cases, {peak} MiB at most")
    print("slowest:", ", ".join(f"{t:.1f} s (seed {s})" for t, s in reversed(slowest)))
    for place, how in crashes.items():
        print(f"--- {place}\n{how}")
    return min(len(crashes), 125)


if __name__ == "__main__":
    raise SystemExit(main())
