"""One submission of a class, before it is opened: where it lies, whose it is, what it came as."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path

from grader.domain import RECIPE
from grader.intake.kinds import ARCHIVE, is_weights
from grader.intake.names import ID_LENGTH, Identity, Platform, identify, safe_id
from grader.intake.policy import IntakePolicy
from grader.intake.refusal import shown

_COPY = re.compile(r"(?:-\d+| ?\(\d+\))(?=\.)", re.ASCII)
"""What Canvas and browsers add to the name of a file that they have seen before."""


IF_A_CLASS = " If that folder holds several students, name it by itself, or use --from files."
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
    return _COPY.sub("", name).casefold() == ARCHIVE


def of_loose_files(
    files: Sequence[tuple[str, Path]], identity: Identity, source: str, policy: IntakePolicy
) -> Item | None:
    """The submission that loose files of one person make, None where no code is among them.

    Args:
        files: Name that the student gave, where it lies.
        identity: Whose they are.
        source: Where they came from.
        policy: Names the module that a submission has.
    """
    code = [file for file in files if file[0].casefold().endswith((".py", ".ipynb"))]
    if not code:
        return None
    wanted = (policy.module, policy.notebook)
    meant = [file for file in code if _original(file[0]) in wanted]
    first = min(meant or code, key=lambda file: (file[0] not in wanted, file[0]))
    kept: dict[str, Path] = {}
    if meant or len(code) == 1:  # one that is alone can only be the module, whatever its name
        kept[_as_module(first[0], policy)] = first[1]
    remarks = []
    for name, path in files:
        if path in kept.values():
            continue
        if kept.setdefault(_original(name) if _counts(name) else name, path) is not path:
            remarks.append(f"{shown(path.name)} was left out: there is another {shown(name)}.")
    identity = replace(identity, remarks=(*identity.remarks, *remarks))
    return Item(first[1], identity, source, tuple(sorted(kept.items())))


def _counts(name: str) -> bool:
    return _original(name) == RECIPE or is_weights(name)


def _original(name: str) -> str:
    return _COPY.sub("", name)


def _as_module(name: str, policy: IntakePolicy) -> str:
    return policy.notebook if name.casefold().endswith(".ipynb") else policy.module


def told_apart(items: Iterable[Item]) -> tuple[tuple[Item, ...], tuple[str, ...]]:
    """Give each submission an id of its own, so that none replaces another in the record.

    Returns:
        The items in their order, and a notice for each id that several had.
    """
    items = _with_sources_apart(tuple(items))
    counts = Counter(item.identity.student_id for item in items)
    taken = {id for id, count in counts.items() if count == 1}
    numbered: dict[Item, Item] = {}
    notices = []
    for id in (id for id, count in counts.items() if count > 1):
        same = sorted((i for i in items if i.identity.student_id == id), key=_arrival)
        for item, own in zip(same, _free_ids(id, len(same), taken), strict=True):
            numbered[item] = _renamed(item, own, len(same))
        ids = ", ".join(f"{numbered[i].identity.student_id} ({i.source})" for i in same)
        notices.append(
            f"{id}: {len(same)} submissions have this student_id. "
            f"Each is graded and kept by itself: {ids}."
            + (IF_A_CLASS if same[0].identity.platform == "folders" else "")
        )
    return tuple(numbered.get(item, item) for item in items), tuple(notices)


def _with_sources_apart(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Where two have one source, more of the path as it was named."""
    for longer in (lambda path: f"{path.parent.name}/{path.name}", str):
        counts = Counter(item.source for item in items)
        items = tuple(
            item if counts[item.source] == 1 else replace(item, source=longer(item.path))
            for item in items
        )
    return items


def _arrival(item: Item) -> tuple[float, str]:
    received = item.identity.received_at
    return received.timestamp() if received else 0.0, item.source


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


def _renamed(item: Item, own: str, count: int) -> Item:
    was = item.identity
    remark = f"{count} submissions have the student_id {was.student_id}; this one is kept as {own}."
    identity = replace(was, student_id=own, person=was.student_id, remarks=(*was.remarks, remark))
    return replace(item, identity=identity)
