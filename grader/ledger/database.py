"""The ledger's file: SQLite, opened so that a commit is on the disk when it returns.

The schema is documented in docs/ledger.md. `PRAGMA user_version` is its version; a change of the
schema raises it, and adds a step to `_UPGRADES`.

Write-ahead logging needs memory that all readers and writers share, so it works on a disk of this
machine only. On a network file system SQLite's older journal is used, which needs nothing but
locks.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from grader import files
from grader.domain import LEDGER, LEDGER_APPLICATION_ID
from grader.errors import Cause, InfrastructureError, UsageError
from grader.ledger.durable import disk_error

VERSION = 1
BUSY_S = 60.0
"""How long one that writes waits for another."""
NETWORK = re.compile(
    r"nfs4?|cifs|smb3|smbfs|9p|afs|ceph|glusterfs|lustre|gpfs|beegfs|davfs|virtiofs"
    r"|fuse\.(sshfs|glusterfs|s3fs|gcsfuse|rclone)"
)
"""Types of file systems that other machines may write to at the same time."""

_SCHEMA = """
CREATE TABLE content (
  sha256 TEXT PRIMARY KEY NOT NULL,
  text   TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE event (
  seq               INTEGER PRIMARY KEY NOT NULL,
  kind              TEXT NOT NULL,
  written_at        TEXT NOT NULL,
  student_id        TEXT NOT NULL,
  source            TEXT NOT NULL,
  submission_sha256 TEXT,
  assignment_sha256 TEXT,
  run               TEXT,
  status            TEXT,
  cause             TEXT,
  score             REAL,
  max_score         REAL,
  received_at       TEXT,
  received_from     TEXT,
  grade_sha256      TEXT,
  why               TEXT,
  by_whom           TEXT,
  key_id            TEXT NOT NULL,
  previous          TEXT NOT NULL,
  mac               TEXT NOT NULL
);
CREATE INDEX event_of_student ON event (student_id, seq);
CREATE INDEX event_of_run ON event (run, seq);
CREATE TABLE head (
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  count INTEGER NOT NULL,
  last  TEXT NOT NULL,
  mac   TEXT NOT NULL
);
"""
_UPGRADES: tuple[str, ...] = (_SCHEMA,)
"""What leads from each version to the next."""

_SQLITE_ERRNO = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_NOLFS: errno.EFBIG,
    sqlite3.SQLITE_PROTOCOL: errno.ENOLCK,
}


_OF_LOCKS = (sqlite3.SQLITE_IOERR_LOCK, sqlite3.SQLITE_IOERR_RDLOCK, sqlite3.SQLITE_IOERR_UNLOCK)


@contextmanager
def opened(results_dir: Path, *, to_write: bool) -> Iterator[sqlite3.Connection]:
    """The ledger's file; made where it is missing, if it is to be written.

    Args:
        results_dir: The results folder.
        to_write: Whether to make what is missing. One that only reads gets an empty ledger in
            memory where there is none, and changes nothing.

    Raises:
        UsageError: A later version of the grader wrote it.
        InfrastructureError: INFRA_DISK: it cannot be read or made, or is no ledger.
    """
    with explained(results_dir), contextlib.ExitStack() as stack:
        place = results_dir / LEDGER
        if to_write:
            place = _made(results_dir)
        elif not _has_content(place):
            place = Path(":memory:")
        elif not os.access(results_dir, os.W_OK):
            place = stack.enter_context(_copied(place))
        connection = sqlite3.connect(
            place, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        stack.callback(connection.close)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA synchronous = FULL")
        _upgrade(connection, place)
        if to_write:
            _choose_journal(connection, results_dir)
        _refuse_strange_schema(connection)
        yield connection


def _made(results_dir: Path) -> Path:
    try:
        results_dir.mkdir(parents=True, exist_ok=True)
        place = results_dir / LEDGER
        os.close(os.open(place, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644))
    except OSError as error:
        raise disk_error(LEDGER, error) from error
    return place


def _has_content(place: Path) -> bool:
    try:
        return place.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError as error:
        raise disk_error(LEDGER, error) from error


@contextmanager
def _copied(place: Path) -> Iterator[Path]:
    """A copy to read, where SQLite may not make the files beside it that it needs for reading."""
    with files.scratch("ledger") as folder:
        for end in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{place}{end}", folder / f"{LEDGER}{end}")
        yield folder / LEDGER


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block or nothing; one writer at a time."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _upgrade(connection: sqlite3.Connection, place: Path) -> None:
    if _version(connection) == VERSION:
        return
    with transaction(connection):
        version = _version(connection)
        if version > VERSION:
            raise UsageError(
                f"{place}: written by a later version of the grader (schema {version}, "
                f"expected at most {VERSION}). Use that version."
            )
        for step in _UPGRADES[version:]:
            for statement in filter(str.strip, step.split(";\n")):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {LEDGER_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _choose_journal(connection: sqlite3.Connection, results_dir: Path) -> None:
    mode = "DELETE" if network_file_system(results_dir) else "WAL"
    (now,) = connection.execute("PRAGMA journal_mode").fetchone()
    if str(now).casefold() != mode.casefold():
        connection.execute(f"PRAGMA journal_mode = {mode}")


def _refuse_strange_schema(connection: sqlite3.Connection) -> None:
    """Refuse a file whose tables are not ours, or that would do something by itself."""
    wanted = _objects_of_schema()
    found = {
        (row["type"], row["name"], row["sql"])
        for row in connection.execute("SELECT type, name, sql FROM sqlite_master")
    }
    if wanted - found or any(kind == "trigger" for kind, *_ in found):
        raise foreign_hand(f"the tables of {LEDGER} were changed")


@cache
def _objects_of_schema() -> frozenset[tuple[str, str, str]]:
    with contextlib.closing(sqlite3.connect(":memory:")) as memory:
        for step in _UPGRADES:
            memory.executescript(step)
        rows = memory.execute("SELECT type, name, sql FROM sqlite_master WHERE type = 'table'")
        return frozenset((kind, name, sql) for kind, name, sql in rows)


def network_file_system(folder: Path) -> str | None:
    """The type of the network file system that a folder lies on; None for a disk of this machine.

    Where the system does not say, it is taken for a disk of this machine.
    """
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    whole, best, kind = str(folder.resolve()), "", ""
    for line in lines:
        before, _, after = line.partition(" - ")
        mount = before.split(" ")[4].replace("\\040", " ")
        inside = whole == mount or whole.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, after.split(" ")[0]
    return kind if NETWORK.fullmatch(kind) else None


@contextmanager
def explained(results_dir: Path) -> Iterator[None]:
    """SQLite's errors as ours.

    Args:
        results_dir: Where the file lies.

    Raises:
        InfrastructureError: INFRA_DISK, or INFRA_BUSY where another program holds the file.
    """
    try:
        yield
    except (sqlite3.Error, UnicodeError) as error:  # the second of names in a damaged schema
        raise _ours(error, results_dir) from error


def _ours(error: Exception, results_dir: Path) -> InfrastructureError:
    exact = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    code = sqlite3.SQLITE_PROTOCOL if exact in _OF_LOCKS else exact & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return InfrastructureError(
            Cause.INFRA_BUSY,
            f"{LEDGER} is held by another program",
            "Close the program that has it open (a database browser, another grader), and run "
            "the same command again.",
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
        return foreign_hand(f"{LEDGER} is damaged ({error})")
    if code in _SQLITE_ERRNO:
        number = _SQLITE_ERRNO[code]
        return disk_error(LEDGER, OSError(number, os.strerror(number)))
    return disk_error(LEDGER, _what_the_disk_says(results_dir) or OSError(str(error)))


def _what_the_disk_says(folder: Path) -> OSError | None:
    """Why nothing can be written there; SQLite says no more than "disk I/O error"."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(2**16))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return error
    return None


def foreign_hand(what: str) -> InfrastructureError:
    """The ledger is not what was written; nothing is added to it."""
    return InfrastructureError(
        Cause.INFRA_DISK,
        f"the record of grades does not hold together: {what}",
        "Run `grade verify` on the results folder to see what it is, and use a new folder "
        "with --results until that is cleared up.",
    )
