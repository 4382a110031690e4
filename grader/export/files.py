"""Writing a file so that a reader sees the old content or the new one, never a part."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from grader.errors import Cause, InfrastructureError, UsageError


def write_atomically(file: Path, content: bytes) -> None:
    """Write through a temporary file beside it, flushed to the disk, then renamed.

    What is no regular file (/dev/stdout, a named pipe) is written to directly. A symbolic link is
    followed, so that the file it names is replaced and not the link.

    Args:
        file: Where; its folder is created.
        content: All bytes of it.

    Raises:
        UsageError: The place cannot be written to.
        InfrastructureError: The disk failed or is full.
    """
    try:
        if file.exists() and not file.is_file():
            _write_directly(file, content)
        else:
            _replace(file.resolve(), content)
    except (PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise UsageError(f"{file}: cannot be written ({error.strerror}).") from error
    except OSError as error:
        raise InfrastructureError(
            Cause.INFRA_DISK, f"{file}: cannot be written: {error}", "Free space on that disk."
        ) from error


def _write_directly(file: Path, content: bytes) -> None:
    with file.open("wb") as stream:
        stream.write(content)


def _replace(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes the file private; grades keep the mode that the file had, or stay so.
        if file.exists():
            os.chmod(name, file.stat().st_mode & 0o777)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system can (Windows opens no folders)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
