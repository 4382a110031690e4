"""Text as people save it, as Python and TOML read it: UTF-8.

The file is hostile: no encoding that it names itself is taken, since Python's codecs do more than
read letters. One that names its encoding in the way of PEP 263 is left to Python in the sandbox.
"""

from __future__ import annotations

import codecs
import re

_MARKS = (  # that of UTF-32 begins like that of UTF-16
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_NAMES_ITS_ENCODING = re.compile(rb"\A(?:[^\n]*\n)?[ \t\f]*#[^\n]*?coding[:=][ \t]*[-\w.]+")
_LOOKED_AT = 512


def as_utf8(content: bytes) -> tuple[bytes, str | None]:
    """A text file's bytes as UTF-8.

    Args:
        content: As it was saved.

    Returns:
        The bytes, and the encoding that they were read from; None where they are as they were:
        UTF-8, with or without a mark, or nothing that could be read as text.
    """
    encoding = _encoding(content)
    if encoding is None:
        return content, None
    try:
        return content.decode(encoding).encode("utf-8"), encoding
    except UnicodeError:
        return content, None


def _encoding(content: bytes) -> str | None:
    for mark, name in _MARKS:
        if content.startswith(mark) and content != mark:
            return name
    head = content[:_LOOKED_AT]
    if b"\0" in head:
        return _without_mark(head)
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return None if _NAMES_ITS_ENCODING.match(head) else _of_one_byte(content)
    return None


def _without_mark(head: bytes) -> str | None:
    """Which UTF-16 has nothing but zeros in every other byte of code, which is ASCII mostly."""
    for name, zeros, letters in (
        ("UTF-16-LE", head[1::2], head[::2]),
        ("UTF-16-BE", head[::2], head[1::2]),
    ):
        if zeros.count(0) > 0.9 * len(zeros) and 0 not in letters:
            return name
    return None


def _of_one_byte(content: bytes) -> str:
    try:
        content.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"
