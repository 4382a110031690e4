"""The bytes of a zip, read so strictly that they can mean only one thing.

Why not `zipfile`: it is made to open whatever it can. It skips data in front of the archive, takes
sizes from one header without looking at the other, ends a name at its first NUL, stops a member at
its declared size and lets members overlap. Two such readers see two archives in the same bytes, and
a grader must see what the student's own tool saw. Here the parts have to tile the file:

    local header, data, [descriptor]   one per member, no gap, no overlap, from byte 0
    central directory                  says the same of each member as its local header
    [zip64 record, zip64 locator]      say the same as the end record, where that has no room
    end record, comment                the last byte of the comment is the last byte of the file

What tools in use write is accepted: sizes after the data (bit 3: macOS, libarchive), zip64 fields
in small files, comments (GitHub), names in UTF-8 without the flag (macOS). Source: PKWARE,
APPNOTE.TXT 6.3.10; the overlapping bomb: Fifield, "A better zip bomb", WOOT 2019.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from grader.errors import SubmissionRejected
from grader.intake.policy import IntakePolicy
from grader.intake.refusal import bad_archive, shown, size, too_large

LOCAL = struct.Struct("<4s2B4H3L2H")
CENTRAL = struct.Struct("<4s4B4H3L5H2L")
END = struct.Struct("<4s4H2LH")
END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR64 = struct.Struct("<4sLQL")

LOCAL_SIGN = b"PK\x03\x04"
CENTRAL_SIGN = b"PK\x01\x02"
END_SIGN = b"PK\x05\x06"
END64_SIGN = b"PK\x06\x06"
LOCATOR64_SIGN = b"PK\x06\x07"
DESCRIPTOR_SIGN = b"PK\x07\x08"

STORED, DEFLATED = 0, 8
FULL16, FULL32 = 0xFFFF, 0xFFFFFFFF
"""A field with this value stands in the zip64 record instead."""

NEWEST = 63
"""Version 6.3 of the standard; a member that needs a newer one means what nobody can know."""

ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
"""Flag bits: traditional encryption, strong encryption, masked headers."""
SIZES_FOLLOW = 1 << 3
PATCH_DATA = 1 << 5
UTF8_NAME = 1 << 11

FIELD_ZIP64 = 0x0001
FIELD_UNICODE_PATH = 0x7075

FROM_WINDOWS = frozenset({0, 10, 11, 14})
"""Values of "made by" that stand for FAT, NTFS and VFAT."""
REPARSE_POINT = 0x400
"""Windows' attribute of symbolic links and junctions."""
CHUNK_BYTES = 2**18

METHODS = {
    1: "Shrink",
    6: "Implode",
    9: "Deflate64",
    12: "bzip2",
    14: "LZMA",
    20: "Zstandard",
    93: "Zstandard",
    95: "xz",
    97: "WavPack",
    98: "PPMd",
    99: "AES encryption",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of the archive, as both of its headers agree.

    Attributes:
        name: Decoded, unchecked; backslashes of Windows tools already turned into `/`.
        from_windows: Whether a Windows tool made the entry.
        mode: Unix mode bits, 0 where none were recorded.
        is_link: Whether Windows' attributes call it a link.
        method: STORED or DEFLATED.
        crc: CRC-32 of the content.
        compressed_bytes: Length of its data in the archive.
        size_bytes: Declared length of its content.
        header_at: Offset of its local header.
        data_at: Offset of its data.
        flags: General purpose flags.
    """

    name: str
    from_windows: bool
    mode: int
    is_link: bool
    method: int
    crc: int
    compressed_bytes: int
    size_bytes: int
    header_at: int
    data_at: int
    flags: int

    @property
    def is_folder(self) -> bool:
        """Whether it stands for a folder."""
        return self.name.endswith("/") or stat.S_ISDIR(self.mode)

    @property
    def special(self) -> str | None:
        """What it is, if it is neither a file nor a folder."""
        kind = stat.S_IFMT(self.mode)
        if self.is_link or kind == stat.S_IFLNK:
            return "a symbolic link"
        if kind in (0, stat.S_IFREG, stat.S_IFDIR):
            return None
        return "a device, pipe or socket"


@dataclass(frozen=True, slots=True)
class _End:
    entries: int
    directory_bytes: int
    directory_at: int
    stops_at: int


@dataclass(frozen=True, slots=True)
class _Central:
    raw_name: bytes
    name: str
    made_by: int
    flags: int
    method: int
    crc: int
    compressed_bytes: int
    size_bytes: int
    attributes: int
    header_at: int


def read_layout(data: bytes, policy: IntakePolicy) -> tuple[Entry, ...]:
    """Read the directory of a zip and prove that it fits the bytes.

    Costs time and memory in proportion to the number of entries, which the policy bounds before
    the first one is read. Nothing is decompressed.

    Args:
        data: The whole archive.
        policy: Bounds on entries, sizes and ratio.

    Returns:
        The entries in the directory's order.

    Raises:
        SubmissionRejected: SUBMISSION_BAD_ARCHIVE or SUBMISSION_TOO_LARGE.
    """
    end = _find_end(data)
    if end.entries > policy.entries:
        raise too_large(
            f"the zip holds {end.entries} files, expected at most {policy.entries}.",
            "Leave virtual environments, .git, caches and data sets out, or use `grade pack`.",
        )
    directory = _read_directory(data, end)
    entries = tuple(_read_local(data, central, end) for central in directory)
    _refuse_gaps_and_overlaps(data, entries, end)
    _refuse_sizes(entries, policy)
    return entries


# --- the end record -----------------------------------------------------------------------


def _find_end(data: bytes) -> _End:
    at = data.rfind(END_SIGN, max(0, len(data) - END.size - FULL16))
    if at < 0 or at + END.size > len(data):
        raise bad_archive(
            f"the zip is cut off after {size(len(data))}: its table of contents is missing.",
            "Upload it again, or repack if it does not open on your own machine either.",
        )
    _, disk, first_disk, here, entries, length, start, comment = END.unpack_from(data, at)
    _refuse_beyond_comment(data, at, comment)
    end = _End(entries, length, start, at)
    full = FULL16 in (disk, first_disk, here, entries) or FULL32 in (length, start)
    if full or data[max(0, at - LOCATOR64.size) : at].startswith(LOCATOR64_SIGN):
        end = _find_end64(data, at, (disk, first_disk, here, entries, length, start))
    elif disk or first_disk or here != entries:
        raise _multi_disk()
    if end.directory_at + end.directory_bytes != end.stops_at:
        raise bad_archive(
            "the zip's table of contents is not where its end record says: data was put in "
            "front of the archive or into it, or part of it is missing."
        )
    return end


def _refuse_beyond_comment(data: bytes, at: int, comment: int) -> None:
    beyond = len(data) - at - END.size - comment
    if beyond > 0:
        raise bad_archive(f"{size(beyond)} of other data follow the end of the zip.")
    if beyond < 0:
        raise bad_archive("the zip is cut off: its closing comment is incomplete.")
    # rfind gave the last signature; an earlier one whose comment also ends at the last byte
    # would be the true end for a reader that searches forwards.
    earlier = data.find(END_SIGN, max(0, len(data) - END.size - FULL16), at)
    while earlier >= 0:
        claimed = struct.unpack_from("<H", data, earlier + END.size - 2)[0]
        if earlier + END.size + claimed == len(data):
            raise bad_archive("the zip has two end records, so it is unclear which one counts.")
        earlier = data.find(END_SIGN, earlier + 1, at)


def _find_end64(data: bytes, at: int, small: tuple[int, ...]) -> _End:
    locator_at = at - LOCATOR64.size
    if locator_at < 0 or data[locator_at : locator_at + 4] != LOCATOR64_SIGN:
        raise bad_archive("the zip's end record points to a zip64 record that is not there.")
    _, disk, record_at, disks = LOCATOR64.unpack_from(data, locator_at)
    if record_at + END64.size != locator_at or data[record_at : record_at + 4] != END64_SIGN:
        raise bad_archive("the zip's zip64 record is not where its locator says.")
    _, rest, _, _, own, first, here, entries, length, start = END64.unpack_from(data, record_at)
    if disk or disks > 1 or own or first or here != entries:
        raise _multi_disk()
    large = (own, first, here, entries, length, start)
    full = (FULL16, FULL16, FULL16, FULL16, FULL32, FULL32)
    agree = all(s in (f, v) for s, v, f in zip(small, large, full, strict=True))
    if not agree or rest != END64.size - 12:
        raise bad_archive("the zip's end record and its zip64 record contradict each other.")
    return _End(entries, length, start, record_at)


def _multi_disk() -> SubmissionRejected:
    return bad_archive("the zip is one part of a split archive, expected a single file.")


# --- the central directory ----------------------------------------------------------------


def _read_directory(data: bytes, end: _End) -> list[_Central]:
    found = []
    at = end.directory_at
    for _ in range(end.entries):
        central, at = _read_central(data, at, end)
        found.append(central)
    if at != end.stops_at:
        raise bad_archive("the zip's table of contents holds more than it says.")
    return found


def _read_central(data: bytes, at: int, end: _End) -> tuple[_Central, int]:
    name_at = at + CENTRAL.size
    if name_at > end.stops_at or data[at : at + 4] != CENTRAL_SIGN:
        raise bad_archive("the zip's table of contents is damaged or holds less than it says.")
    fields = CENTRAL.unpack_from(data, at)
    _, _, made_by, needs, _, flags, method, _, _, crc, packed, length = fields[:12]
    name_bytes, extra_bytes, comment_bytes, disk, _, attributes, header_at = fields[12:]
    stop = name_at + name_bytes + extra_bytes + comment_bytes
    if stop > end.stops_at:
        raise bad_archive("the zip's table of contents is cut off.")
    raw_name = data[name_at : name_at + name_bytes]
    extras = _extras(data[name_at + name_bytes : stop - comment_bytes], raw_name)
    length, packed, header_at, disk = _zip64(
        extras.get(FIELD_ZIP64), (length, packed, header_at, disk), raw_name
    )
    if disk:
        raise _multi_disk()
    if needs > NEWEST:
        raise bad_archive(f"{_plain(raw_name)}: needs a version of zip that does not exist yet.")
    name = _decoded(raw_name, flags, extras)
    found = _Central(
        raw_name, name, made_by, flags, method, crc, packed, length, attributes, header_at
    )
    return found, stop


def _extras(blob: bytes, raw_name: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(blob):
        kind, length = struct.unpack_from("<2H", blob, at)
        if at + 4 + length > len(blob) or (kind in found and kind == FIELD_ZIP64):
            raise bad_archive(f"{_plain(raw_name)}: damaged extra fields in the zip.")
        found[kind] = blob[at + 4 : at + 4 + length]
        at += 4 + length
    return found


def _zip64(
    field: bytes | None, small: tuple[int, int, int, int], raw_name: bytes
) -> tuple[int, int, int, int]:
    """Put the zip64 values where the 32-bit fields are full; refuse any that contradict."""
    full = (FULL32, FULL32, FULL32, FULL16)
    widths = ("<Q", "<Q", "<Q", "<L")
    if field is None:
        if any(s == f for s, f in zip(small, full, strict=True)):
            raise _lying(raw_name)
        return small
    values, at = list(small), 0
    if not any(s == f for s, f in zip(small, full, strict=True)):
        # Some tools write the field though nothing needs it; then it must repeat the sizes.
        if field[:16] != struct.pack("<2Q", small[0], small[1])[: len(field)]:
            raise _lying(raw_name)
        return small
    for index, (value, limit, width) in enumerate(zip(small, full, widths, strict=True)):
        if value != limit:
            continue
        if at + struct.calcsize(width) > len(field):
            raise _lying(raw_name)
        values[index] = struct.unpack_from(width, field, at)[0]
        at += struct.calcsize(width)
    return values[0], values[1], values[2], values[3]


def _decoded(raw_name: bytes, flags: int, extras: dict[int, bytes]) -> str:
    """The name by the standard's rules, or as macOS writes it (UTF-8 without saying so)."""
    unicode_path = extras.get(FIELD_UNICODE_PATH, b"")
    if unicode_path[:5] == struct.pack("<BL", 1, zlib.crc32(raw_name)) and unicode_path[5:]:
        raw_name, flags = unicode_path[5:], flags | UTF8_NAME
    try:
        return raw_name.decode("utf-8")
    except UnicodeDecodeError:
        if flags & UTF8_NAME:
            raise bad_archive(
                f"{_plain(raw_name)}: a name that says it is UTF-8 and is not."
            ) from None
        return raw_name.decode("cp437")


def _plain(raw_name: bytes) -> str:
    return shown(raw_name.decode("utf-8", "backslashreplace")) or "a file without a name"


def _lying(raw_name: bytes) -> SubmissionRejected:
    return bad_archive(f"{_plain(raw_name)}: its headers in the zip contradict each other.")


# --- local headers ------------------------------------------------------------------------


def _read_local(data: bytes, central: _Central, end: _End) -> Entry:
    at = central.header_at
    if at + LOCAL.size > end.directory_at or data[at : at + 4] != LOCAL_SIGN:
        raise bad_archive(f"{_plain(central.raw_name)}: its data is missing from the zip.")
    fields = LOCAL.unpack_from(data, at)
    flags, method, crc, packed, length, name_bytes, extra_bytes = (
        fields[3], fields[4], *fields[7:]
    )  # fmt: skip
    data_at = at + LOCAL.size + name_bytes + extra_bytes
    raw_name = data[at + LOCAL.size : at + LOCAL.size + name_bytes]
    extras = _extras(data[at + LOCAL.size + name_bytes : data_at], raw_name)
    _refuse_unreadable(central, flags, method)
    must_agree = SIZES_FOLLOW if raw_name.isascii() else SIZES_FOLLOW | UTF8_NAME
    if raw_name != central.raw_name or (flags ^ central.flags) & must_agree:
        raise _lying(central.raw_name)
    _refuse_other_sizes(central, (crc, length, packed), extras.get(FIELD_ZIP64), flags)
    if data_at + central.compressed_bytes > end.directory_at:
        raise bad_archive(f"{_plain(central.raw_name)}: its data is cut off.")
    return _entry(central, data_at)


def _refuse_unreadable(central: _Central, flags: int, method: int) -> None:
    name = _plain(central.raw_name)
    if (flags | central.flags) & ENCRYPTED or 99 in (method, central.method):
        raise bad_archive(f"{name}: the zip is encrypted.", "Repack without a password.")
    if method != central.method:
        raise _lying(central.raw_name)
    if method not in (STORED, DEFLATED) or flags & PATCH_DATA:
        kind = METHODS.get(method, f"number {method}")
        raise bad_archive(
            f"{name}: compressed by {kind}, expected the ordinary method (deflate).",
            "Choose zip with the ordinary deflate method, or use `grade pack`.",
        )


def _refuse_other_sizes(
    central: _Central, local: tuple[int, int, int], field: bytes | None, flags: int
) -> None:
    crc, length, packed = local
    if FULL32 in (length, packed):
        if field is None or len(field) < 16:
            raise _lying(central.raw_name)
        length, packed = struct.unpack_from("<2Q", field)
    expected = (central.crc, central.size_bytes, central.compressed_bytes)
    if flags & SIZES_FOLLOW:
        agree = all(value in (0, want) for value, want in zip(
            (crc, length, packed), expected, strict=True))  # fmt: skip
    else:
        agree = (crc, length, packed) == expected
    if not agree:
        raise _lying(central.raw_name)


def _entry(central: _Central, data_at: int) -> Entry:
    from_windows = central.made_by in FROM_WINDOWS
    return Entry(
        name=central.name.replace("\\", "/") if from_windows else central.name,
        from_windows=from_windows,
        mode=central.attributes >> 16,
        is_link=bool(from_windows and central.attributes & REPARSE_POINT),
        method=central.method,
        crc=central.crc,
        compressed_bytes=central.compressed_bytes,
        size_bytes=central.size_bytes,
        header_at=central.header_at,
        data_at=data_at,
        flags=central.flags,
    )


# --- the whole ----------------------------------------------------------------------------


def _refuse_gaps_and_overlaps(data: bytes, entries: tuple[Entry, ...], end: _End) -> None:
    """Members have to follow each other without a gap from byte 0 to the directory."""
    in_order = sorted(entries, key=lambda entry: entry.header_at)
    starts = [*(entry.header_at for entry in in_order), end.directory_at]
    if starts[0]:
        raise bad_archive("other data stands in front of the zip's first file.")
    for entry, next_start in zip(in_order, starts[1:], strict=True):
        rest = next_start - entry.data_at - entry.compressed_bytes
        if rest < 0:
            raise bad_archive(
                f"{shown(entry.name)}: its data overlaps another file's, as in a zip bomb."
            )
        if rest != _descriptor_bytes(data, entry, rest):
            raise bad_archive(f"{shown(entry.name)}: {size(rest)} of other data follow it.")


def _descriptor_bytes(data: bytes, entry: Entry, room: int) -> int:
    """Length of the data descriptor behind a member: 12 to 24 bytes, or 0 without one."""
    if not entry.flags & SIZES_FOLLOW:
        return 0
    found = data[entry.data_at + entry.compressed_bytes :][:room] if room <= 24 else b""
    sizes = (entry.crc, entry.compressed_bytes, entry.size_bytes)
    forms = [struct.pack("<L2Q", *sizes)]
    if max(sizes) <= FULL32:
        forms.append(struct.pack("<3L", *sizes))
    accepted = [sign + form for sign in (b"", DESCRIPTOR_SIGN) for form in forms]
    return room if found in accepted else -1


def _refuse_sizes(entries: tuple[Entry, ...], policy: IntakePolicy) -> None:
    total = sum(entry.size_bytes for entry in entries)
    if total > policy.total_bytes:
        largest = max(entries, key=lambda entry: entry.size_bytes)
        raise too_large(
            f"the zip unpacks to {size(total)}, expected at most {size(policy.total_bytes)}; "
            f"the largest file is {shown(largest.name)} with {size(largest.size_bytes)}.",
            "Leave data sets and checkpoints out; only one weights file is needed.",
        )
    for entry in entries:
        allowed = max(policy.ratio_from_bytes, policy.ratio * entry.compressed_bytes)
        if entry.size_bytes > allowed:
            raise too_large(
                f"{shown(entry.name)}: unpacks to more than {policy.ratio} times its size "
                f"({size(entry.compressed_bytes)} to {size(entry.size_bytes)}), as in a zip bomb.",
                "Leave that file out.",
            )


# --- content ------------------------------------------------------------------------------


def contents(data: bytes, entry: Entry) -> Iterator[bytes]:
    """Decompress one member piece by piece, believing nothing its header says.

    At most CHUNK_BYTES are held at a time, and never a byte more than declared comes out.

    Args:
        data: The whole archive.
        entry: One of its entries.

    Yields:
        Its content in order.

    Raises:
        SubmissionRejected: SUBMISSION_BAD_ARCHIVE: more or fewer bytes than declared, a stream
            that ends early or late, a wrong checksum.
    """
    packed = memoryview(data)[entry.data_at : entry.data_at + entry.compressed_bytes]
    pieces = _inflated(packed, entry) if entry.method == DEFLATED else _slices(packed)
    count, crc = 0, 0
    for piece in pieces:
        count += len(piece)
        if count > entry.size_bytes:
            raise _damaged(entry, f"holds more than the {entry.size_bytes} bytes it declares")
        crc = zlib.crc32(piece, crc)
        yield piece
    if count < entry.size_bytes:
        raise _damaged(entry, f"holds {count} of the {entry.size_bytes} bytes it declares")
    if crc != entry.crc:
        raise _damaged(entry, "does not match its checksum")


def _slices(packed: memoryview) -> Iterator[bytes]:
    for start in range(0, len(packed), CHUNK_BYTES):
        yield bytes(packed[start : start + CHUNK_BYTES])


def _inflated(packed: memoryview, entry: Entry) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for piece in _slices(packed):
            if inflater.eof:
                raise _damaged(entry, "has other data behind its compressed data")
            waiting = piece
            while waiting and not inflater.eof:
                yield inflater.decompress(waiting, CHUNK_BYTES)
                waiting = inflater.unconsumed_tail
        while not inflater.eof:
            piece = inflater.decompress(b"", CHUNK_BYTES)
            if not piece:
                raise _damaged(entry, "ends before its compressed data is complete")
            yield piece
    except zlib.error as error:
        raise _damaged(entry, "holds damaged compressed data") from error
    if inflater.unused_data:
        raise _damaged(entry, "has other data behind its compressed data")


def _damaged(entry: Entry, what: str) -> SubmissionRejected:
    return bad_archive(
        f"{shown(entry.name)}: the file {what}.",
        "Upload the zip again, or repack if it does not open on your own machine either.",
    )
