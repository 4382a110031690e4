"""What a folder holds, by the names in it alone: a class, attempts, something to grade."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.errors import UsageError
from grader.intake.attempts import WORDS, Attempt, attempts_of
from grader.intake.exports import read_alike
from grader.intake.kinds import ARCHIVE_ENDINGS, clutter, is_archive
from grader.intake.names import own_part
from grader.intake.policy import IntakePolicy
from grader.intake.refusal import shown
from grader.intake.results import is_results
from grader.intake.words import SURE_DIGITS, words_of

HANDED_IN, NOT_HANDED_IN = "submitted files", "working files"
"""The two folders of a class of Microsoft Teams; the second holds drafts."""
OF_STUDENTS = frozenset({"submissions", "submitted", "abgaben", "entregas"})
"""Words in the name of a folder that holds the students' folders."""
OF_WORK = frozenset({
    "assignment", "code", "copy", "data", "draft", "final", "homework", "model",
    "new", "notebook", "old", "report", "solution", "source", "src", "training", "weights", "zip",
})  # fmt: skip
"""Words that students call their own archives."""
WRAPPERS = 3
"""Most folders around the students' own."""


@dataclass(frozen=True)
class ClassFolder:
    """Where the students' folders and files lie.

    Attributes:
        place: Their folder.
        beside: Names of what lies around it.
        guessed: Whether it was entered for what lies in it, and no platform's name says so.
    """

    place: Path
    beside: tuple[str, ...] = ()
    guessed: bool = False


@dataclass(frozen=True)
class Looking:
    """Looks into folders.

    Attributes:
        policy: Names the module that a submission has.
    """

    policy: IntakePolicy

    def candidates(self, folder: Path) -> list[Path]:
        """What in a class folder may be a submission, by kind alone."""
        return [child for child in children(folder) if self.may_be_submitted(child)]

    def may_be_submitted(self, child: Path) -> bool:
        """Whether it is a folder, an archive or code that somebody handed in."""
        if child.is_dir() or is_archive(child.name) or self.is_submitted_code(child.name):
            return True
        return is_code(child.name) and own_part((child.name,)) is not None

    def is_submitted_code(self, name: str) -> bool:
        """Whether a loose file without a platform's name is handed in, or a tool of the course."""
        ends = (self.policy.module,) if self.policy.module else self.policy.named or (".py",)
        return name.endswith((*ends, ".ipynb"))

    def has_module(self, folder: Path) -> bool:
        """Whether the module lies right in a folder."""
        if self.policy.module:
            names = (self.policy.module, self.policy.notebook)
            return any((folder / name).is_file() for name in names)
        return any(self.policy.is_module(each.name) for each in children(folder))

    def is_results(self, folder: Path) -> bool:
        """A folder that we wrote grades into; a student's that has such a file is none."""
        return not self.has_module(folder) and is_results(folder)

    def keeps_attempts(self, students: Sequence[Path]) -> bool:
        """Whether a platform wrote the folders of attempts: most students have them.

        What one alone has may be a student's own folder, with a time that the student chose.
        """
        folders = [each for each in students if each.is_dir()]
        kept = sum(bool(self.attempts(folder)) for folder in folders)
        return kept > 1 and kept * 2 > len(folders)

    def attempts(self, folder: Path) -> list[Attempt]:
        """A student's attempts, where a platform keeps each in a folder."""
        for _ in range(2):  # Teams has a folder of the assignment between the student and them
            inside = children(folder)
            folders = [child for child in inside if child.is_dir()]
            if any(is_archive(f.name) or is_code(f.name) for f in inside if f.is_file()):
                return []
            found = attempts_of(folders)
            if found and any(self.holds_work(each.folder) for each in found):
                return found
            if len(folders) != 1:
                return []
            (folder,) = folders
        return []

    def holds_work(self, folder: Path) -> bool:
        """Whether something to grade lies in a folder, as it came or in an attempt."""
        places = (folder, _only_folder_in(folder))
        if any(self.has_module(place) or self._holds_archive(place) for place in places):
            return True
        return bool(self.attempts(folder))

    def _is_code_folder(self, folder: Path) -> bool:
        return self.has_module(folder) or self.has_module(_only_folder_in(folder))

    def _holds_archive(self, folder: Path) -> bool:
        return any(is_archive(child.name) for child in children(folder) if child.is_file())

    # --- the folders around a class ---

    def class_in(self, root: Path) -> ClassFolder:
        """The folder that a platform put everything into, where it is the only one."""
        found = ClassFolder(root)
        named = False
        for _ in range(WRAPPERS):
            inner = self._only_folder(found.place)
            if inner is None or self.has_module(inner) or attempts_of([inner]):
                break
            named = named or _is_named_for_students(inner)
            by_platform = self._is_export(inner)
            if not by_platform and not self._holds_students(inner, named):
                break
            beside = [each.name for each in children(found.place) if each != inner]
            guessed = found.guessed or not by_platform
            found = ClassFolder(inner, (*found.beside, *beside), guessed)
        return found

    def _only_folder(self, root: Path) -> Path | None:
        inside = self.candidates(root)
        names = {child.name.casefold(): child for child in inside}
        if names.keys() == {HANDED_IN, NOT_HANDED_IN}:
            return names[HANDED_IN]
        return inside[0] if len(inside) == 1 and inside[0].is_dir() else None

    def _is_export(self, folder: Path) -> bool:
        """Whether a platform's names stand in the folder, or are its own."""
        if folder.name.startswith("assignment_") and folder.name.endswith("_export"):
            return True
        inner = self.candidates(folder)
        if {child.name.casefold() for child in inner} == {HANDED_IN, NOT_HANDED_IN}:
            return True
        # Of one alone it could be a name that the student chose.
        return len(inner) > 1 and read_alike(folder, inner) is not None

    def _holds_students(self, folder: Path, named: bool) -> bool:
        """Whether what lies in it is rather several students' than parts of one's work."""
        inner = [child for child in self.candidates(folder) if child.is_dir()]
        if not inner:
            return self._holds_archives_of_students(folder)
        if attempts_of(inner):
            return False
        if named and len(inner) == 1:
            return True
        working = [child for child in inner if self.holds_work(child)]
        archived = [child for child in working if not self._is_code_folder(child)]
        return len(working) > 2 or len(archived) > 1 or (named and len(working) > 1)

    def _holds_archives_of_students(self, folder: Path) -> bool:
        """Whether archives are several students', and not parts or attempts of one's work."""
        files = [child for child in children(folder) if child.is_file()]
        archives = [words_of(_stem(each)) for each in files if is_archive(each.name)]
        if _is_named_for_students(folder):
            return bool(archives)
        common = set.intersection(*map(set, archives)) if archives else set()
        common |= set(words_of(" ".join(self.policy.named)))
        own = {tuple(w for w in words if w not in common and _tells(w)) for words in archives}
        return len(own) > 2 and all(own) and not any(is_code(each.name) for each in files)


def _is_named_for_students(folder: Path) -> bool:
    return bool(OF_STUDENTS & set(words_of(folder.name)))


def _stem(archive: Path) -> str:
    name = archive.name.casefold()
    return next(name.removesuffix(end) for end in ARCHIVE_ENDINGS if name.endswith(end))


def _tells(word: str) -> bool:
    """Whether a word of an archive's name may tell whose it is: no attempt, no part of a work."""
    number = word.isdecimal() and len(word) < SURE_DIGITS
    return not number and word not in OF_WORK and word not in WORDS


def _only_folder_in(folder: Path) -> Path:
    """The one folder that is all that lies in a folder; else the folder itself."""
    inside = children(folder)
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def children(folder: Path) -> list[Path]:
    """What lies in a folder, in order, without hidden files and clutter."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise UsageError(
            f"{shown(str(folder))}: the folder cannot be read: {error.strerror}."
        ) from error
    return [folder / n for n in names if not n.startswith(".") and not clutter((n,))]


def is_code(name: str) -> bool:
    """Whether it is a name of Python code."""
    return name.casefold().endswith((".py", ".ipynb"))
