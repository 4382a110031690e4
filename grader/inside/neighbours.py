"""What others on this machine took from a run: processor time, memory, threads.

Standard library only. The supervisor asks the kernel, outside the worker, and nothing that the
worker says counts. Where a kernel (gVisor's, macOS's) does not tell, the answer is that nobody took
anything.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
from collections.abc import Iterable, Iterator

LOOK_S = 0.25
"""How often the waiting is looked at: often enough for our clock, and the kernel's numbers lag by
some milliseconds."""
_SCARCE = 0.1
"""A machine with less than this part of its memory left is short of it."""
_ROOT = pathlib.Path("/")

Use = tuple[float, float, float]
"""Of one thread, in seconds: how long the run had run before this thread, how long the thread ran,
and how long it was ready and had no processor."""


def held_up(ran_together: float, threads: Iterable[Use]) -> float:
    """Return how long others have kept a run from running, in seconds.

    A thread that waits for a processor may wait for other threads of the same run: all that these
    ran since it began is taken off. What is left cannot be had by starting threads, by sleeping or
    by waking up often.

    Args:
        ran_together: How long all threads of the run have run, those that have ended too.
        threads: Those that live.
    """
    held = [waited - (ran_together - before - ran) for before, ran, waited in threads]
    return max(0.0, *held) if held else 0.0


class Neighbours:
    """Watches one run's share of the machine.

    Attributes:
        held_s: How long others have kept it from running so far.

    Args:
        root: Where /proc and /sys lie.
    """

    def __init__(self, root: pathlib.Path = _ROOT) -> None:
        self.held_s = 0.0
        self._root = root
        self._ran_together = 0.0
        self._ran_before: dict[int, float] = {}
        self._began = self._looked = time.monotonic()
        self._kills, self._refusals = self._killed_for_memory(), self._refused_threads()

    def look(self, pids: Iterable[int]) -> bool:
        """Look at the waiting, when it is time to.

        Args:
            pids: The processes of the run.

        Returns:
            Whether `held_s` has grown.
        """
        if time.monotonic() < self._looked + LOOK_S:
            return False
        self._looked = time.monotonic()
        pids = list(pids)
        threads = list(self._uses(pids))
        self._ran_together = max(self._ran_together, sum(map(_ran, pids)))
        # Where the run had a processor, nobody kept it from having one.
        most = self._looked - self._began - self._ran_together
        held = min(held_up(self._ran_together, threads), most)
        grown, self.held_s = held > self.held_s, max(held, self.held_s)
        return grown

    def shortages(self) -> list[str]:
        """Name what others left too little of since the run began.

        Returns:
            Of these: "memory", so that the kernel or a guard of the machine kills; "promises" of
            memory, so that a program is refused what it may have; "threads".
        """
        found = []
        if self._killed_for_memory() > self._kills or self._memory_is_scarce():
            found.append("memory")
        if self._memory_is_promised():
            found.append("promises")
        if self._refused_threads() > self._refusals or _refused_here():
            found.append("threads")
        return found

    def _uses(self, pids: Iterable[int]) -> Iterator[Use]:
        for pid in pids:
            with contextlib.suppress(OSError):
                for thread in os.listdir(self._root / f"proc/{pid}/task"):
                    with contextlib.suppress(OSError, ValueError):
                        text = self._read(f"proc/{pid}/task/{thread}/schedstat")
                        ran, waited = text.split()[:2]
                        before = self._ran_before.setdefault(int(thread), self._ran_together)
                        yield before, int(ran) / 1e9, int(waited) / 1e9

    def _read(self, path: str) -> str:
        return (self._root / path).read_text()

    def _number(self, path: str, key: str) -> int | None:
        """Return the number behind a word at the beginning of a line."""
        with contextlib.suppress(OSError, ValueError):
            for line in self._read(path).splitlines():
                words = line.replace(":", " ").split()
                if len(words) > 1 and words[0] == key:
                    return int(words[1])
        return None

    def _killed_for_memory(self) -> int:
        """Count processes that the kernel has killed for want of memory, whosever they were."""
        return self._number("proc/vmstat", "oom_kill") or 0

    def _memory_is_scarce(self) -> bool:
        meminfo = "proc/meminfo"
        total, left = self._number(meminfo, "MemTotal"), self._number(meminfo, "MemAvailable")
        return bool(total and left is not None and left < _SCARCE * total)

    def _memory_is_promised(self) -> bool:
        """Whether the kernel counts what it has promised, and has promised nearly all it has."""
        meminfo = "proc/meminfo"
        limit, given = self._number(meminfo, "CommitLimit"), self._number(meminfo, "Committed_AS")
        with contextlib.suppress(OSError):
            strict = self._read("proc/sys/vm/overcommit_memory").strip() == "2"
            return bool(strict and limit and given and given > (1 - _SCARCE) * limit)
        return False

    def _refused_threads(self) -> int:
        """Count how often a control group of ours was full, so that a thread was refused."""
        return sum(
            self._number(f"{group}/pids.events", "max") or 0 for group in self._control_groups()
        )

    def _control_groups(self) -> Iterator[str]:
        """Yield the groups of this process that count threads, innermost first."""
        with contextlib.suppress(OSError):
            for line in self._read("proc/self/cgroup").splitlines():
                _, controllers, path = line.split(":", 2)
                if controllers in ("", "pids"):
                    base = f"sys/fs/cgroup/{controllers}".rstrip("/")
                    for folder in (path, *map(str, pathlib.PurePosixPath(path).parents)):
                        yield f"{base}/{folder.strip('/')}".rstrip("/")


def _refused_here() -> bool:
    """Try whether this very process, of the run's user and group, is refused a new one."""
    try:
        child = os.fork()
    except OSError:
        return True
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return False


def _ran(pid: int) -> float:
    """Return the processor time of a process, of its ended threads too; 0 where it is gone."""
    with contextlib.suppress(OSError, AttributeError):
        return time.clock_gettime(~pid << 3 | 2)
    return 0.0
