"""The two things a submission can come as, a zip and a folder, seen as one list of members."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from grader.errors import Cause, InfrastructureError
from grader.intake import ziplayout
from grader.intake.kinds import ARCHIVE, Fate, clutter, fate
from grader.intake.magic import SNIFFED_BYTES, ZIP_STARTS, kind_of
from grader.intake.paths import Parts, checked_parts, refuse_duplicates
from grader.intake.policy import IntakePolicy
from grader.intake.refusal import bad_archive, shown, size, too_large

CHUNK_BYTES = 2**18
NAME_SURROGATE = 0x20000000
"""In a tag of Windows: this file stands for another one, as links and junctions do."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file or folder as handed in, its name already checked.

    Attributes:
        parts: Path inside the submission, safe.
        is_folder: Whether it is a folder.
        size_bytes: Declared size; only `chunks` knows the true one.
        special: What it is if neither file nor folder, e.g. "a symbolic link".
        renamed: Whether the name was repaired.
        chunks: Opens the content; a piece is at most CHUNK_BYTES long. Raises
            SubmissionRejected where the content is not what was declared.
    """

    parts: Parts
    is_folder: bool
    size_bytes: int
    special: str | None
    renamed: bool
    chunks: Callable[[], Iterator[bytes]]

    @property
    def path(self) -> str:
        """POSIX path inside the submission."""
        return "/".join(self.parts)

    def read(self, limit: int) -> bytes:
        """The first `limit` bytes of the content."""
        found = bytearray()
        for piece in self.chunks():
            found += piece
            if len(found) >= limit:
                break
        return bytes(found[:limit])


def _refuse_collisions(members: tuple[Member, ...]) -> None:
    """Two pictures whose names differ in case only are never written and may stay."""
    refuse_duplicates(
        (member.parts, member.is_folder)
        for member in members
        if not clutter(member.parts)
        and (member.is_folder or fate(member.parts) is not Fate.IGNORED)
    )


# --- zip ----------------------------------------------------------------------------------


def read_archive(path: Path, policy: IntakePolicy) -> bytes:
    """Read a whole zip, so that nobody can change it between two looks.

    Raises:
        SubmissionRejected: Too large, or not a zip; the message names what it is.
        InfrastructureError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(policy.archive_bytes + 1)
    except OSError as error:
        raise _unreadable(error) from error
    if len(data) > policy.archive_bytes:
        raise too_large(
            f"the zip is larger than {size(policy.archive_bytes)}.",
            "Leave data sets and checkpoints out; only one weights file is needed.",
        )
    _refuse_other_kinds(data)
    return data


def _refuse_other_kinds(data: bytes) -> None:
    if data.startswith(ZIP_STARTS):
        return
    kind = kind_of(data[:SNIFFED_BYTES])
    if kind == "an empty file":
        raise bad_archive("the file is empty (0 bytes).", "The upload failed; hand it in again.")
    if kind is None and ziplayout.END_SIGN in data[-ziplayout.END.size - 2**16 :]:
        raise bad_archive("other data stands in front of the zip.")
    raise bad_archive(f"expected a zip. Received: {kind or 'a file of unknown kind'}.")


def from_zip(data: bytes, policy: IntakePolicy) -> tuple[Member, ...]:
    """The members of a zip.

    Args:
        data: The whole archive.
        policy: What it may measure.

    Returns:
        Members in the order of the zip's directory, folders included.

    Raises:
        SubmissionRejected: The zip is broken, ambiguous, unsafe or too large.
    """
    entries = ziplayout.read_layout(data, policy)
    if not entries:
        raise bad_archive("the zip is empty.")
    members = tuple(_zip_member(data, entry, policy) for entry in entries)
    _refuse_collisions(members)
    return members


def _zip_member(data: bytes, entry: ziplayout.Entry, policy: IntakePolicy) -> Member:
    parts = checked_parts(entry.name, policy)
    if entry.is_folder and entry.size_bytes:
        raise bad_archive(f"{shown(entry.name)}: a folder that has content of its own.")
    if not parts and not entry.is_folder:
        raise bad_archive("the zip holds a file without a name.")
    return Member(
        parts=parts,
        is_folder=entry.is_folder,
        size_bytes=entry.size_bytes,
        special=entry.special,
        renamed="/".join(parts) != entry.name.removesuffix("/").removeprefix("./"),
        chunks=partial(ziplayout.contents, data, entry),
    )


# --- folder -------------------------------------------------------------------------------


def from_folder(root: Path, policy: IntakePolicy) -> tuple[Member, ...]:
    """The members of a folder; clutter is named but not entered, links are never followed.

    Args:
        root: The folder.
        policy: What it may measure.

    Returns:
        Members sorted by path.

    Raises:
        SubmissionRejected: Unsafe names, too many files.
        InfrastructureError: It cannot be read.
    """
    try:
        members = tuple(_walk(root, (), policy, [0]))
    except OSError as error:
        raise _unreadable(error) from error
    _refuse_collisions(members)
    return tuple(sorted(members, key=lambda member: member.parts))


def _walk(folder: Path, above: Parts, policy: IntakePolicy, count: list[int]) -> Iterator[Member]:
    with os.scandir(folder) as scan:
        for item in scan:
            count[0] += 1
            if count[0] > policy.entries:
                raise too_large(
                    f"the folder holds more than {policy.entries} files.",
                    "Leave virtual environments, caches and data sets out.",
                )
            if item.name == ARCHIVE and len(above) < 2:
                continue  # the last `grade pack` left it here; in a zip it would be refused
            member = folder_member(item, above, policy)
            yield member
            if member.is_folder and not clutter(member.parts):
                yield from _walk(Path(item.path), (*above, item.name), policy, count)


def folder_member(item: os.DirEntry[str], above: Parts, policy: IntakePolicy) -> Member:
    """One entry of a folder.

    Args:
        item: As `os.scandir` gives it.
        above: The folders above, below the root.
        policy: What a name may measure.

    Raises:
        SubmissionRejected: Its name is unsafe.
        OSError: It vanished.
    """
    name = "/".join((*above, item.name))
    return _on_disk(Path(item.path), name, item.stat(follow_symlinks=False), policy)


def from_files(files: Sequence[tuple[str, Path]], policy: IntakePolicy) -> tuple[Member, ...]:
    """The members that loose files make, such as a platform gives for an upload without a zip.

    Args:
        files: Name in the submission, where it lies.
        policy: What it may measure.
    """
    try:
        members = tuple(_on_disk(path, name, os.lstat(path), policy) for name, path in files)
    except OSError as error:
        raise _unreadable(error) from error
    _refuse_collisions(members)
    return members


def _on_disk(path: Path, name: str, info: os.stat_result, policy: IntakePolicy) -> Member:
    parts = checked_parts(name, policy)
    return Member(
        parts=parts,
        is_folder=stat.S_ISDIR(info.st_mode),
        size_bytes=info.st_size if stat.S_ISREG(info.st_mode) else 0,
        special=_special(path, info),
        renamed="/".join(parts) != name,
        chunks=partial(_file_chunks, path, name, info.st_size),
    )


def _stands_for_another(info: os.stat_result) -> bool:
    """Whether Windows follows it elsewhere, as it does with junctions.

    OneDrive gives every file that it keeps a mark of the same kind; that is the file itself.
    """
    reparse = getattr(info, "st_file_attributes", 0) & ziplayout.REPARSE_POINT
    tag = getattr(info, "st_reparse_tag", 0)
    return bool(reparse) and (tag == 0 or bool(tag & NAME_SURROGATE))


def _special(path: Path, info: os.stat_result) -> str | None:
    if stat.S_ISLNK(info.st_mode) or _stands_for_another(info):
        return "a symbolic link"
    if stat.S_ISDIR(info.st_mode):
        return None
    if not stat.S_ISREG(info.st_mode):
        return "a device, pipe or socket"
    # A second name for a file of somebody else would carry that file into the sandbox.
    if info.st_nlink > 1 and info.st_uid != os.stat(path.parent).st_uid:
        return "a hard link to another user's file"
    return None


def _file_chunks(path: Path, name: str, declared: int) -> Iterator[bytes]:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise _unreadable(error) from error
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise bad_archive(f"{shown(name)}: the file changed while it was read.", "Try again.")
        count = 0
        while piece := file.read(CHUNK_BYTES):
            count += len(piece)
            if count > declared:
                break
            yield piece
        if count != declared:
            raise bad_archive(f"{shown(name)}: the file changed while it was read.", "Try again.")


def _unreadable(error: OSError) -> InfrastructureError:
    return InfrastructureError(
        Cause.INFRA_DISK,
        f"a submission cannot be read: {error.strerror or error}",
        "Check that the file still exists and that you may read it.",
    )


# --- identity -----------------------------------------------------------------------------


def folder_sha256(files: tuple[tuple[str, str], ...]) -> str:
    """Name a folder by its content: the sha256 of its (path, sha256 of content) in order.

    Args:
        files: Relative POSIX path and hex digest of each file that counts.

    Returns:
        Hex digest; the same wherever and whenever the folder was written.
    """
    whole = hashlib.sha256(b"densenet-grader folder 1\n")
    for path, digest in sorted(files):
        whole.update(f"{digest} {len(path.encode())} {path}\n".encode())
    return whole.hexdigest()
