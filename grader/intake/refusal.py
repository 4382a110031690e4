"""How intake says no: a cause, what was found, how to repack. Nothing of this machine in it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from grader.errors import Cause, SubmissionRejected

REPACK = (
    "Run `grade pack` in the folder with densenet.py, or make a new zip of that folder with "
    "your system's own compress command, and hand that in."
)
LISTED = 5
"""How many names a message lists before it counts the rest."""


def shown(text: str, limit: int = 80) -> str:
    r"""A student's text made fit for one line of a message.

    Control, format and line-breaking characters become `\u` escapes, so that no terminal acts
    on them and no two names look the same.

    Args:
        text: Hostile text, usually a file name.
        limit: Longest result, characters; longer text loses its middle.

    Returns:
        Printable text without line breaks.
    """
    if len(text) > 4 * limit:
        text = text[: 2 * limit] + "…" + text[-2 * limit :]
    safe = "".join(c if _is_printable(c) else ascii(c)[1:-1] for c in text)
    if len(safe) <= limit:
        return safe
    keep = (limit - 1) // 2
    return f"{safe[:keep]}…{safe[-keep:]}"


def _is_printable(character: str) -> bool:
    return character == " " or unicodedata.category(character)[0] not in "CZ"


def listed(names: Sequence[str], most: int = LISTED) -> str:
    """The first few names, quoted by commas, and how many more there are."""
    head = ", ".join(shown(name) for name in names[:most])
    rest = len(names) - most
    return f"{head} and {rest} more" if rest > 0 else head


def size(count: int) -> str:
    """A size a person reads: "512 bytes", "1.5 MiB"."""
    if count < 1024:
        return f"{count} bytes" if count != 1 else "1 byte"
    value = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024
        if value < 1024:
            return f"{value:.1f} {unit}"
    return f"{value / 1024:.1f} PiB"


def bad_archive(message: str, help: str = REPACK) -> SubmissionRejected:
    """The container is broken, ambiguous or of the wrong kind."""
    return SubmissionRejected(Cause.SUBMISSION_BAD_ARCHIVE, message, help)


def too_large(message: str, help: str) -> SubmissionRejected:
    """More than the policy allows."""
    return SubmissionRejected(Cause.SUBMISSION_TOO_LARGE, message, help)


def unsafe_name(message: str, help: str = REPACK) -> SubmissionRejected:
    """A name that means something else on another machine, or leads out of the folder."""
    return SubmissionRejected(Cause.SUBMISSION_UNSAFE_NAME, message, help)


def missing_file(message: str, help: str) -> SubmissionRejected:
    """What must be there is not where it must be."""
    return SubmissionRejected(Cause.SUBMISSION_MISSING_FILE, message, help)


def bad_notebook(message: str, help: str) -> SubmissionRejected:
    """densenet.ipynb cannot be read as a notebook of Python cells."""
    return SubmissionRejected(Cause.SUBMISSION_BAD_NOTEBOOK, message, help)
