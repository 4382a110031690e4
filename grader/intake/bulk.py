"""A learning platform's one big zip, unpacked into a folder of submissions.

The zip is the instructor's, but names and files in it are the students'. So names are checked, no
link is followed, each file is bounded by what a submission may measure, and what is left out is
named. Archives in it are written as they are: intake opens them, each by itself.
"""

from __future__ import annotations

import os
import shutil
import stat
import struct
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path, PurePosixPath

from grader.errors import UsageError
from grader.intake.attempts import attempt_of
from grader.intake.exports import SAKAI_FILES, voted
from grader.intake.gradescope import METADATA
from grader.intake.items import is_everybodys
from grader.intake.kinds import clutter, is_archive
from grader.intake.looking import HANDED_IN, NOT_HANDED_IN
from grader.intake.names import SUBMITTED, Platform, are_of_google, own_part
from grader.intake.policy import IntakePolicy
from grader.intake.refusal import shown, size
from grader.intake.times import SUBMIT_TIMESTAMP

MOST_ENTRIES = 200_000
PART_BYTES = 255
"""Of one part of a path; file systems take no more."""
FREE_BYTES = 2**30
"""What stays free on the disk."""
CHUNK_BYTES = 2**20
_UNIX_TIME = 0x5455
_NO_TIME = (1980, 1, 1, 0, 0, 0)
"""What stands in a zip whose maker gave no time."""

Parts = tuple[str, ...]


@dataclass(frozen=True)
class Unpacked:
    """What came out of a class's zip.

    Attributes:
        folder: Of the submissions.
        left_out: Names of what was not written.
    """

    folder: Path
    left_out: tuple[str, ...]


def holds_a_class(file: Path, policy: IntakePolicy, platform: Platform | None = None) -> bool:
    """Whether a zip holds the submissions of a class, rather than one submission.

    Only the names in it tell. A platform's own names do; without them it takes several archives, or
    three folders with a module, and nothing of a submission beside them.

    Args:
        file: Any file.
        policy: Names the module.
        platform: What the command line says of the names.
    """
    if platform == "files" or file.is_dir() or own_part((file.name,)) is not None:
        return False
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False
    if len(infos) > MOST_ENTRIES:
        return False
    files = [parts for info in infos if not info.is_dir() and (parts := _parts(_name(info)))]
    if _repositories(files) > 1:
        return True
    files = [parts for parts in files if not clutter(parts) and not _hidden(parts)]
    return _is_class(files, policy, may_be_plain=not is_everybodys(file.name) or bool(platform))


def _is_class(files: Sequence[Parts], policy: IntakePolicy, *, may_be_plain: bool) -> bool:
    if not files or any(len(parts) == 1 and policy.is_module(parts[0]) for parts in files):
        return False
    if {parts[0].casefold() for parts in files} == {HANDED_IN, NOT_HANDED_IN}:
        files = [parts for parts in files if parts[0].casefold() == HANDED_IN]
    tops = sorted({parts[0] for parts in files})
    files_at_top = {parts[0] for parts in files if len(parts) == 1}
    if METADATA in files_at_top or any(SAKAI_FILES in parts[1:3] for parts in files):
        return True
    if len(tops) == 1 and not files_at_top:
        part = own_part((tops[0],))
        if part is not None and part.platform in ("moodle", "brightspace"):
            return True
        if tops[0] == SUBMITTED:
            return any(len(parts) > 3 for parts in files)
        below = [parts[1:] for parts in files]
        return _is_class(below, policy, may_be_plain=may_be_plain)
    submitted = [top for top in tops if top not in files_at_top or _could_be_submitted(top)]
    if voted([(top,) for top in submitted]) or are_of_google(sorted(files_at_top)):
        return True
    return may_be_plain and _is_plain_class(files, files_at_top, policy)


def _is_plain_class(files: Sequence[Parts], at_top: set[str], policy: IntakePolicy) -> bool:
    """Archives or modules side by side, or a folder for each student with one of these."""
    if policy.module and sum(name.endswith(policy.module) for name in at_top) > 2:
        return True  # jan_densenet.py, mia_densenet.py
    if any(_could_be_submitted(name) and not is_archive(name) for name in at_top):
        return False
    found = _as_attempts(files)
    archives = {p[0] for p in found if len(p) in (1, 2) and is_archive(p[-1])}
    modules = {p[0] for p in found if len(p) in (2, 3) and policy.is_module(p[-1])}
    return len(archives) >= 2 or len(modules | archives) >= 3


def _as_attempts(files: Sequence[Parts]) -> list[Parts]:
    """The paths without the folders of attempts, and without one of the assignment above these."""
    bare = [(p[0], *(q for q in p[1:-1] if not attempt_of(Path(q))), p[-1]) for p in files if p[1:]]
    between = {p[1] for p in bare if len(p) > 2}
    if len(between) == 1 and len({p[0] for p in bare}) > 1:
        bare = [(p[0], *p[2:]) if len(p) > 2 else p for p in bare]
    return [*bare, *(p for p in files if not p[1:])]


def _could_be_submitted(name: str) -> bool:
    return is_archive(name) or name.casefold().endswith((".py", ".ipynb", ".h5", ".keras", ".toml"))


# --- unpacking ----------------------------------------------------------------------------


def unpack(file: Path, scratch: Path, policy: IntakePolicy, zone: tzinfo | None) -> Unpacked:
    """Write the submissions of a class's zip into a folder.

    Args:
        file: The zip.
        scratch: Where; it is the caller's to remove.
        policy: What one file may measure.
        zone: The assignment's, in which the zip's clock times are taken.

    Raises:
        UsageError: It cannot be read, or the disk has no room for it.
    """
    folder = scratch / file.stem
    folder.mkdir(parents=True)
    most = max(policy.archive_bytes, policy.weights_bytes, policy.total_bytes) + 1
    left: list[str] = []
    try:
        with zipfile.ZipFile(file) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            _require_room(file, scratch, sum(min(info.file_size, most) for info in infos))
            for info in infos:
                if not _write(archive, info, folder, most, zone, file):
                    left.append(_name(info))
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise UsageError(f"{shown(str(file))}: cannot be unpacked: {error}.") from error
    tops = [child for child in folder.iterdir() if not child.name.startswith(".")]
    if len(tops) == 1 and tops[0].is_dir() and tops[0].name == SUBMITTED:
        folder = tops[0]
    return Unpacked(folder, tuple(left))


def _require_room(file: Path, scratch: Path, wanted: int) -> None:
    free = shutil.disk_usage(scratch).free - FREE_BYTES
    if wanted > free:
        raise UsageError(
            f"{shown(str(file))}: it unpacks to {size(wanted)}, and {scratch} has room for "
            f"{size(max(free, 0))}. Set TMPDIR to a folder with more room, or unpack it there."
        )


def _write(
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    folder: Path,
    most: int,
    zone: tzinfo | None,
    file: Path,
) -> bool:
    """Write one file; False for what is left out and has to be named."""
    parts = _parts(_name(info))
    if parts is None or stat.S_ISLNK(info.external_attr >> 16) or info.flag_bits & 1:
        return False
    if ".git" in parts:  # by which GitHub Classroom's repositories are known; what is in it is not
        folder.joinpath(*parts[: parts.index(".git") + 1]).mkdir(parents=True, exist_ok=True)
        return True
    if clutter(parts) or (_hidden(parts) and not {".github", SUBMIT_TIMESTAMP} & set(parts)):
        return True
    place = folder.joinpath(*parts)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as stream:
            for piece in _pieces(archive, info, most):
                stream.write(piece)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        return False
    except (zipfile.BadZipFile, NotImplementedError, EOFError):
        return True  # a broken file is its student's; what was read of it is there
    moment = _time_of(info, zone)
    when = moment if moment is not None else file.stat().st_mtime
    os.utime(place, (when, when))
    return True


def _pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> Iterator[bytes]:
    """Its content, one byte longer than allowed at most: intake then says that it is too large."""
    with archive.open(info) as stream:
        while most > 0 and (piece := stream.read(min(CHUNK_BYTES, most))):
            most -= len(piece)
            yield piece


def _name(info: zipfile.ZipInfo) -> str:
    """A member's name; many programs write UTF-8 without saying so."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _parts(name: str) -> Parts | None:
    """The parts of a safe relative path; None for any other."""
    plain = name.replace("\\", "/")
    parts = PurePosixPath(plain).parts
    unsafe = plain.startswith("/") or not parts or ".." in parts or "\0" in plain
    too_long = any(len(part.encode("utf-8", "surrogatepass")) > PART_BYTES for part in parts)
    return None if unsafe or too_long or any("\ud800" <= c <= "\udfff" for c in plain) else parts


def _hidden(parts: Parts) -> bool:
    return any(part.startswith(".") for part in parts)


def _repositories(files: Sequence[Parts]) -> int:
    signs = (".git", ".github")
    return len({p[: p.index(sign)] for p in files for sign in signs if sign in p[1:3]})


def _time_of(info: zipfile.ZipInfo, zone: tzinfo | None) -> float | None:
    """When the file was changed: its instant where the zip has it, else its clock time."""
    extra = info.extra
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        if kind == _UNIX_TIME and length >= 5 and extra[4] & 1:
            return float(struct.unpack("<i", extra[5:9])[0])
        extra = extra[4 + length :]
    if info.date_time == _NO_TIME:
        return None
    try:
        return datetime(*info.date_time, tzinfo=zone).timestamp()
    except (ValueError, OverflowError):
        return None
