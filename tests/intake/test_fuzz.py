"""Any bytes are taken or refused with a cause, in bounded time and memory, and never misread.

What is accepted has to be what other programs see: the oracle is the standard library's zipfile,
which is made by other people.
"""

import io
import json
import shutil
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from grader.errors import SubmissionRejected
from grader.intake import IntakePolicy, collect, ziplayout
from grader.intake.notebook import convert
from tests.bounded import within
from tests.intake.zips import MODULE_SOURCE, Part, descriptor, made, module, zip64_field

LONGEST_S = 2.0
"""Of processor time, for one archive."""
POLICY = IntakePolicy(archive_bytes=2**20, total_bytes=2**20, entries=50, files=20)


def honest() -> list[bytes]:
    streamed = module(flags=8, local_crc=0, local_size=0, local_packed_size=0)
    streamed.descriptor = descriptor(streamed)
    large = module(
        size=0xFFFFFFFF,
        extra=zip64_field(len(MODULE_SOURCE)),
        local_extra=zip64_field(0, 0),
        local_size=len(MODULE_SOURCE),
    )
    large.local_extra = b""
    return [
        made(module(), Part("a/b.py", b"x = 1\n", method=0), Part("a/", mode=0o040755, method=0)),
        made(streamed, Part("ü.txt", "ü".encode(), flags=1 << 11), comment=b"of GitHub"),
        made(large, Part("model.keras", made(Part("config.json", b"{}")))),
    ]


HONEST = honest()


def as_others_see_it(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def as_we_see_it(data: bytes) -> dict[str, bytes]:
    with within(LONGEST_S):
        entries = ziplayout.read_layout(data, POLICY)
        return {entry.name: b"".join(ziplayout.contents(data, entry)) for entry in entries}


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """An honest zip with a few bytes, fields or slices changed."""
    data = bytearray(draw(st.sampled_from(HONEST)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        how = draw(st.sampled_from(["byte", "field", "drop", "double", "insert"]))
        length = draw(st.integers(1, 40))
        if how == "byte" and data:
            data[at] = draw(st.integers(0, 255))
        elif how == "field":
            values = st.sampled_from([0, 1, 0xFFFF, 0xFFFFFFFF, len(data), at])
            data[at : at + 4] = struct.pack("<L", draw(values))
        elif how == "drop":
            del data[at : at + length]
        elif how == "double":
            data[at:at] = data[at : at + length]
        else:
            data[at:at] = draw(st.binary(max_size=20))
    return bytes(data)


@pytest.mark.parametrize("data", HONEST)
def test_honest_zips_are_seen_as_others_see_them(data: bytes) -> None:
    assert as_we_see_it(data) == as_others_see_it(data)


@settings(max_examples=600, derandomize=True)
@given(mutated())
def test_a_damaged_zip_is_refused_or_seen_as_others_see_it(data: bytes) -> None:
    try:
        ours = as_we_see_it(data)
    except SubmissionRejected as refused:
        assert refused.help  # noqa: PT017
        return

    assert sorted(ours.values()) == sorted(as_others_see_it(data).values())


@settings(max_examples=200)
@example(b"")
@example(b"PK\x05\x06" + bytes(18))
@example(b"PK\x05\x06" * 20_000)
@given(st.binary(max_size=300).map(lambda tail: b"PK\x03\x04" + tail))
def test_arbitrary_bytes_never_become_anything_but_a_refusal(data: bytes) -> None:
    with within(LONGEST_S):
        try:
            entries = ziplayout.read_layout(data, POLICY)
        except SubmissionRejected:
            return

    assert entries == ()


names = st.text(
    st.sampled_from("aA./\\ :\0\n\u202e\u00fc\u0308cCoOnN") | st.characters(codec="utf-8"),
    max_size=12,
)


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.tuples(names, st.binary(max_size=40)), max_size=5), st.booleans())
def test_whatever_the_names_nothing_is_written_outside(
    tmp_path: Path, files: list[tuple[str, bytes]], with_module: bool
) -> None:
    room = tmp_path / "room"
    for old in (room / "tree",):
        if old.exists():
            shutil.rmtree(old)
    room.mkdir(exist_ok=True)
    parts = [Part(name, content) for name, content in files]
    (tmp_path / "s.zip").write_bytes(made(*([module()] if with_module else []), *parts))

    try:
        with within(LONGEST_S):
            submission = collect(tmp_path / "s.zip", room / "tree", policy=POLICY)
    except SubmissionRejected as refused:
        assert refused.message.isprintable()  # noqa: PT017
        assert list(room.iterdir()) == []
    else:
        written = {
            path.relative_to(room / "tree").as_posix()
            for path in (room / "tree").rglob("*")
            if not path.is_dir()
        }
        assert written == {file.path for file in submission.files}
        assert "densenet.py" in written
    assert sorted(p.name for p in tmp_path.iterdir()) == ["room", "s.zip"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["cells", "source", "cell_type", "nbformat", "metadata", "worksheets"]),
            inner | st.sampled_from(["code", 3, 4]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_a_notebook_or_a_refusal(value: object) -> None:
    try:
        source = convert(json.dumps(value).encode()).source
    except SubmissionRejected as refused:
        assert refused.message.isprintable()  # noqa: PT017
    else:
        assert source.startswith("# densenet.py")


def test_a_bomb_costs_no_more_memory_than_the_policy_allows(tmp_path: Path) -> None:
    zeros = bytes(64 * 2**20)
    bomb = made(module(), Part("zeros.txt", zeros, size=1000, local_size=1000))
    (tmp_path / "bomb.zip").write_bytes(bomb)
    del zeros, bomb
    tracemalloc.start()
    try:
        with pytest.raises(SubmissionRejected):
            collect(tmp_path / "bomb.zip", tmp_path / "tree", policy=POLICY)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 * 2**20
