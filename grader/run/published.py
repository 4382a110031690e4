"""What is right in the public calls of [[functions]], as data beside assignment.toml.

A student's machine has no reference, and must not have one. So the results of the public calls,
which are the same for everybody, are written down once: `grade check` compares with them.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader import files
from grader.assignment import Assignment
from grader.calls.cases import Case
from grader.errors import AssignmentError

PUBLIC_FILE = "public.json.gz"
MAX_BYTES = 64 * 2**20
"""Of the file when it is unpacked."""


@dataclass(frozen=True)
class Published:
    """What is right in the public calls of one check.

    Attributes:
        calls: The digest of each call, in order.
        answers: FILE.py:FUNCTION → id of a call → the record of its answer.
    """

    calls: tuple[str, ...]
    answers: Mapping[str, Mapping[str, Any]]

    @property
    def digest(self) -> str:
        """Of what it says."""
        return hashlib.sha256(json.dumps(self.answers, sort_keys=True).encode()).hexdigest()

    def fit(self, cases: Sequence[Case]) -> bool:
        """Whether it is of these calls: the table may have changed since."""
        return self.calls == tuple(case.digest for case in cases)


def published(assignment: Assignment) -> dict[str, Published]:
    """What was published, by the check's name; nothing where there is no such file.

    Raises:
        AssignmentError: The file is there, and is not what `publish` writes.
    """
    file = assignment.file.parent / PUBLIC_FILE
    if not file.is_file():
        return {}
    try:
        with gzip.open(file) as packed:
            content = json.loads(packed.read(MAX_BYTES))
        return {
            name: Published(tuple(kept["calls"]), dict(kept["answers"]))
            for name, kept in content.items()
        }
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AssignmentError(
            f"{file}: cannot be read ({error}). Write it again: `grade publish`."
        ) from error


def publish(folder: Path, answers: Mapping[str, tuple[Sequence[Case], Any]]) -> Path:
    """Write down what is right in the public calls.

    Args:
        folder: Of assignment.toml.
        answers: Check's name → its public calls, and what the reference and the slips gave.

    Returns:
        The file; the same bytes for the same answers.
    """
    content = {
        name: {"calls": [case.digest for case in cases], "answers": _timeless(given)}
        for name, (cases, given) in answers.items()
    }
    packed = gzip.compress(json.dumps(content, sort_keys=True).encode(), 9, mtime=0)
    file = folder / PUBLIC_FILE
    files.write_atomically(file, packed)
    return file


def _timeless(answers: Any) -> Any:
    """Answers with their seconds rounded up, so that a slower machine writes the same file."""
    return {
        function: {id: answer | {"seconds": _rounded(answer)} for id, answer in calls.items()}
        for function, calls in answers.items()
    }


def _rounded(answer: Mapping[str, Any]) -> float:
    return max(1, math.ceil(10 * float(answer.get("seconds", 0.0)))) / 10
