"""The pipe's two ends agree, and the outside one cannot be led astray."""

from __future__ import annotations

import contextlib
import os
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.errors import Cause
from grader.inside import frames as inside
from grader.sandbox import contract
from grader.sandbox.frames import MAX_FRAMES, FrameError, FrameParser, encode

LIMIT = 2**20


def frame(name: str, payload: bytes = b"{}", kind: bytes = b"J", claim: int | None = None) -> bytes:
    size = len(payload) if claim is None else claim
    return struct.pack(">4scBQ", b"GRD1", kind, len(name), size) + name.encode() + payload


READY = frame("ready")
END = frame("end")


def parse(data: bytes, limit: int = LIMIT) -> FrameParser:
    parser = FrameParser(limit)
    parser.feed(data)
    return parser


def refusal(data: bytes, limit: int = LIMIT) -> FrameError:
    with pytest.raises(FrameError) as caught:
        parse(data, limit)
    return caught.value


def sent_by_channel(send: object) -> bytes:
    read, write = os.pipe()
    received = bytearray()

    def drain() -> None:
        while piece := os.read(read, 65536):
            received.extend(piece)

    reader = threading.Thread(target=drain)
    reader.start()
    send(inside.Channel(write))  # type: ignore[operator]
    os.close(write)
    reader.join()
    os.close(read)
    return bytes(received)


def test_both_ends_use_the_contracts_constants() -> None:
    ours = (inside.MAGIC, inside.KIND_JSON, inside.KIND_BINARY, inside.END)

    assert ours == (contract.MAGIC, contract.KIND_JSON, contract.KIND_BINARY, contract.END)


def test_what_the_inside_sends_arrives_whole() -> None:
    blob = os.urandom(300_000)

    def send(channel: inside.Channel) -> None:
        channel.send_json("ready", {})
        channel.send_json("trace", {"a": [1, 2.5, None]})
        channel.send_binary("weights/0", blob)
        channel.send_json("end", {})

    parser = parse(sent_by_channel(send))

    assert parser.complete
    assert parser.json_frames == {"trace": b'{"a":[1,2.5,null]}'}
    assert parser.binary_frames == {"weights/0": blob}


def test_the_request_arrives_whole() -> None:
    read, write = os.pipe()
    os.write(write, encode("request", {"tree": "/t", "n": 3}))
    os.close(write)

    request = inside.read_frame(read, "request")
    os.close(read)

    assert request == {"tree": "/t", "n": 3}


def test_a_request_that_breaks_off_is_an_end_of_file() -> None:
    read, write = os.pipe()
    os.write(write, encode("request", {"tree": "/t"})[:-3])
    os.close(write)

    with pytest.raises(EOFError):
        inside.read_frame(read, "request")
    os.close(read)


def test_frames_cut_anywhere_parse_the_same() -> None:
    data = READY + frame("trace", b"[1]") + frame("w", b"\x00\x01", b"B") + END
    parser = FrameParser(LIMIT)
    for i in range(len(data)):
        parser.feed(data[i : i + 1])

    assert parser.complete
    assert parser.binary_frames == {"w": b"\x00\x01"}


@pytest.mark.parametrize(
    "data",
    [
        b"passed: 100/100\n",
        READY + b"\n" + END,
        READY + frame("trace", kind=b"X"),
        READY + frame("a b"),
        READY + frame(""),
        READY + frame("tr\x00ace"),
        READY + frame("trace") + frame("trace"),
        READY + frame("trace") + frame("trace", kind=b"B"),
        READY + READY,
        READY + END + b"x",
        READY + END + frame("trace"),
        READY + frame("end", b"{ }"),
        READY + frame("end", b"{}", kind=b"B"),
        frame("trace") + END,
        END,
    ],
    ids=[
        "plain-text", "stray-newline", "unknown-kind", "space-in-name", "empty-name", "nul-in-name",
        "duplicate", "duplicate-across-kinds", "two-readys", "byte-after-end", "frame-after-end",
        "end-with-other-payload", "binary-end", "no-ready-first", "end-without-ready",
    ],
)  # fmt: skip
def test_a_malformed_answer_is_bad_output(data: bytes) -> None:
    error = refusal(data)

    assert error.cause is Cause.STUDENT_BAD_OUTPUT


@pytest.mark.parametrize("length", [LIMIT + 1, 2**40, 2**64 - 1])
def test_a_length_beyond_the_limit_is_refused_before_its_bytes_come(length: int) -> None:
    error = refusal(READY + frame("big", b"", b"B", length))

    assert error.cause is Cause.STUDENT_OUTPUT_LIMIT


def test_many_small_frames_together_reach_the_output_limit() -> None:
    data = READY + b"".join(frame(f"f{i}", b"x" * 100, b"B") for i in range(50))

    error = refusal(data, limit=2000)

    assert error.cause is Cause.STUDENT_OUTPUT_LIMIT


def test_a_flood_in_one_frame_without_end_is_stopped() -> None:
    header = READY + frame("long", b"", b"B", LIMIT - 100)

    error = refusal(header + bytes(LIMIT))

    assert error.cause is Cause.STUDENT_OUTPUT_LIMIT


def test_too_many_frames_are_refused() -> None:
    error = refusal(READY + b"".join(frame(f"f{i}") for i in range(MAX_FRAMES)))

    assert error.cause is Cause.STUDENT_BAD_OUTPUT


def test_half_a_frame_is_not_an_answer() -> None:
    parser = parse(READY + frame("trace", b"[1]")[:-1])

    assert not parser.complete
    assert parser.json_frames == {}


def test_a_broken_stream_stays_broken() -> None:
    parser = FrameParser(LIMIT)
    with pytest.raises(FrameError):
        parser.feed(b"junk")

    with pytest.raises(FrameError):
        parser.feed(READY + END)
    assert not parser.complete


@given(st.lists(st.binary(max_size=64), max_size=8))
def test_any_bytes_either_parse_or_are_refused_within_the_limit(pieces: list[bytes]) -> None:
    parser = FrameParser(256)
    with contextlib.suppress(FrameError):
        for piece in (READY, *pieces):
            parser.feed(piece)

    assert sum(map(len, parser.json_frames.values())) <= 256


WHOLE = READY + frame("trace", b"[1,2]") + frame("weights", bytes(40), b"B") + END


@given(
    at=st.integers(0, len(WHOLE) - 1),
    byte=st.integers(0, 255),
    cut=st.integers(1, len(WHOLE)),
)
def test_a_damaged_answer_is_never_whole_and_different(at: int, byte: int, cut: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[at] = byte
    parser = FrameParser(LIMIT)
    with contextlib.suppress(FrameError):
        parser.feed(bytes(damaged[:cut]))

    # One byte can change a name, a payload or a kind, but never make more or fewer frames of it.
    frames = len(parser.json_frames) + len(parser.binary_frames)
    assert not parser.complete or (frames == 2 and cut == len(WHOLE))


@given(st.integers(0, 2**64 - 1), st.integers(0, 255), st.binary(min_size=1, max_size=1))
def test_no_header_makes_the_parser_store_more_than_came(
    claim: int, name_length: int, kind: bytes
) -> None:
    parser = FrameParser(LIMIT)
    parser.feed(READY)
    with contextlib.suppress(FrameError):
        parser.feed(struct.pack(">4scBQ", b"GRD1", kind, name_length, claim))

    assert len(parser._buffer) <= 14
