"""One submission in, one clean tree out, or one reason why not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from grader.domain import RECIPE, ReceivedFrom, Submission, SubmittedFile
from grader.errors import UsageError
from grader.intake import magic
from grader.intake.items import SOURCE_LENGTH, Item, named
from grader.intake.kinds import is_weights
from grader.intake.layout import Layout, lay_out
from grader.intake.members import (
    Member,
    folder_sha256,
    from_files,
    from_folder,
    from_zip,
    read_archive,
)
from grader.intake.names import Identity
from grader.intake.notebook import convert
from grader.intake.policy import DEFAULT, IntakePolicy
from grader.intake.refusal import bad_archive, listed, missing_file, shown, too_large
from grader.intake.text import as_utf8
from grader.intake.working import Scope, what_counts
from grader.intake.writing import new_tree, write_file


def collect(
    what: Item | Path,
    dest: Path,
    *,
    policy: IntakePolicy = DEFAULT,
    zone: tzinfo | None = None,
    scope: Scope = Scope.HANDED_IN,
) -> Submission:
    """Take in a zip or a folder: check it, hash it, write a clean tree of it.

    Args:
        what: What was found, or the path alone: a zip, or a folder with densenet.py or
            densenet.ipynb (or one folder with them).
        dest: Folder of the rewritten tree; must not exist or be empty. After a refusal nothing
            is left there.
        policy: What a submission may measure.
        zone: Zone of local times in a learning platform's file names (the assignment's), for a
            path alone.
        scope: How much of a folder counts; a zip is taken as a whole.

    Returns:
        The submission. `received_at` is the platform's time, or the file's own with
        `received_from` "file-time", which is weak.

    Raises:
        SubmissionRejected: There is nothing to grade; says what was found and how to repack.
        InfrastructureError: The disk failed.
        UsageError: The path does not exist.
    """
    item = what if isinstance(what, Item) else named(what, zone)
    identity, path = item.identity, item.path
    left: tuple[str, ...] = ()
    if item.files:
        data, members = None, from_files(item.files, policy)
    elif path.is_dir():
        data = None
        if scope is Scope.HANDED_IN:
            members = from_folder(path, policy)
        else:
            policy = policy.model_copy(update={"own_folder": True})
            members, left = what_counts(path, policy, scope)
    elif path.is_file():
        data = read_archive(path, policy)
        members = from_zip(data, policy)
        _verify(members, policy)
    else:
        raise UsageError(
            f"{shown(str(path))}: expected a zip or a folder. Received: nothing of that name."
        )
    layout = lay_out(members, policy)
    with new_tree(dest) as tree:
        files, remarks = _write(layout, tree, policy)
        sha256 = hashlib.sha256(data).hexdigest() if data is not None else _identity_of(files)
    received_at, received_from = _received(identity, path, policy)
    return Submission(
        student_id=identity.student_id,
        person=identity.person,
        known_as=identity.known_as,
        source=shown(item.source, SOURCE_LENGTH),
        sha256=sha256,
        root=str(dest.resolve()),
        files=files,
        weights=layout.weights,
        recipe=layout.recipe,
        received_at=received_at,
        received_from=received_from,
        doubt=identity.doubt,
        remarks=(*identity.remarks, *left, *layout.remarks, *remarks),
    )


def _verify(members: Iterable[Member], policy: IntakePolicy) -> None:
    """Decompress every member of a zip once: a zip is good as a whole or not at all.

    The headers' sum is within the policy, and no member gives more than its header says, so this
    is bounded however the headers lie.
    """
    count = 0
    for member in members:
        for piece in member.chunks():
            count += len(piece)
            if count > policy.total_bytes:
                raise too_large("the zip unpacks to more than it declares.", "Repack it.")


def _write(
    layout: Layout, tree: Path, policy: IntakePolicy
) -> tuple[tuple[SubmittedFile, ...], tuple[str, ...]]:
    remarks: tuple[str, ...] = ()
    files = []
    for member in layout.files:
        remarks += _looked_at(member, policy)
        if _is_text(member.path) or member.path in policy.data_files:
            file, noticed = _write_text(member, tree, policy)
            remarks += noticed
        else:
            limit = policy.weights_bytes if is_weights(member.path) else policy.file_bytes
            file = write_file(tree, member.path, member.chunks(), limit)
        files.append(file)
    if layout.notebook:
        book = layout.notebook.parts[-1]
        module = policy.module or f"{book.removesuffix('.ipynb')}.py"
        content = layout.notebook.read(policy.notebook_bytes + 1)
        if len(content) > policy.notebook_bytes:
            raise too_large(f"{shown(book)}: the file is too large.", "Clear its outputs.")
        converted = convert(content, policy.model_copy(update={"module": module}))
        written = {module: converted.source, **converted.data}
        there = {file.path for file in files}
        for name in written.keys() - there:
            text = written[name].encode("utf-8", "replace")
            files.append(write_file(tree, name, [text], policy.file_bytes))
        remarks += (f"{shown(module)} was read from {shown(book)}.", *converted.remarks)
    return tuple(sorted(files, key=lambda file: file.path)), remarks


def _is_text(path: str) -> bool:
    return path == RECIPE or path.casefold().endswith(".py")


def _write_text(
    member: Member, tree: Path, policy: IntakePolicy
) -> tuple[SubmittedFile, tuple[str, ...]]:
    """Write a text file as UTF-8, whatever its editor saved it as."""
    content, encoding = as_utf8(member.read(policy.file_bytes + 1))
    file = write_file(tree, member.path, [content], policy.file_bytes)
    if encoding is not None:
        name = shown(member.path)
        return file, (f"{name} is saved as {encoding}. It was read; save it as UTF-8.",)
    if member.path == RECIPE and b"\0" in content[: magic.SNIFFED_BYTES]:
        return file, (f"{RECIPE} is not a text file.",)
    return file, ()


def _looked_at(member: Member, policy: IntakePolicy) -> tuple[str, ...]:
    """Look at a file's first bytes: refuse archives in disguise, remark on broken weights."""
    head = member.read(magic.SNIFFED_BYTES)
    if is_weights(member.path):
        return _remark_on_weights(member.path, head)
    if magic.is_archive(head):
        raise bad_archive(
            f"{shown(member.path)}: expected text. Received: {magic.kind_of(head)}.",
            "Unpack it and put the files themselves into the zip.",
        )
    if member.path == policy.module and not head.strip():
        raise missing_file(
            f"{policy.module}: expected Python code. Received: an empty file.",
            f"Save the file in your editor{policy.and_repack}.",
        )
    return ()


def _remark_on_weights(path: str, head: bytes) -> tuple[str, ...]:
    zipped = path.casefold().endswith(".keras")
    good = head.startswith(magic.ZIP_STARTS if zipped else magic.HDF5_START)
    if good:
        return ()
    expected = "a Keras file" if zipped else "an HDF5 file"
    kind = magic.kind_of(head) or "something else"
    return (f"{listed([path])}: expected {expected}. Received: {kind}.",)


def _identity_of(files: tuple[SubmittedFile, ...]) -> str:
    return folder_sha256(tuple((file.path, file.sha256) for file in files))


def _received(
    identity: Identity, path: Path, policy: IntakePolicy
) -> tuple[datetime | None, ReceivedFrom | None]:
    if identity.received_at is not None or identity.doubt or identity.in_time:
        return identity.received_at, identity.received_from
    places = [_timed(each, policy) for each in (path, *identity.later)]
    try:
        earliest = min(place.stat().st_mtime for place in places)
        return datetime.fromtimestamp(earliest, UTC), "file-time"
    except (OSError, OverflowError, ValueError):
        return None, None


def _timed(path: Path, policy: IntakePolicy) -> Path:
    """What of a submission has the time of its being saved."""
    return path if path.is_file() else next(iter(_modules(path, policy)), path)


def _modules(folder: Path, policy: IntakePolicy) -> list[Path]:
    """A folder's own time changes with any look at it; that of its module is the better one."""
    there = [*sorted(folder.glob("*")), *sorted(folder.glob("*/*"))]
    if policy.module:
        names = (policy.module, policy.notebook)
        there = [folder / name for name in names]
        there += [each for name in names for each in sorted(folder.glob(f"*/{name}"))]
    files = [f for f in there if policy.is_module(f.name) and f.is_file() and not f.is_symlink()]
    return files if policy.module else sorted(files, key=lambda f: -f.stat().st_mtime)
