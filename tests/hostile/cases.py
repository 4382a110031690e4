"""What a case of the hostile gallery is: a recipe, the outcome it must get, and why it matters.

Add one by writing a recipe (a function from an empty folder to the path that is handed in) and an
entry in the tuple of its category. Recipes are code: no binary is committed. Whatever a recipe
makes must stay harmless if every defence is missing: bombs of at most a few hundred MB, no path
that could overwrite anything, no signal, no fork without a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from grader.domain import GradeStatus
from grader.errors import Cause

Recipe = Callable[[Path], Path]


@dataclass(frozen=True)
class Refused:
    """Intake says no: nothing to grade, exit status 1.

    Attributes:
        cause: The exact cause.
        words: What the message has to say.
    """

    cause: Cause
    words: str


@dataclass(frozen=True)
class Taken:
    """Intake takes it, made harmless.

    Attributes:
        files: Exactly what reaches the sandbox.
        remark: What the remarks have to say; "" where there must be none.
        source: Text that densenet.py has to hold.
        student_id: Whose it is, where the case is about names.
    """

    files: tuple[str, ...] = ("densenet.py",)
    remark: str = ""
    source: str = ""
    student_id: str | None = None


@dataclass(frozen=True)
class Graded:
    """It runs in the sandbox and is graded: the exact outcome.

    Attributes:
        lost: Exactly the checks that do not pass; the accuracy is not measured here and never
            among them.
        cause: How the run ended, None where it ended well.
        status: What becomes of the submission.
        says: Words that the student has to read in a message or a finding.
        limits: Limits of its own, low where the case is made to reach them.
    """

    lost: frozenset[str]
    cause: Cause | None = None
    status: GradeStatus = GradeStatus.GRADED
    says: str = ""
    limits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One submission of the gallery.

    Attributes:
        name: What it is, as in a list.
        category: archive, layout, honest; forgery, resources, escape, graph, weights, cheat or
            report where more than intake decides.
        make: Its recipe.
        expect: The exact outcome.
        why: What would happen without the defence, in one sentence.
    """

    name: str
    category: str
    make: Recipe
    expect: Refused | Taken | Graded
    why: str


def zip_of(data: bytes | Callable[[], bytes], name: str = "submission.zip") -> Recipe:
    """A recipe that hands in these bytes; a callable is called only when the case runs."""

    def make(room: Path) -> Path:
        path = room / name
        path.write_bytes(data() if callable(data) else data)
        return path

    return make


def folder_of(files: dict[str, bytes], then: Callable[[Path], None] | None = None) -> Recipe:
    """A recipe that hands in a folder; `then` adds what a plain file cannot be."""

    def make(room: Path) -> Path:
        root = room / "submission"
        for name, content in files.items():
            place = root / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        if then:
            then(root)
        return root

    return make
