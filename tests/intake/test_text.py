"""Sources are read in whatever encoding an editor saved them; nothing else about them changes."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.intake.text import as_utf8

TEXT = "# é, written by an editor\r\nx = 'é'\n"


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), "UTF-16"),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "UTF-16"),
        (TEXT.encode("utf-16-le"), "UTF-16-LE"),
        (TEXT.encode("utf-16-be"), "UTF-16-BE"),
        (codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), "UTF-32"),
        (TEXT.encode("latin-1"), "cp1252"),
        ("x = 'é\x81'".encode("latin-1"), "latin-1"),
    ],
)
def test_what_no_python_reads_is_read_and_its_encoding_named(content, encoding):
    read, named = as_utf8(content)

    assert named == encoding
    assert read.decode("utf-8") == content.decode(encoding)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
        b"#!/usr/bin/python\n# vim: set fileencoding=koi8-r :\nx = '\xe9'\n",
        b"a picture \0\0\xff\xfe of some kind",
        codecs.BOM_UTF16_LE + b"\0\xd8\0",
    ],
    ids=["nothing", "UTF-8", "with a mark", "names its own", "on line 2", "no text", "half of one"],
)
def test_what_python_reads_by_itself_or_nobody_can_read_is_left_as_it_is(content):
    assert as_utf8(content) == (content, None)


@given(st.text())
def test_utf_8_is_never_touched(text):
    content = text.encode("utf-8", "replace")

    read, named = as_utf8(content)

    assert named in (None, "UTF-16", "UTF-16-LE", "UTF-16-BE")
    assert named is not None or read == content
