"""`grade pack`: the student meets at home what the grader would say."""

import errno
import hashlib
import json
import os
import zipfile
from pathlib import Path

import pytest

from grader.errors import Cause, SubmissionRejected, UsageError
from grader.intake import collect
from grader.student.pack import pack, read_receipt, told_of_packed
from tests.examples import ASSIGNMENT
from tests.intake.zips import MODULE_SOURCE


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "layers").mkdir(parents=True)
    (folder / "densenet.py").write_bytes(b"from layers import dense\n" + MODULE_SOURCE)
    (folder / "layers" / "dense.py").write_text("x = 1\n")
    (folder / "recipe.toml").write_text("epochs = 1\n")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "densenet.cpython-311.pyc").write_bytes(b"x")
    return folder


def test_the_zip_holds_the_work_without_clutter(work: Path, tmp_path: Path) -> None:
    path = pack(work, tmp_path / "out")

    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["densenet.py", "layers/dense.py", "recipe.toml"]


def test_the_same_folder_gives_the_same_bytes(work: Path, tmp_path: Path) -> None:
    first = pack(work, tmp_path / "one").read_bytes()
    os.utime(work / "densenet.py", (0, 0))
    (work / "densenet.py").chmod(0o600)

    assert pack(work, tmp_path / "two").read_bytes() == first


def test_packing_twice_in_the_folder_itself_changes_nothing(work: Path) -> None:
    first = pack(work, work).read_bytes()

    assert pack(work, work).read_bytes() == first
    assert sorted(p.name for p in work.iterdir() if p.name.startswith((".", "sub"))) == [
        "submission.receipt.json",
        "submission.zip",
    ]


def test_the_last_lines_say_what_is_in_the_zip_and_where_it_goes_until_when(
    work: Path, tmp_path: Path
) -> None:
    path = pack(work, tmp_path / "out")
    receipt = read_receipt(path)

    lines = list(told_of_packed(path, receipt, ["x was left out."], ASSIGNMENT))

    assert lines == [
        f"{path}  3 files, {receipt.size_bytes:,} bytes",
        *[f"file      {file.path}  {file.size_bytes:,} bytes" for file in receipt.files],
        "weights   none: the accuracy cannot be graded. grade train writes them.",
        "remark    x was left out.",
        f"SHA-256   {receipt.sha256}",
        "Next: hand in submission.zip where your course collects it, until 2027-09-30 23:00:00 "
        "Asia/Kolkata.",
        "Keep submission.receipt.json: it shows what you handed in.",
    ]


def test_the_receipt_names_what_will_be_graded(work: Path, tmp_path: Path) -> None:
    path = pack(work, tmp_path / "out")

    receipt = read_receipt(path)
    graded = collect(path, tmp_path / "tree")

    assert receipt.sha256 == graded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert receipt.size_bytes == path.stat().st_size
    assert [file.path for file in receipt.files] == [file.path for file in graded.files]
    assert receipt.packed_at.tzinfo is not None
    assert receipt.remarks == ("Ignored, they are not part of the work: caches (1).",)


def test_a_notebook_goes_into_the_zip_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    book = {"nbformat": 4, "cells": [{"cell_type": "code", "source": "!ls\nx = 1"}]}
    (folder / "densenet.ipynb").write_text(json.dumps(book))

    path = pack(folder, tmp_path / "out")

    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["densenet.ipynb"]
    assert "cell 1: left out the shell command !ls." in read_receipt(path).remarks


def test_what_the_grader_would_refuse_is_refused_at_home(work: Path, tmp_path: Path) -> None:
    (work / "densenet.py").rename(work / "DenseNet.py")

    with pytest.raises(SubmissionRejected) as caught:
        pack(work, tmp_path / "out")

    assert caught.value.cause is Cause.SUBMISSION_MISSING_FILE
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_takes_no_zip_is_told_with_a_way_out(work: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(UsageError, match=r"submission\.zip: cannot be written.*-o FOLDER"):
        pack(work, tmp_path / "taken")


def test_a_full_disk_leaves_no_half_zip(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(UsageError, match="No space left"):
        pack(work, tmp_path / "out")

    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_no_folder_cannot_be_packed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        pack(tmp_path / "missing", tmp_path)
