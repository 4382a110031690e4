"""The course key: 32 random bytes that only the grader's side has.

Hidden probes are drawn from it and records are sealed with it. Whoever reads it can predict the
one and forge the other, so it never enters a sandbox, a report or a log; its id, which stands in
every grade, is a digest that does not give it away.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from grader.errors import UsageError
from grader.ledger.durable import disk_error

KEY_BYTES = 32
ENVIRONMENT = "GRADER_KEY_FILE"
"""Names another place for the key."""

_FORMAT = re.compile(rb"[0-9a-f]{64}\s*")


@dataclass(frozen=True)
class CourseKey:
    """The key of a course.

    Attributes:
        secret: KEY_BYTES bytes; never shown, not even by repr.
        id: 16 hex digits that name the key without showing it.
    """

    secret: bytes = field(repr=False)
    id: str

    @classmethod
    def of(cls, secret: bytes) -> CourseKey:
        """The key with its id.

        Raises:
            ValueError: Fewer than KEY_BYTES bytes.
        """
        if len(secret) < KEY_BYTES:
            raise ValueError(f"key: expected {KEY_BYTES} bytes. Received: {len(secret)}")
        return cls(secret, hashlib.sha256(b"densenet-grader key id\0" + secret).hexdigest()[:16])

    def derive(self, sha256: str, purpose: str) -> bytes:
        """32 bytes that depend on the key, a submission and what they are for.

        Args:
            sha256: Hex digest of the submission, or another name of what they belong to.
            purpose: One word per use, so that no use tells anything about another.

        Returns:
            HMAC-SHA256 of purpose and name under the key.
        """
        message = b"densenet-grader\0" + purpose.encode() + b"\0" + sha256.encode()
        return hmac.digest(self.secret, message, "sha256")


def default_key_path() -> Path:
    """$GRADER_KEY_FILE, else densenet-grader/course.key in the user's configuration folder.

    Raises:
        UsageError: There is no home folder to look in.
    """
    if named := os.environ.get(ENVIRONMENT):
        return Path(named)
    try:
        home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    except RuntimeError as error:
        raise UsageError(f"course key: no home folder; set {ENVIRONMENT} to a file.") from error
    return Path(home) / "densenet-grader" / "course.key"


def load_key(path: Path | None = None) -> CourseKey | None:
    """Read the course key; None where this machine has none. Makes and changes nothing.

    Args:
        path: Where it is; `default_key_path()` if None.

    Raises:
        UsageError: The file is there but holds no key.
        InfrastructureError: INFRA_DISK: it cannot be read.
    """
    place = path if path is not None else default_key_path()
    try:
        content = place.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_error("the course key", error) from error
    return _key_in(place, content)


def key_to_read() -> CourseKey:
    """This machine's course key, or where there is none one that has sealed nothing."""
    return load_key() or CourseKey.of(bytes(KEY_BYTES))


def load_or_create_key(path: Path | None = None) -> CourseKey:
    """Read the course key; make one, mode 0600, where there is none.

    Two processes that make it at the same moment end up with the same one.

    Args:
        path: Where it is; `default_key_path()` if None.

    Returns:
        The key.

    Raises:
        UsageError: The file is there but holds no key.
        InfrastructureError: INFRA_DISK: it can be neither read nor made.
    """
    place = path if path is not None else default_key_path()
    try:
        if not place.exists():
            _create(place)
        _close_to_others(place)
        content = place.read_bytes()
    except OSError as error:
        raise disk_error("the course key", error) from error
    return _key_in(place, content)


def _key_in(place: Path, content: bytes) -> CourseKey:
    if not _FORMAT.fullmatch(content):
        raise UsageError(
            f"{place}: expected a course key (64 hexadecimal digits). Received: something else. "
            "Restore it from a backup: another key means other probes."
        )
    return CourseKey.of(bytes.fromhex(content.decode().strip()))


def _create(place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(prefix=".key-", dir=place.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_hex(KEY_BYTES).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, never replaces the key another process has just made.
        with contextlib.suppress(FileExistsError):
            os.link(name, place)
    finally:
        os.unlink(name)


def _close_to_others(place: Path) -> None:
    """Take away what others may do; a read-only secret of a container platform stays as it is."""
    if stat.S_IMODE(place.stat().st_mode) & 0o077:
        with contextlib.suppress(OSError):
            place.chmod(0o600)
