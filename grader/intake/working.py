"""A folder that somebody works in: what counts of it is taken, the rest is left and named.

A handed-in zip is judged as a whole, and refused for what must not be in it. The folder on a
student's own disk holds environments, data, earlier zips and results besides, and nobody asked for
those. Links are never followed: what they name may be anything.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from pathlib import Path

from grader.assignment.units import SHEET_BESIDE_README
from grader.domain import LAPTOP_RECIPE, RECIPE, WEIGHTS
from grader.errors import SubmissionRejected
from grader.intake.kinds import ARCHIVE, Fate, clutter, fate, is_weights
from grader.intake.members import Member, folder_member
from grader.intake.needs import needed_files
from grader.intake.notebook import convert
from grader.intake.paths import Parts
from grader.intake.policy import DEFAULT, IntakePolicy
from grader.intake.refusal import listed
from grader.intake.results import holds_record
from grader.intake.text import as_utf8

SEEN = 200_000
"""Most names that are looked at; a data set unpacked into single images has some 60,000."""
CROWD = 20_000
"""Most names of one folder below the top; no folder of modules has as many."""

OURS = frozenset(
    {
        ARCHIVE,
        "README.md",
        SHEET_BESIDE_README,
        LAPTOP_RECIPE,
        "recipe.paper.toml",
        "test_densenet.py",
        "training.json",
        "training.png",
    }
)
"""What the template and `grade train` put there: nobody needs to be told that it stays."""
FIGURES = "figures"
"""The folder of the sheet's pictures, likewise."""


class Scope(StrEnum):
    """How much of a path is a submission."""

    HANDED_IN = "handed in"
    """All of it, by the strict rules."""
    WORK = "work"
    """Of a working folder, what belongs into the zip: code, weights, recipe."""
    CODE = "code"
    """Of a working folder, the module and what it imports."""


@dataclass
class _Folder:
    """What was found: files that may count, and what is left in any case, by reason."""

    files: dict[Parts, Member] = field(default_factory=dict)
    clutter: list[Member] = field(default_factory=list)
    left: dict[str, list[str]] = field(default_factory=dict)

    def leave(self, why: str, name: str) -> None:
        self.left.setdefault(why, []).append(name)


def what_counts(
    folder: Path, policy: IntakePolicy, scope: Scope
) -> tuple[tuple[Member, ...], tuple[str, ...]]:
    """The members of a working folder that count, and remarks on those that do not.

    Args:
        folder: With the module or the notebook, or one folder with it.
        policy: What a submission may measure.
        scope: WORK or CODE.

    Returns:
        Members in order of path, to be laid out like those of a zip; and one remark for each
        reason to leave something out. Where there is no module, all files, so that the refusal
        can say what is similar.
    """
    found = _look(folder, policy)
    top = _top(found.files, policy)
    chosen = _code(found.files, top, policy)
    chosen |= {(*top, name) for name in policy.data_files} & found.files.keys()
    if scope is Scope.WORK:
        chosen |= _weights(found.files, top, policy) | {(*top, RECIPE)} & found.files.keys()
        _leave_the_rest(found, chosen)
    members = sorted((found.files[path] for path in chosen), key=lambda member: member.parts)
    if scope is Scope.CODE:
        return tuple(members), ()
    remarks = (f"Left out, {why}: {listed(names)}." for why, names in sorted(found.left.items()))
    return (*members, *found.clutter), tuple(remarks)


def code_of(folder: Path, policy: IntakePolicy = DEFAULT) -> dict[str, bytes]:
    """The module and the files that it needs, by path: Python as UTF-8, data as it is.

    Args:
        folder: A working folder.
        policy: Names the module.
    """
    members, _ = what_counts(folder, policy, Scope.CODE)
    kept = {m.path: m for m in members if not m.special and m.size_bytes <= policy.notebook_bytes}
    book = kept.pop(policy.notebook, None)
    if book is not None:
        kept.setdefault(policy.module, book)
    return {
        path: _text(m, policy).encode() if path.endswith(".py") else m.read(m.size_bytes)
        for path, m in kept.items()
    }


# --- looking ------------------------------------------------------------------------------


def _look(root: Path, policy: IntakePolicy) -> _Folder:
    """Go through the folder, near files first, and into no folder that is not the student's."""
    found, seen = _Folder(), 0
    waiting: deque[tuple[Path, Parts]] = deque([(root, ())])
    while waiting and seen < SEEN:
        place, above = waiting.popleft()
        for entry in _entries(place, SEEN if not above else CROWD):
            seen += 1
            inside = _note(found, entry, above, policy)
            if inside is not None:
                waiting.append((Path(entry.path), inside))
    if waiting:
        found.leave(f"not looked at behind the first {SEEN:,} files", f"{len(waiting)} folders")
    return found


def _entries(place: Path, most: int) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as scan:
            return list(islice(scan, most))
    except OSError:
        return []


def _note(
    found: _Folder, entry: os.DirEntry[str], above: Parts, policy: IntakePolicy
) -> Parts | None:
    """Note one entry; returns the path of a folder that is to be looked into."""
    try:
        member = folder_member(entry, above, policy)
    except SubmissionRejected:
        found.leave("a name that other systems do not take", "/".join((*above, entry.name)))
        return None
    except OSError:  # it vanished, or is somebody else's
        return None
    if member.parts and clutter(member.parts):
        found.clutter.append(member)
    elif not member.is_folder:
        found.files[member.parts] = member
    elif why := _not_the_work(entry):
        if not entry.name.startswith("."):
            found.leave(why, f"{member.path}/")
    else:
        return member.parts
    return None


def _not_the_work(folder: os.DirEntry[str]) -> str | None:
    """Why a folder is not looked into."""
    if folder.name.startswith("."):
        return "hidden"
    inside = Path(folder.path)
    if (inside / "pyvenv.cfg").exists() or (inside / "conda-meta").exists():
        return "a virtual environment"
    return "results of grading" if holds_record(inside) else None


# --- choosing -----------------------------------------------------------------------------


def _top(files: Collection[Parts], policy: IntakePolicy) -> Parts:
    """The folder that holds the module: the one that was named, or the one folder below it."""
    at_top = any(len(path) == 1 and policy.is_module(path[0]) for path in files)
    below = {path[:1] for path in files if len(path) == 2 and policy.is_module(path[1])}
    return below.pop() if len(below) == 1 and not at_top else ()


def _code(files: dict[Parts, Member], top: Parts, policy: IntakePolicy) -> set[Parts]:
    """The module, the notebook, and what the one that counts needs."""
    module, notebook = (*top, policy.module), (*top, policy.notebook)
    mains = {module if module in files else notebook} & files.keys()
    if not policy.module:
        mains = {p for p in files if p[:-1] == top and policy.is_module(p[-1])}
    if not mains:
        return {p for p, m in files.items() if not m.special and fate(p) is not Fate.NESTED}
    there = [path for path in files if path[: len(top)] == top]
    needed = {module, notebook} & files.keys()
    for main in mains:
        needed |= needed_files(main, there, lambda path: _text(files[path], policy))
    return needed


def _text(member: Member, policy: IntakePolicy) -> str:
    """A file's Python text, however it is encoded: names that matter here are ASCII."""
    if member.special or member.size_bytes > policy.notebook_bytes:
        return ""
    try:
        content = member.read(policy.notebook_bytes)
        if member.path.endswith(".ipynb"):
            return convert(content, policy).source
    except SubmissionRejected:  # it is said once more, and in full, where the file is taken in
        return ""
    return as_utf8(content)[0].decode("utf-8-sig", errors="replace")


def _weights(files: dict[Parts, Member], top: Parts, policy: IntakePolicy) -> set[Parts]:
    """The weights files among which the rule chooses; one too large only if there is no other.

    The one that `grade train` wrote is among them whatever it is: nothing takes its place unsaid.
    """
    ours = (*top, WEIGHTS)
    found = {p for p, m in files.items() if is_weights(p[-1]) and (not m.special or p == ours)}
    small = {p for p in found if files[p].size_bytes <= policy.weights_bytes or p == ours}
    return small or found


def _leave_the_rest(found: _Folder, chosen: Collection[Parts]) -> None:
    """Name what was not chosen: archives and links one by one, a folder of the rest as one."""
    rest: Counter[str] = Counter()
    for path, member in sorted(found.files.items()):
        if path in chosen or path[-1] in OURS or path[-1].startswith(".") or FIGURES in path[:-1]:
            continue
        if member.special:
            found.leave(member.special, member.path)
        elif is_weights(path[-1]):
            found.leave("larger than a weights file may be", member.path)
        elif fate(path) is Fate.NESTED:
            found.leave("an archive", member.path)
        else:
            rest[path[0] + "/" * (len(path) > 1)] += 1
    for name in _counted(rest):
        found.leave("the code does not use it", name)


def _counted(rest: Counter[str]) -> Iterator[str]:
    for name, count in sorted(rest.items()):
        yield f"{name} ({count:,} files)" if count > 1 else name
