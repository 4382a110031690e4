"""One submission of a class, before it is opened: where it lies, whose it is, what it came as."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path

from grader.domain import RECIPE
from grader.intake.kinds import ARCHIVE, is_weights
from grader.intake.names import ID_LENGTH, Identity, Platform, identify, original, safe_id
from grader.intake.policy import IntakePolicy
from grader.intake.refusal import LISTED, listed, shown

UNLESS: dict[Platform, str] = {
    "folders": " If that folder holds several students, name it by itself, or use --from files.",
    "google": " If they are of several people of that name, use --from files.",
}
"""When several submissions with one student_id would not be one student's."""
SOURCE_LENGTH = 200
"""Longest source that a record shows, characters."""


@dataclass(frozen=True)
class Item:
    """One submission.

    Attributes:
        path: The archive or folder; of loose files the module.
        identity: Whose it is and when it came.
        source: Its path below what the command line named, for people and for the record.
        files: Loose files that together are the submission: name in the submission, where it lies.
    """

    path: Path
    identity: Identity
    source: str
    files: tuple[tuple[str, Path], ...] = ()


def named(path: Path, zone: tzinfo | None = None, platform: Platform | None = None) -> Item:
    """The item of one path as the command line names it.

    The names that everybody's archive has, such as submission.zip, speak of nobody: then the
    folder's name is taken.
    """
    whole = path.resolve() if path.name in ("", "..") else path
    identity = identify(whole, zone, platform)
    if identity.platform == "files" and platform != "files" and is_everybodys(whole.name):
        identity = Identity(safe_id(whole.resolve().parent.name), "folders")
    return Item(path, identity, whole.name)


def is_everybodys(name: str) -> bool:
    """Whether it is what `grade pack` calls every student's archive, or a copy of that."""
    return original(name).casefold() == ARCHIVE


def of_loose_files(
    files: Sequence[tuple[str, Path]], identity: Identity, source: str, policy: IntakePolicy
) -> Item | None:
    """The submission that loose files of one person make, None where no code is among them.

    Args:
        files: Name that the student gave, where it lies; of two of one name the first counts.
        identity: Whose they are.
        source: Where they came from.
        policy: Names the module that a submission has.
    """
    code = [file for file in files if file[0].casefold().endswith((".py", ".ipynb"))]
    if not code:
        return None
    meant = [file for file in code if policy.is_module(original(file[0]))]
    # Canvas adds -1 to the name of what is handed in again: that it is newer is said by the order.
    newest = next((file for file in meant if original(file[0]) == policy.module), None)
    first = newest or (meant or sorted(code))[0]
    kept: dict[str, Path] = {}
    if meant or len(code) == 1:  # one that is alone can only be the module, whatever its name
        kept[_as_module(first[0], policy)] = first[1]
    remarks = []
    for name, path in files:
        if path in kept.values():
            continue
        if kept.setdefault(original(name) if _is_meant(name) else name, path) is not path:
            remarks.append(f"{shown(path.name)} was left out: there is another {shown(name)}.")
    identity = replace(identity, remarks=(*identity.remarks, *remarks))
    return Item(first[1], identity, source, tuple(sorted(kept.items())))


def _is_meant(name: str) -> bool:
    """Whether the file is found by its name, which then has to be the one that the student gave."""
    return original(name) == RECIPE or is_weights(name) or name.casefold().endswith(".py")


def _as_module(name: str, policy: IntakePolicy) -> str:
    if not policy.module:
        alone = len(policy.named) == 1 and name.casefold().endswith(".py")
        return policy.named[0] if alone else original(name)
    return policy.notebook if name.casefold().endswith(".ipynb") else policy.module


def told_apart(items: Iterable[Item]) -> tuple[tuple[Item, ...], tuple[str, ...]]:
    """Give each submission an id of its own, so that none replaces another in the record.

    Returns:
        The items in their order, those of one student in the order in which they came: where no
        time tells which is the latest, the last one recorded is. And a notice for each id that
        several had, one for all where they are many.
    """
    items = _with_sources_apart(tuple(items))
    counts = Counter(item.identity.student_id for item in items)
    taken = {id for id, count in counts.items() if count == 1}
    placed, notices = list(items), []
    resubmitted: dict[str, tuple[int, str]] = {}
    for id in (id for id, count in counts.items() if count > 1):
        same = sorted((i for i in items if i.identity.student_id == id), key=_arrival)
        # Brightspace has no login in its names: two of one name may be two people.
        namesakes = len({i.identity.known_as for i in same if _is_named_only(i.identity)}) > 1
        same = [_before(item, same) for item in same]
        ids = zip(same, _free_ids(id, len(same), taken), strict=True)
        named = [_renamed(item, own, len(same), namesakes) for item, own in ids]
        places = [at for at, item in enumerate(items) if item.identity.student_id == id]
        for at, item in zip(places, named, strict=True):
            placed[at] = item
        notice = _said(id, named, namesakes)
        hint = UNLESS.get(named[0].identity.platform)
        if namesakes or (hint and notice.endswith(hint)):
            notices.append(notice)
        else:
            resubmitted[id] = (len(named), notice)
    return tuple(placed), (*notices, *_of_resubmitted(resubmitted))


def _of_resubmitted(several: Mapping[str, tuple[int, str]]) -> list[str]:
    """A notice for each student with several submissions, or one for a class that hands in anew."""
    if len(several) <= LISTED:
        return [notice for _, notice in several.values()]
    students = listed([f"{id} ({count})" for id, (count, _) in several.items()])
    return [
        f"{len(several)} students have several submissions. Each is graded, and one of each "
        f"student's counts: {students}."
    ]


def _with_sources_apart(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Where two have one source, more of the path as it was named.

    What a class's zip was unpacked into has another name each time, so it comes last.
    """
    for parts in (2, 3, 5, None):
        counts = Counter(source for source, _ in {(item.source, item.path) for item in items})
        items = tuple(
            item if counts[item.source] == 1 else replace(item, source=_end_of(item.path, parts))
            for item in items
        )
    return items


def _end_of(path: Path, parts: int | None) -> str:
    return str(path) if parts is None else "/".join(path.parts[-parts:])


def _arrival(item: Item) -> tuple[float, int, str]:
    received = item.identity.received_at
    return received.timestamp() if received else 0.0, item.identity.number, item.source


def _before(item: Item, same: Sequence[Item]) -> Item:
    """An item that knows which of the same student's came later by their numbers."""
    number = item.identity.number
    later = tuple(other.path for other in same if other.identity.number > number > 0)
    return replace(item, identity=replace(item.identity, later=later))


def _free_ids(id: str, count: int, taken: set[str]) -> list[str]:
    found: list[str] = []
    number = 0
    while len(found) < count:
        number += 1
        end = f"-{number}"
        own = f"{id[: ID_LENGTH - len(end)]}{end}"
        if own not in taken:
            taken.add(own)
            found.append(own)
    return found


def _said(id: str, same: Sequence[Item], namesakes: bool) -> str:
    """What the instructor is told of several submissions with one student_id."""
    start = f"{id}: {len(same)} submissions have this student_id. "
    if namesakes:
        ids = ", ".join(f"{item.identity.student_id} ({item.source})" for item in same)
        kept = f"{start}Each is graded and kept by itself: {ids}."
        return f"{kept} They may be of several people of that name."
    ids = ", ".join(item.source for item in same)
    one = f"{start}Each is graded, and one of them counts: {ids}."
    first = same[0].identity
    return one if first.number or first.received_at else one + UNLESS.get(first.platform, "")


def _is_named_only(identity: Identity) -> bool:
    return identity.platform == "brightspace" and len(identity.known_as) == 1


def _renamed(item: Item, own: str, count: int, namesakes: bool) -> Item:
    was = item.identity
    remark = f"{count} submissions have the student_id {was.student_id}; this one is "
    remark += f"kept as {own}." if namesakes else f"{shown(item.source)}."
    person = None if namesakes else was.student_id
    identity = replace(was, student_id=own, person=person, remarks=(*was.remarks, remark))
    return replace(item, identity=identity)
