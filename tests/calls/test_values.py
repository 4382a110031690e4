"""A value leaves the sandbox as a record and is the same value; what is no record earns nothing."""

import base64
import json
import math

import numpy as np
import pytest

from grader.calls.values import Other, parse_answer
from grader.errors import StageFailed
from grader.inside import values


def through(value):
    answer = {"failure": None, "result": values.leaving(value)}
    return parse_answer(json.dumps(answer).encode()).result


@pytest.mark.parametrize(
    "value",
    [None, True, 7, -(2**70), 0.1, math.inf, "ä\n", [1, [2.5, None]], (1, "a"), {"a": [1], 2: ()}],
    ids=repr,
)
def test_a_plain_value_arrives_as_it_left(value):
    got = through(value)

    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize("dtype", sorted(values.DTYPES))
def test_an_array_arrives_as_it_left(dtype):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)

    for given in (array, array[:, ::-1].swapaxes(0, 2), array[:0], array.astype(dtype, order="F")):
        got = through(given)
        assert got.dtype == given.dtype
        assert np.array_equal(got, given)


def test_a_number_of_numpys_keeps_its_type():
    got = through([np.int32(3), np.float32(0.1), np.bool_(True)])

    assert [type(v) for v in got] == [np.int32, np.float32, bool]
    assert math.isnan(through(math.nan))


class Strange:
    """A tensor that is none."""

    def numpy(self):
        raise ValueError


@pytest.mark.parametrize(
    "value",
    [object(), Strange(), np.array(["a"]), np.zeros(2**21), {1, 2}, lambda: 0, 10**100, 1j],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_form_arrives_as_the_name_of_its_type(value):
    assert isinstance(through(value), Other)


def test_a_list_in_itself_ends():
    endless = []
    endless.append(endless)

    assert "list" in repr(through(endless))


RIGHT = {
    "kind": "array",
    "dtype": "uint8",
    "shape": [2, 2],
    "data": base64.b64encode(b"abcd").decode(),
}


@pytest.mark.parametrize(
    "forged",
    [
        {**RIGHT, "shape": [2, 3]},
        {**RIGHT, "shape": [2**20, 2**20, 2**20]},
        {**RIGHT, "shape": [-1, -4]},
        {**RIGHT, "shape": [1] * 9},
        {**RIGHT, "dtype": "object"},
        {**RIGHT, "dtype": "bool"},
        {**RIGHT, "data": "!!!!"},
        {**RIGHT, "extra": 1},
        {"kind": "int", "value": "9" * 5000},
        {"kind": "int", "value": 7},
        {"kind": "int", "value": "300", "type": "uint8"},
        {"kind": "float", "value": "one"},
        {"kind": "float", "value": "0x1p999999"},
        {"kind": "bool", "value": 1},
        {"kind": "list", "items": [{"kind": "nothing"}]},
        {"kind": "given_file", "name": "/etc/passwd", "data": ""},
        "text",
    ],
    ids=repr,
)
def test_a_forged_value_is_refused(forged):
    with pytest.raises(StageFailed):
        parse_answer(json.dumps({"failure": None, "result": forged}).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        b"{}",
        b'{"failure":null}',
        b'{"failure":null,"result":{"kind":"none"},"seconds":-1}',
        b'{"failure":null,"result":{"kind":"none"},"seconds":NaN}',
        b'{"failure":null,"result":{"kind":"none"},"files":{"../x":{"kind":"none"}}}',
        b'{"failure":null,"result":' + b'{"kind":"list","items":[' * 50_000,
        b'{"failure":null,"result":' + b'{"kind":"list","items":[' * 3000 + b"]}" * 3000 + b"}",
        b'{"failure":null,"result":{"kind":"str","value":"' + b"a" * 2**21 + b'"}}',
        b" " * (2**25 + 1),
    ],
    ids=lambda data: data[:60].decode("latin1"),
)
def test_what_is_no_answer_is_refused(data):
    with pytest.raises(StageFailed):
        parse_answer(data)


def test_what_was_written_is_read_back(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    (tmp_path / "a.txt").write_text("hello\r\n")
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY")
    np.save(tmp_path / "pickle.npy", np.array([{}], object), allow_pickle=True)

    def read(name):
        got = {"failure": None, "result": values.written(str(tmp_path / name))}
        return parse_answer(json.dumps(got).encode()).result

    assert read("a.npy").tolist() == [0, 1, 2]
    assert read("a.txt") == "hello\n"
    assert read("missing.png") is None
    assert isinstance(read("bad.npy"), Other)
    assert isinstance(read("pickle.npy"), Other)
