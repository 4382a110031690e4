"""The tree is written by us: our names, our modes, all of it or nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from grader import files
from grader.domain import SubmittedFile
from grader.errors import Cause, InfrastructureError
from grader.intake.refusal import shown, too_large

FILE_MODE = 0o644
FOLDER_MODE = 0o755

_CREATE = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)  # fmt: skip
"""Never over another file, never through a link."""


@contextmanager
def new_tree(dest: Path) -> Iterator[Path]:
    """A private folder that becomes `dest` when the block ends well, and vanishes when not.

    Args:
        dest: Must not exist, or be an empty folder.

    Yields:
        The folder to write to; on the same file system, so that the last step is one rename.

    Raises:
        InfrastructureError: INFRA_DISK: `dest` is taken, the disk is full or read-only.
    """
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".intake-", dir=dest.parent))
    except OSError as error:
        raise disk_error(error) from error
    try:
        yield partial
        os.chmod(partial, FOLDER_MODE)
        if dest.is_dir():
            dest.rmdir()
        files.put_in_place(partial, dest)
    except OSError as error:
        raise disk_error(error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_file(tree: Path, path: str, pieces: Iterable[bytes], limit: int) -> SubmittedFile:
    """Write one new file below the tree, counting and hashing as it grows.

    Args:
        tree: The private folder.
        path: Checked relative POSIX path.
        pieces: The content.
        limit: Most bytes it may have.

    Returns:
        What was written.

    Raises:
        SubmissionRejected: More bytes than `limit`.
        InfrastructureError: INFRA_DISK.
    """
    target = tree.joinpath(*path.split("/"))
    digest, count = hashlib.sha256(), 0
    try:
        _make_folders(tree, target.parent)
        with os.fdopen(os.open(target, _CREATE, FILE_MODE), "wb") as file:
            for piece in pieces:
                count += len(piece)
                if count > limit:
                    raise too_large(f"{shown(path)}: the file is too large.", "Leave it out.")
                digest.update(piece)
                file.write(piece)
        os.chmod(target, FILE_MODE)
    except OSError as error:
        raise disk_error(error) from error
    return SubmittedFile(path=path, size_bytes=count, sha256=digest.hexdigest())


def _make_folders(tree: Path, folder: Path) -> None:
    """Make and open them one by one: the umask must not close folders to the sandbox's user."""
    missing = []
    while folder != tree and not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir()
        os.chmod(each, FOLDER_MODE)


def disk_error(error: OSError) -> InfrastructureError:
    """A failure of the grader's own disk, which is never the student's fault."""
    return InfrastructureError(
        Cause.INFRA_DISK,
        f"the submission cannot be unpacked: {error.strerror or error}",
        "Check free space and permissions of the folder that holds runs, then run it again.",
    )
