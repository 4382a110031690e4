"""Names inside a submission: refused where they are dangerous, made plain where they are odd.

A name that leaves this file is a tuple of parts that means the same on Linux, macOS and Windows,
stays inside the folder it is written to, and is equal to another one only if it is the same file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from grader.intake.policy import IntakePolicy
from grader.intake.refusal import shown, unsafe_name

Parts = tuple[str, ...]

DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"]
    + [f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"]
)
"""Windows opens a device for these names, with any extension (Microsoft, "Naming Files, Paths,
and Namespaces")."""

JOINERS = "\u200c\u200d"
"""Zero-width joiners: format characters that Indic and Persian names are written with."""

FORBIDDEN_ON_WINDOWS = frozenset('<>:"|?*')

FINDER_ICON = "Icon\r"
"""macOS keeps a folder's picture in a file of this name; the only honest control character."""


def checked_parts(name: str, policy: IntakePolicy) -> Parts:
    """Split a path of the submission into safe parts.

    `.` parts, a trailing slash, and dots or spaces at the end of a part (which Windows drops)
    are repaired; everything else that is not plain is refused.

    Args:
        name: The path as written in the archive or found in the folder, `/` between parts.
        policy: Limits on length and depth.

    Returns:
        The parts, in Unicode NFC, not empty unless the name is only `./`.

    Raises:
        SubmissionRejected: SUBMISSION_UNSAFE_NAME, with the name and what is wrong with it.
    """
    _refuse_wherever_it_leads_out(name)
    stripped = name.removesuffix("/")
    parts = tuple(_checked_part(part, name) for part in stripped.split("/") if part != ".")
    _refuse_over_limits(parts, name, policy)
    return parts


def _refuse_wherever_it_leads_out(name: str) -> None:
    if not name:
        raise unsafe_name("name: expected a relative path. Received: an empty name.")
    if "\\" in name:
        raise unsafe_name(f"{shown(name)}: a name holds a backslash, expected '/' between folders.")
    if name.startswith("/"):
        raise unsafe_name(f"{shown(name)}: an absolute path, expected one inside the submission.")
    if re.match(r"[A-Za-z]:", name):
        raise unsafe_name(f"{shown(name)}: a path with a drive letter, expected a relative one.")


def _checked_part(part: str, name: str) -> str:
    if part == FINDER_ICON:
        return part
    if part == "..":
        raise unsafe_name(f"{shown(name)}: a path that leads out of the submission ('..').")
    plain = unicodedata.normalize("NFC", part).rstrip(". ")
    if not plain:
        raise unsafe_name(f"{shown(name)}: a folder without a name in the path.")
    for character in plain:
        if _is_invisible(character):
            raise unsafe_name(
                f"{shown(name)}: the name holds the invisible character U+{ord(character):04X}."
            )
    if plain.split(".")[0].rstrip().casefold() in DEVICES:
        raise unsafe_name(
            f"{shown(name)}: {shown(plain)} is the name of a device on Windows.",
            "Give the file another name and repack.",
        )
    return plain


def _is_invisible(character: str) -> bool:
    """Controls, direction overrides, line separators, halves of surrogate pairs."""
    if character in JOINERS:
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _refuse_over_limits(parts: Parts, name: str, policy: IntakePolicy) -> None:
    longest = max((len(part.encode()) for part in parts), default=0)
    shorter = "Use shorter names and repack."
    if longest > policy.name_bytes:
        raise unsafe_name(
            f"{shown(name)}: a name of {longest} bytes, expected at most {policy.name_bytes}.",
            shorter,
        )
    whole = len("/".join(parts).encode())
    if whole > policy.path_bytes:
        raise unsafe_name(
            f"{shown(name)}: a path of {whole} bytes, expected at most {policy.path_bytes}.",
            shorter,
        )
    if len(parts) > policy.depth:
        raise unsafe_name(
            f"{shown(name)}: {len(parts)} folders deep, expected at most {policy.depth}.",
            "Use fewer folders and repack.",
        )


def portable(part: str) -> bool:
    """Whether a part can be a file name on Windows as well."""
    return not FORBIDDEN_ON_WINDOWS.intersection(part) and part != FINDER_ICON


def collision_key(parts: Parts) -> Parts:
    """Equal for two paths that some file system takes for one (NFC, case folded)."""
    return tuple(
        unicodedata.normalize("NFC", unicodedata.normalize("NFC", part).casefold())
        for part in parts
    )


def refuse_duplicates(paths: Iterable[tuple[Parts, bool]]) -> None:
    """Refuse paths that are, or on some machine become, the same file.

    Args:
        paths: (parts, whether it is a folder), in any order.

    Raises:
        SubmissionRejected: SUBMISSION_UNSAFE_NAME: a file twice, a file that is also a folder,
            or two names that differ in case or accents only.
    """
    seen: dict[Parts, tuple[Parts, bool]] = {}
    for parts, is_folder in paths:
        for length in range(1, len(parts) + 1):
            head = parts[:length]
            folder = is_folder or length < len(parts)
            known = seen.setdefault(collision_key(head), (head, folder))
            if known != (head, folder) or not (folder or known[0] is head):
                raise _collision(known, head, folder)


def _collision(known: tuple[Parts, bool], head: Parts, folder: bool) -> Exception:
    first, second = "/".join(known[0]), "/".join(head)
    if first != second:
        return unsafe_name(
            f"{shown(first)} and {shown(second)}: two names that are one on some machines.",
            "Rename one of them and repack.",
        )
    if known[1] != folder:
        return unsafe_name(f"{shown(first)}: both a file and a folder have this name.")
    return unsafe_name(f"{shown(first)}: the name is there twice, so it is unclear which counts.")
