"""A zip is accepted only when its bytes can mean one thing."""

import io
import re
import zipfile
import zlib

import pytest

from grader.errors import Cause, SubmissionRejected
from grader.intake import ziplayout
from grader.intake.policy import DEFAULT
from tests.intake.zips import (
    MODULE_SOURCE,
    Part,
    deflated,
    descriptor,
    made,
    module,
    zip64_end,
    zip64_field,
)

FULL = 0xFFFFFFFF


def names_and_contents(data: bytes) -> dict[str, bytes]:
    entries = ziplayout.read_layout(data, DEFAULT)
    return {entry.name: b"".join(ziplayout.contents(data, entry)) for entry in entries}


def refusal(data: bytes) -> SubmissionRejected:
    with pytest.raises(SubmissionRejected) as caught:
        names_and_contents(data)
    return caught.value


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_of_the_standard_library_is_read_back(method: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("a/", b"")
        archive.writestr("a/densenet.py", MODULE_SOURCE)
        archive.writestr("a/empty.txt", b"")

    assert names_and_contents(buffer.getvalue()) == {
        "a/": b"",
        "a/densenet.py": MODULE_SOURCE,
        "a/empty.txt": b"",
    }


def test_a_zip_written_to_a_stream_is_read_back() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: object) -> int:
            raise OSError

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("densenet.py", MODULE_SOURCE)
        with archive.open("b.txt", "w", force_zip64=True) as file:
            file.write(b"b")

    assert names_and_contents(pipe.getvalue()) == {"densenet.py": MODULE_SOURCE, "b.txt": b"b"}


@pytest.mark.parametrize("sign", [True, False])
@pytest.mark.parametrize("wide", [True, False])
def test_sizes_behind_the_data_are_read_in_all_four_forms(sign: bool, wide: bool) -> None:
    part = module(flags=8, local_crc=0, local_size=0, local_packed_size=0)
    part.descriptor = descriptor(part, sign=sign, wide=wide)

    assert names_and_contents(made(part)) == {"densenet.py": MODULE_SOURCE}


def test_a_comment_is_no_appended_data() -> None:
    data = made(module(), comment=b"5f2c1b0a9d")

    assert names_and_contents(data) == {"densenet.py": MODULE_SOURCE}


def test_zip64_fields_in_a_small_zip_are_read() -> None:
    size, packed = len(MODULE_SOURCE), len(deflated(MODULE_SOURCE))
    part = module(
        size=FULL,
        packed_size=FULL,
        extra=zip64_field(size, packed),
        local_extra=zip64_field(size, packed),
    )

    assert names_and_contents(made(part)) == {"densenet.py": MODULE_SOURCE}


def test_a_zip64_end_record_is_read() -> None:
    plain = made(module())
    at = plain.index(b"PK\x01\x02")
    size = plain.index(b"PK\x05\x06") - at
    data = made(
        module(),
        before_end=zip64_end(1, size, at),
        end={"here": 0xFFFF, "total": 0xFFFF, "size": FULL, "at": FULL},
    )

    assert names_and_contents(data) == {"densenet.py": MODULE_SOURCE}


def test_a_name_in_utf8_without_the_flag_is_read_as_macos_means_it() -> None:
    assert "Übung/densenet.py" in names_and_contents(made(Part("Übung/densenet.py", b"x")))


def test_a_name_in_an_old_code_page_is_read() -> None:
    assert "\u00dcbung.py" in names_and_contents(made(Part(b"\x9abung.py", b"x")))


def test_a_unicode_path_field_replaces_the_name() -> None:
    raw = b"b?cher.py"
    body = b"\x01" + zlib.crc32(raw).to_bytes(4, "little") + "bücher.py".encode()
    field = (0x7075).to_bytes(2, "little") + len(body).to_bytes(2, "little") + body

    assert "bücher.py" in names_and_contents(made(Part(raw, b"x", extra=field)))


def test_content_is_given_in_bounded_pieces() -> None:
    content = bytes(3 * ziplayout.CHUNK_BYTES)
    data = made(Part("zeros.txt", content))
    (entry,) = ziplayout.read_layout(data, DEFAULT)

    pieces = [len(piece) for piece in ziplayout.contents(data, entry)]

    assert sum(pieces) == len(content)
    assert max(pieces) <= ziplayout.CHUNK_BYTES


def test_no_byte_beyond_the_declared_size_comes_out() -> None:
    content = bytes(10 * ziplayout.CHUNK_BYTES)
    data = made(Part("zeros.txt", content, size=1000, local_size=1000))
    (entry,) = ziplayout.read_layout(data, DEFAULT)
    given: list[bytes] = []

    with pytest.raises(SubmissionRejected, match="more than the 1000 bytes"):
        given.extend(ziplayout.contents(data, entry))

    assert sum(map(len, given)) <= 1000


LIES = {
    "checksum": (module(crc=1, local_crc=1), "checksum"),
    "checksum in one header": (module(local_crc=1), "contradict"),
    "size in one header": (module(local_size=3), "contradict"),
    "packed size in one header": (module(local_packed_size=3), "contradict"),
    "name in one header": (module(local_name=b"densenet.pz"), "contradict"),
    "method in one header": (module(local_method=0), "contradict"),
    "descriptor flag in one header": (module(local_flags=8), "contradict"),
    "too small": (module(size=9, local_size=9), "more than the 9 bytes"),
    "too large": (module(size=9999, local_size=9999), "of the 9999 bytes"),
    "stored, sizes differ": (module(method=0, size=9, local_size=9), "more than the 9 bytes"),
    "zip64 without its field": (module(size=FULL), "contradict"),
    "zip64 field too short": (module(size=FULL, extra=b"\x01\0\x04\0abcd"), "contradict"),
    "zip64 field that contradicts": (module(extra=zip64_field(1, 2)), "contradict"),
    "zip64 field twice": (module(size=FULL, extra=zip64_field(1) * 2), "damaged extra"),
    "extra field too long": (module(extra=b"\x01\0\xff\0"), "damaged extra"),
    "missing descriptor": (module(flags=8), "other data follow|overlaps"),
    "wrong descriptor": (module(flags=8, descriptor=b"PK\x07\x08" + bytes(12)), "other data"),
    "damaged stream": (module(packed=b"\xff" * 40), "damaged compressed data"),
    "stream cut": (module(packed=deflated(MODULE_SOURCE)[:-9]), "before|of the"),
    "stream followed by data": (module(packed=deflated(MODULE_SOURCE) + b"x"), "other data behind"),
    "encrypted": (module(flags=1), "encrypted"),
    "strongly encrypted": (module(flags=65), "encrypted"),
    "AES": (module(method=99, packed=b"x"), "encrypted"),
    "bzip2": (module(method=12, packed=b"x"), "bzip2"),
    "Deflate64": (module(method=9, packed=b"x"), "Deflate64"),
    "unknown method": (module(method=77, packed=b"x"), "number 77"),
    "another disk": (module(disk=2), "split archive"),
    "gap": (module(gap=b"hidden"), "other data follow"),
    "no local header": (module(header_at=4), "data is missing"),
    "beyond the end": (module(header_at=10**6), "data is missing"),
    "not UTF-8": (Part(b"\xff.py", b"x", flags=1 << 11), "not"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_header_that_lies_is_refused(lie: str) -> None:
    part, words = LIES[lie]

    refused = refusal(made(part))

    assert refused.cause is Cause.SUBMISSION_BAD_ARCHIVE
    assert re.search(words, refused.message), refused.message


WHOLES = {
    "prefix": (made(module(), prefix=b"#!/bin/sh\n"), "not where its end record says"),
    "suffix": (made(module(), suffix=b"\n"), "1 byte of other data"),
    "gap before the directory": (made(module(), between=b"hidden"), "other data follow"),
    "data before the end": (made(module(), before_end=b"hidden"), "not where its end record"),
    "cut comment": (made(module(), end={"comment": 5}), "cut off"),
    "no end": (made(module())[:-22], "cut off"),
    "half": (made(module())[:90], "cut off"),
    "two ends": (
        made(module(), comment=made(module())[-22:], end={"comment": 22}),
        "two end records|not where",
    ),
    "split": (made(module(), end={"disk": 1, "first_disk": 1}), "split archive"),
    "counts differ": (made(module(), end={"here": 1, "total": 2}), "split archive"),
    "fewer than counted": (made(module(), end={"here": 2, "total": 2}), "damaged"),
    "more than counted": (
        made(module(), Part("b.py"), end={"here": 1, "total": 1}),
        "more than it says",
    ),
    "zip64 without record": (made(module(), end={"total": 0xFFFF, "here": 0xFFFF}), "not there"),
    "zip64 contradicts": (
        made(module(), before_end=zip64_end(2, 57, made(module()).index(b"PK\x01\x02"))),
        "contradict",
    ),
}


@pytest.mark.parametrize("name", WHOLES)
def test_a_zip_whose_parts_do_not_fit_is_refused(name: str) -> None:
    data, words = WHOLES[name]

    refused = refusal(data)

    assert refused.cause is Cause.SUBMISSION_BAD_ARCHIVE
    assert re.search(words, refused.message), refused.message


def test_members_that_share_data_are_refused_as_a_bomb() -> None:
    kernel = Part("a.txt", bytes(500_000))
    quoting = Part("b.txt", bytes(500_000), header_at=0, local_name=b"b.txt")

    refused = refusal(made(kernel, quoting))

    assert refused.cause is Cause.SUBMISSION_BAD_ARCHIVE


def test_two_entries_for_one_member_are_refused() -> None:
    data = made(Part("a.txt", b"x"), Part("a.txt", b"x", header_at=0))

    assert refusal(data).cause is Cause.SUBMISSION_BAD_ARCHIVE


def test_declared_sizes_beyond_the_policy_are_refused_before_anything_is_unpacked() -> None:
    huge = module(
        size=FULL,
        extra=zip64_field(2**50),
        local_size=FULL,
        local_extra=zip64_field(2**50, len(deflated(MODULE_SOURCE))),
    )

    refused = refusal(made(huge))

    assert refused.cause is Cause.SUBMISSION_TOO_LARGE
    assert "1024.0 TiB" in refused.message or "1.0 PiB" in refused.message


def test_a_ratio_no_honest_file_has_is_refused() -> None:
    refused = refusal(made(Part("zeros.txt", bytes(4 * 2**20))))

    assert refused.cause is Cause.SUBMISSION_TOO_LARGE
    assert "zip bomb" in refused.message


def test_a_small_file_of_one_byte_repeated_is_accepted() -> None:
    assert names_and_contents(made(Part("zeros.csv", bytes(2**20))))


def test_too_many_entries_are_refused_before_the_first_is_read() -> None:
    data = made(module(), end={"here": 60000, "total": 60000})

    refused = refusal(data)

    assert refused.cause is Cause.SUBMISSION_TOO_LARGE
    assert "60000 files" in refused.message
