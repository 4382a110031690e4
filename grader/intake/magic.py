"""What a file is, told from its first bytes, so that a refusal can name it."""

from __future__ import annotations

ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
SPANNED_STARTS = (b"PK\x07\x08", b"PK00PK")
HDF5_START = b"\x89HDF\r\n\x1a\n"
LFS_START = b"version https://git-lfs"
SNIFFED_BYTES = 512

_STARTS = (
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"\x1f\x8b", "a gzip file (.tar.gz)"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"MSCF", "a Windows cabinet"),
    (b"xar!", "a macOS package"),
    *((start, "one part of a split zip") for start in SPANNED_STARTS),
    *((start, "a zip") for start in ZIP_STARTS),
    (b"%PDF", "a PDF document"),
    (HDF5_START, "an HDF5 file"),
    (LFS_START, "a Git LFS pointer, not the file itself"),
    (b"\x7fELF", "a Linux program"),
    (b"MZ", "a Windows program (perhaps a self-extracting archive)"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"bplist00", "a macOS shortcut"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
)
_ARCHIVES = frozenset(
    {
        "a zip",
        "one part of a split zip",
        "a RAR archive",
        "a 7-Zip archive",
        "a bzip2 file",
        "a gzip file (.tar.gz)",
        "an xz file",
        "a Zstandard file",
        "a Windows cabinet",
        "a tar file",
    }
)


def kind_of(head: bytes) -> str | None:
    """Name the kind of a file.

    Args:
        head: Its first SNIFFED_BYTES bytes, or all of a shorter one.

    Returns:
        "a PDF document" and the like; None where nothing is recognised.
    """
    if not head:
        return "an empty file"
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[257:262] == b"ustar":
        return "a tar file"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page, perhaps a log-in or error page saved in place of the file"
    if text.startswith(b"{") and b'"cells"' in text:
        return "a notebook"
    if not any(head):
        return "only zero bytes"
    return None


def is_archive(head: bytes) -> bool:
    """Whether a file is some kind of archive, going by its first bytes."""
    return kind_of(head) in _ARCHIVES
