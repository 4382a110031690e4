"""Run directories: named by what went in, there only when complete.

`results/runs/<submission>-<rest>/` holds what one run gave (trace.json, weights, run.json). The
name is a digest of everything the run depends on, so the same command finds it again, two students
with the same bytes share it, and a directory that is there is finished: it is filled under another
name and renamed.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grader import files
from grader.ledger.durable import disk_error, locked

RUNS = "runs"
_PARTIAL = ".partial"


def run_directory(results_dir: Path, submission_sha256: str, *depends_on: str) -> Path:
    """Where the run of a submission belongs.

    Args:
        results_dir: The results folder.
        submission_sha256: Hex digest of the submission.
        depends_on: What else decides what the run gives: what is asked, with which key and program.

    Returns:
        The path; it exists only if the run is complete.
    """
    rest = hashlib.sha256("\0".join((submission_sha256, *depends_on)).encode()).hexdigest()
    return results_dir / RUNS / f"{submission_sha256[:16]}-{rest[:12]}"


def results_of(run_dir: Path) -> Path | None:
    """The results folder that a run directory lies in; None where it lies by itself."""
    above = run_dir.resolve().parent
    return above.parent if above.name == RUNS else None


@contextmanager
def filling(run_dir: Path) -> Iterator[Path]:
    """Fill a run directory; it appears when the block ends well, and not at all otherwise.

    If another process finishes the same run first, its directory stands and this one is dropped:
    both hold the same.

    Args:
        run_dir: From `run_directory`.

    Yields:
        A private folder on the same file system.

    Raises:
        InfrastructureError: INFRA_DISK.
    """
    try:
        run_dir.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f"{_PARTIAL}{files.mark()}", dir=run_dir.parent))
    except OSError as error:
        raise disk_error("the run", error) from error
    try:
        yield partial
        with locked(run_dir.parent / ".lock"):
            if not run_dir.exists():
                files.put_in_place(partial, run_dir)
                files.flush_folder(run_dir.parent)
    except OSError as error:
        raise disk_error("the run", error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def sweep(results_dir: Path) -> int:
    """Remove what killed processes left half filled, in the results folder and in scratch folders.

    Returns:
        How much was removed; what belongs to living processes stays.
    """
    return files.sweep(results_dir / RUNS, _PARTIAL) + files.sweep_scratch()
