"""Zips written byte by byte, so that every field can lie. No binaries are committed."""

from __future__ import annotations

import stat
import struct
import zlib
from dataclasses import dataclass

MODULE_SOURCE = b"""import keras

def dense_block(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0):
    raise NotImplementedError

def transition(x, compression=0.5, dropout_rate=0.0):
    raise NotImplementedError
"""
SAME = None


@dataclass
class Part:
    """One member. A field that is None in a header is the honest value."""

    name: str | bytes
    content: bytes = b""
    method: int = 8
    flags: int = 0
    mode: int = stat.S_IFREG | 0o644
    made_by: int = 3
    dos_attributes: int = 0
    packed: bytes | None = SAME
    crc: int | None = SAME
    size: int | None = SAME
    packed_size: int | None = SAME
    local_name: bytes | None = SAME
    local_method: int | None = SAME
    local_flags: int | None = SAME
    local_crc: int | None = SAME
    local_size: int | None = SAME
    local_packed_size: int | None = SAME
    local_extra: bytes = b""
    extra: bytes = b""
    comment: bytes = b""
    disk: int = 0
    header_at: int | None = SAME
    descriptor: bytes | None = SAME
    gap: bytes = b""

    @property
    def raw_name(self) -> bytes:
        return self.name if isinstance(self.name, bytes) else self.name.encode()

    @property
    def data(self) -> bytes:
        if self.packed is not None:
            return self.packed
        return deflated(self.content) if self.method == 8 else self.content

    def central_values(self) -> tuple[int, int, int]:
        return (
            zlib.crc32(self.content) if self.crc is None else self.crc,
            len(self.data) if self.packed_size is None else self.packed_size,
            len(self.content) if self.size is None else self.size,
        )


def deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def _local(part: Part) -> bytes:
    crc, packed, size = part.central_values()
    name = part.raw_name if part.local_name is None else part.local_name
    head = struct.pack(
        "<4s2B4H3L2H",
        b"PK\x03\x04",
        20,
        0,
        part.flags if part.local_flags is None else part.local_flags,
        part.method if part.local_method is None else part.local_method,
        0,
        33,
        crc if part.local_crc is None else part.local_crc,
        packed if part.local_packed_size is None else part.local_packed_size,
        size if part.local_size is None else part.local_size,
        len(name),
        len(part.local_extra),
    )
    return head + name + part.local_extra + part.data + (part.descriptor or b"") + part.gap


def _central(part: Part, header_at: int) -> bytes:
    crc, packed, size = part.central_values()
    at = header_at if part.header_at is None else part.header_at
    head = struct.pack(
        "<4s4B4H3L5H2L",
        b"PK\x01\x02",
        20,
        part.made_by,
        20,
        0,
        part.flags,
        part.method,
        0,
        33,
        crc,
        packed,
        size,
        len(part.raw_name),
        len(part.extra),
        len(part.comment),
        part.disk,
        0,
        part.mode << 16 | part.dos_attributes,
        at,
    )
    return head + part.raw_name + part.extra + part.comment


def made(
    *parts: Part,
    prefix: bytes = b"",
    between: bytes = b"",
    end: dict[str, int] | None = None,
    before_end: bytes = b"",
    comment: bytes = b"",
    suffix: bytes = b"",
) -> bytes:
    """A zip of the parts; offsets count from behind `prefix` on, as careless tools write them."""
    body, offsets = b"", []
    for part in parts:
        offsets.append(len(body))
        body += _local(part)
    directory = b"".join(_central(p, at) for p, at in zip(parts, offsets, strict=True))
    fields = {
        "disk": 0,
        "first_disk": 0,
        "here": len(parts),
        "total": len(parts),
        "size": len(directory),
        "at": len(body) + len(between),
        "comment": len(comment),
    } | (end or {})
    closing = struct.pack("<4s4H2LH", b"PK\x05\x06", *fields.values())
    return prefix + body + between + directory + before_end + closing + comment + suffix


def module(**changes: object) -> Part:
    """densenet.py, honest but for the changes."""
    part = Part("densenet.py", MODULE_SOURCE)
    for name, value in changes.items():
        assert hasattr(part, name), name
        setattr(part, name, value)
    return part


def zip64_field(*values: int) -> bytes:
    return struct.pack(f"<2H{len(values)}Q", 1, 8 * len(values), *values)


def zip64_end(entries: int, size: int, at: int) -> bytes:
    """The zip64 end record and its locator, for a directory that ends at `at + size`."""
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, size, at)
    return record + struct.pack("<4sLQL", b"PK\x06\x07", 0, at + size, 1)


def descriptor(part: Part, *, sign: bool = True, wide: bool = False) -> bytes:
    return (b"PK\x07\x08" if sign else b"") + struct.pack(
        "<L2Q" if wide else "<3L", *part.central_values()
    )
