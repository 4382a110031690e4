"""Archives made to escape, to explode, or to be two things at once."""

from __future__ import annotations

import functools
import io
import stat
import struct
import tarfile
import zlib

from grader.errors import Cause
from tests.hostile.cases import Case, Refused, zip_of
from tests.intake.zips import MODULE_SOURCE, Part, deflated, made, module, zip64_end, zip64_field

BAD = Cause.SUBMISSION_BAD_ARCHIVE
NAME = Cause.SUBMISSION_UNSAFE_NAME
LARGE = Cause.SUBMISSION_TOO_LARGE
FULL = 0xFFFFFFFF
MEBIBYTE = 2**20
EVIL = b"raise SystemExit('never run')\n"


def unicode_path(raw: bytes, name: str) -> bytes:
    body = struct.pack("<BL", 1, zlib.crc32(raw)) + name.encode()
    return struct.pack("<2H", 0x7075, len(body)) + body


def quoted_bomb(files: int = 40, kernel_bytes: int = 4 * MEBIBYTE) -> bytes:
    """Fifield's bomb, small: every member's data is the rest of the archive, headers quoted.

    Unpacks to `files` × `kernel_bytes` (160 MB) if nobody looks.
    """
    kernel = deflated(bytes(kernel_bytes))
    names = [f"{n:03}.txt".encode() for n in range(files)]
    headers: list[bytes] = []
    tail, contents = kernel, bytes(kernel_bytes)
    sizes: list[tuple[int, int, int]] = []
    for name in reversed(names):
        sizes.insert(0, (zlib.crc32(contents), len(tail), len(contents)))
        header = struct.pack("<4s2B4H3L2H", b"PK\x03\x04", 20, 0, 0, 8, 0, 33, *sizes[0], 7, 0)
        headers.insert(0, header + name)
        quoted = struct.pack("<B2H", 0, len(headers[0]), len(headers[0]) ^ 0xFFFF) + headers[0]
        tail, contents = quoted + tail, headers[0] + contents
    body, offsets, directory = b"", [], b""
    for header in headers:
        offsets.append(len(body))
        body += header
        if header is not headers[-1]:
            body += struct.pack("<B2H", 0, len(header), len(header) ^ 0xFFFF)
    body += kernel
    for name, at, size in zip(names, offsets, sizes, strict=True):
        directory += struct.pack(
            "<4s4B4H3L5H2L", b"PK\x01\x02", 20, 3, 20, 0, 0, 8, 0, 33, *size, 7, 0, 0, 0, 0, 0, at
        )
        directory += name
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, files, files, len(directory), len(body), 0)
    return body + directory + end


def shared_kernel_bomb() -> bytes:
    """Forty entries that all point at one compressed megabyte."""
    parts = [zeros("000.txt", 1) for _ in range(41)]
    for part in parts[1:]:
        part.header_at, part.packed_size, part.packed = 0, len(parts[0].data), b""
    return made(*parts)


def layered_bomb() -> bytes:
    """Zips in zips: 3 layers of 8, 512 × 256 KB at the bottom."""
    inner = made(Part("zeros.txt", bytes(2**18)))
    for layer in range(3):
        inner = made(*[Part(f"{layer}-{n}.zip", inner) for n in range(8)])
    return made(module(), Part("lib.zip", inner))


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("densenet.py")
        info.size = len(MODULE_SOURCE)
        archive.addfile(info, io.BytesIO(MODULE_SOURCE))
    return buffer.getvalue()


def named(name: str | bytes, **changes: object) -> bytes:
    part = Part(name, EVIL)
    for field, value in changes.items():
        setattr(part, field, value)
    return made(module(), part)


def link(target: bytes = b"/etc/passwd", kind: int = stat.S_IFLNK) -> bytes:
    return made(module(), Part("link.py", target, mode=kind | 0o777, method=0))


@functools.cache
def _zeros(mebibytes: int) -> tuple[bytes, int]:
    content = bytes(mebibytes * MEBIBYTE)
    return deflated(content), zlib.crc32(content)


def zeros(name: str, mebibytes: int) -> Part:
    """So many MiB of zeros, a thousandth of that in the archive."""
    packed, crc = _zeros(mebibytes)
    size = mebibytes * MEBIBYTE
    return Part(name, packed=packed, crc=crc, size=size)


def lying(name: str) -> bytes:
    """100 MiB that declare 1000 bytes."""
    part = zeros(name, 100)
    part.size = 1000
    return made(module(), part)


def two_ends() -> bytes:
    inner = made(Part("densenet.py", EVIL))
    return made(module(), comment=inner[-22:])


def case(name: str, data: object, expect: Refused, why: str) -> Case:
    return Case(name, "archive", zip_of(data), expect, why)  # type: ignore[arg-type]


ARCHIVES: tuple[Case, ...] = (
    # --- names that lead out ---
    case("parent path", named("../densenet-grader-slip.py"), Refused(NAME, "leads out"),
         "zip slip: a file is written beside the run"),
    case("parent path further in", named("a/b/../../../x.py"), Refused(NAME, "leads out"),
         "the same behind an honest start"),
    case("parent path of a folder", named("../", mode=stat.S_IFDIR | 0o755, packed=b"", content=b"",
         method=0), Refused(NAME, "leads out"), "folders slip as well as files"),
    case("absolute path", named("/tmp/densenet-grader-slip.py"), Refused(NAME, "absolute"),
         "a file is written anywhere the grader may write"),
    case("network path", named("//server/share/x.py"), Refused(NAME, "absolute"),
         "Windows sends credentials to the server named"),
    case("drive letter", named("C:/densenet-grader-slip.py"), Refused(NAME, "drive letter"),
         "an absolute path on Windows"),
    case("drive-relative path", named("c:x.py"), Refused(NAME, "drive letter"),
         "leads to another folder on Windows"),
    case("backslash parent", named("..\\x.py"), Refused(NAME, "backslash"),
         "leads out on Windows only, where a test on Linux sees one odd name"),
    case("backslash parent of a Windows tool", named("a\\..\\..\\x.py", made_by=0),
         Refused(NAME, "leads out"), "what is repaired for honest tools is still checked"),
    case("parent with a trailing space", named(".. /x.py"), Refused(NAME, "without a name"),
         "Windows drops the space"),
    case("unicode path field leads out",
         named(b"notes.txt", extra=unicode_path(b"notes.txt", "../x.py")), Refused(NAME,
         "leads out"),
         "some tools take the name from the extra field"),
    # --- names that are not what they seem ---
    case("NUL in a name", named("densenet.py\0.txt"), Refused(NAME, "U+0000"),
         "half of all readers end the name at the NUL"),
    case("newline in a name", named("a.py\nscore: 100"), Refused(NAME, "U+000A"),
         "forges a line in logs and reports"),
    case("terminal codes in a name", named("\x1b]0;owned\x07.py"), Refused(NAME, "U+001B"),
         "acts on the terminal of whoever lists it"),
    case("right-to-left override", named("yp.\u202etxet.py"), Refused(NAME, "U+202E"),
         "shows another name than it has"),
    case("zero-width character", named("dense\u200bnet.py"), Refused(NAME, "U+200B"),
         "two files with the same look"),
    case("not the UTF-8 it says", named(b"\xff\xfe.py", flags=1 << 11), Refused(BAD, "UTF-8"),
         "decoders disagree, and some raise"),
    case("empty name", named(b""), Refused(NAME, "empty name"), "writes to the folder itself"),
    case("device name", named("aux.py"), Refused(NAME, "device"),
         "opens a device on the instructor's Windows"),
    case("device as a folder", named("nul/x.py"), Refused(NAME, "device"), "likewise"),
    case("device with a superscript", named("com\u00b9.txt"), Refused(NAME, "device"),
         "Windows counts superscripts as digits"),
    case("very long name", named("x" * 300 + ".py"), Refused(NAME, "bytes"),
         "fails halfway through the unpacking, or is cut to another name"),
    case("very deep path", named("/".join("a" * 200) + "/x.py"), Refused(NAME, "deep"),
         "recursion and path limits"),
    case("same name twice", made(module(), Part("densenet.py", EVIL)), Refused(NAME, "twice"),
         "one reader checks the first, another runs the second"),
    case("names that differ in case", made(module(), Part("DENSENET.py", EVIL)),
         Refused(NAME, "one on some machines"), "one overwrites the other on macOS and Windows"),
    case("names that differ in composition",
         made(module(), Part("u\u0308.py", b""), Part("\u00fc.py", EVIL)), Refused(NAME, "twice"),
         "one overwrites the other on macOS"),
    case("names that differ in a final dot", made(module(), Part("densenet.py.", EVIL)),
         Refused(NAME, "twice"), "one overwrites the other on Windows"),
    case("file that is a folder too", made(module(), Part("a.py", b""), Part("a.py/b.py", EVIL)),
         Refused(NAME, "both a file and a folder"), "crashes half of all unpackers"),
    # --- things that are no files ---
    case("symbolic link", link(), Refused(BAD, "symbolic link"),
         "the student's program reads a file of the host"),
    case("symbolic link, then a file behind it",
         made(module(), Part("a", b"/tmp", mode=stat.S_IFLNK | 0o777, method=0), Part("a/x.py",
         EVIL)),
         Refused(BAD, "symbolic link"), "writes through the link"),
    case("link with the attributes of Windows",
         named("link.py", made_by=10, mode=0, dos_attributes=0x400), Refused(BAD, "symbolic link"),
         "the same on NTFS"),
    case("named pipe", link(b"", stat.S_IFIFO), Refused(BAD, "device, pipe"),
         "whoever opens it waits for ever"),
    case("character device", link(b"", stat.S_IFCHR), Refused(BAD, "device, pipe"), "likewise"),
    case("folder with content", made(module(), Part("a/", b"hidden", method=0)),
         Refused(BAD, "content of its own"), "data where nobody looks"),
    # --- bombs ---
    case("flat bomb", lambda: made(module(), zeros("zeros.txt", 100)),
         Refused(LARGE, "zip bomb"), "100 KB become 100 MB"),
    case("bomb of many files",
         lambda: made(module(), *[zeros(f"{n}.txt", 10) for n in range(30)]),
         Refused(LARGE, "unpacks to 300.0 MiB"), "each file is small, the sum is not"),
    case("bomb that declares a little", lambda: lying("zeros.txt"),
         Refused(BAD, "more than the 1000 bytes"), "who trusts headers writes 100 MB"),
    case("bomb in a file that would be ignored",
         lambda: lying("x.bin"), Refused(BAD, "more than the 1000 bytes"),
         "ignored files are checked all the same"),
    case("overlapping bomb", quoted_bomb, Refused(BAD, "overlaps"),
         "Fifield 2019: 160 MB out of 6 KB without nesting, ratio checks per file pass"),
    case("entries that share their data", shared_kernel_bomb, Refused(BAD, "overlaps"),
         "the older form of the same"),
    case("layered bomb", layered_bomb, Refused(BAD, "archive inside"),
         "unpackers that recurse write 128 MB"),
    case("sixty thousand entries",
         lambda: made(module(), *[Part(f"{n}", method=0) for n in range(6000)]),
         Refused(LARGE, "6001 files"), "inodes and time instead of bytes"),
    case("a count that lies", made(module(), end={"here": 65000, "total": 65000}),
         Refused(LARGE, "65000 files"), "reserves memory for what is not there"),
    # --- zip64 ---
    case("a petabyte",
         made(module(size=FULL, extra=zip64_field(2**50), local_size=FULL,
                     local_extra=zip64_field(2**50, len(deflated(MODULE_SOURCE))))),
         Refused(LARGE, "1.0 PiB"), "reserves what the header says"),
    case("zip64 sizes that contradict", made(module(extra=zip64_field(1, 1))),
         Refused(BAD, "contradict"), "two readers, two sizes"),
    case("zip64 without the field", made(module(size=FULL)), Refused(BAD, "contradict"),
         "a reader takes 4 GiB at its word"),
    case("zip64 end that contradicts",
         made(module(), before_end=zip64_end(2, 57, made(module()).index(b"PK\x01\x02"))),
         Refused(BAD, "contradict"), "two readers, two tables of contents"),
    case("zip64 record that is not there", made(module(), end={"here": 0xFFFF, "total": 0xFFFF}),
         Refused(BAD, "not there"), "reads before the start of the file"),
    # --- one file, two archives ---
    case("other name in the local header", made(module(local_name=b"densenet.pz")),
         Refused(BAD, "contradict"), "streaming readers see another file"),
    case("other size in the local header", made(module(local_size=5)),
         Refused(BAD, "contradict"), "likewise"),
    case("two end records", two_ends(), Refused(BAD, "two end records|not where"),
         "readers from the front and from the back see two archives"),
    case("data in front", made(module(), prefix=b"#!/bin/sh\nexit 0\n"),
         Refused(BAD, "in front"), "a script that is a zip"),
    case("a PDF in front", made(module(), prefix=b"%PDF-1.7\n"), Refused(BAD, "PDF"),
         "a polyglot passes a filter for documents"),
    case("data behind", made(module(), suffix=EVIL), Refused(BAD, "follow the end"),
         "a second archive appended: other readers take that one"),
    case("data between the files", made(module(gap=made(Part("densenet.py", EVIL)))),
         Refused(BAD, "other data follow"), "a whole archive hidden in a gap"),
    case("data behind a compressed stream", made(module(packed=deflated(MODULE_SOURCE) + EVIL)),
         Refused(BAD, "behind its compressed data"), "hidden where most readers stop"),
    # --- cannot be read ---
    case("encrypted", made(module(flags=1)), Refused(BAD, "encrypted"),
         "asks for a password, or crashes"),
    case("encrypted by AES", made(module(method=99, packed=b"x")), Refused(BAD, "encrypted"),
         "likewise"),
    case("unknown method", made(module(method=14, packed=b"x")), Refused(BAD, "LZMA"),
         "LZMA takes as much memory as its header asks for"),
    case("truncated archive", made(module(), Part("b.py", EVIL))[:-60], Refused(BAD, "cut off"),
         "an upload that broke off"),
    case("truncated stream", made(module(packed=deflated(MODULE_SOURCE)[:-20])),
         Refused(BAD, "before|of the"), "half a file is graded as a whole one"),
    case("wrong checksum", made(module(crc=1, local_crc=1)), Refused(BAD, "checksum"),
         "a damaged file is graded"),
    case("split archive", made(module(), end={"disk": 1, "first_disk": 1}), Refused(BAD, "split"),
         "the rest is elsewhere"),
    case("zip in a zip", made(Part("submission.zip", made(module()))),
         Refused(BAD, "archive inside"), "the most common honest mistake, and the way of 42.zip"),
    case("zip posing as Python", made(module(content=made(module()))),
         Refused(BAD, "Received: a zip"), "Python runs zips"),
    case("gzipped tar posing as zip", tar(), Refused(BAD, "gzip"), "said, not guessed at"),
    case("RAR posing as zip", b"Rar!\x1a\x07\x01\x00" + bytes(50), Refused(BAD, "RAR"),
         "said, not guessed at"),
    case("log-in page posing as zip", b"<!DOCTYPE html><html><body>Sign in", Refused(BAD,
         "web page"),
         "what a failed download leaves"),
    case("empty file", b"", Refused(BAD, "empty"), "what a failed upload leaves"),
    case("zip of nothing", made(), Refused(BAD, "the zip is empty"), "nothing is not zero points"),
)  # fmt: skip
