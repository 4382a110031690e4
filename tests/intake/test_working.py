"""A folder that somebody works in: what counts is taken, what lies beside it never refuses it."""

import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.domain import Submission
from grader.errors import SubmissionRejected
from grader.intake import DEFAULT, Scope, collect, working
from grader.student.pack import pack, read_receipt
from tests.intake.zips import MODULE_SOURCE

HDF5 = b"\x89HDF\r\n\x1a\n" + b"\0" * 64


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    put(folder / "densenet.py", MODULE_SOURCE)
    put(folder / "densenet.weights.h5", HDF5)
    put(folder / "recipe.toml", b"epochs = 1\n")
    return folder


def put(path: Path, content: bytes | str = b"x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def taken(folder: Path, scope: Scope = Scope.WORK) -> Submission:
    return collect(folder, folder.parent / f"tree-{scope}", scope=scope)


def names(submission: Submission) -> list[str]:
    return [file.path for file in submission.files]


def an_environment(folder: Path) -> None:
    put(folder / "myenv" / "pyvenv.cfg")
    put(folder / "myenv" / "lib" / "keras.py")
    (folder / "myenv" / "bin").mkdir()
    (folder / "myenv" / "bin" / "python").symlink_to("/usr/bin/python3")


def a_conda_environment(folder: Path) -> None:
    put(folder / "conda" / "conda-meta" / "history")
    put(folder / "conda" / "lib" / "libc.so")


def a_data_set(folder: Path) -> None:
    put(folder / "cifar-10-python.tar.gz", b"\x1f\x8b")


def earlier_zips(folder: Path) -> None:
    put(folder / "submission (1).zip", b"PK\3\4")
    put(folder / "old" / "submission.zip", b"PK\3\4")


def a_link_to_data(folder: Path) -> None:
    (folder / "data").symlink_to("/tmp")


def a_dead_link(folder: Path) -> None:
    (folder / "latest.weights.h5").symlink_to("nowhere")


def results(folder: Path) -> None:
    put(folder / "results" / "ledger.jsonl")
    put(folder / "results" / "runs" / "1" / "frame-000.json")
    put(folder / "results" / "runs" / "1" / "densenet.py")


def logs(folder: Path) -> None:
    for number in range(600):
        put(folder / "logs" / f"{number}.txt")


def pictures(folder: Path) -> None:
    for number in range(DEFAULT.entries + 1):
        put(folder / "images" / f"{number}.png")


def large_weights(folder: Path) -> None:
    with (folder / "old.weights.h5").open("wb") as file:
        file.truncate(DEFAULT.weights_bytes + 1)


def a_large_text(folder: Path) -> None:
    with (folder / "log.txt").open("wb") as file:
        file.truncate(DEFAULT.file_bytes + 1)


def odd_names(folder: Path) -> None:
    put(folder / "notes\u202e.txt")
    put(folder / "aux.py")
    put(folder / ("a/" * 20) / "deep.py")


def a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def other_code(folder: Path) -> None:
    put(folder / "conftest.py")
    put(folder / "experiment.py", "import pandas\n")
    put(folder / "plot.ipynb", "{}")


BESIDE: list[tuple[Callable[[Path], None], str]] = [
    (an_environment, "Left out, a virtual environment: myenv/."),
    (a_conda_environment, "Left out, a virtual environment: conda/."),
    (a_data_set, "Left out, an archive: cifar-10-python.tar.gz."),
    (earlier_zips, "Left out, an archive: submission (1).zip."),
    (a_link_to_data, "Left out, a symbolic link: data."),
    (a_dead_link, "Left out, a symbolic link: latest.weights.h5."),
    (results, "Left out, results of grading: results/."),
    (logs, "Left out, the code does not use it: logs/ (600 files)."),
    (pictures, "Left out, the code does not use it: images/ (5,001 files)."),
    (large_weights, "Left out, larger than a weights file may be: old.weights.h5."),
    (a_large_text, "Left out, the code does not use it: log.txt."),
    (odd_names, "Left out, a name that other systems do not take: "),
    (a_pipe, "Left out, a device, pipe or socket: pipe."),
    (other_code, "Left out, the code does not use it: conftest.py, experiment.py, plot.ipynb."),
]


@pytest.mark.parametrize(("beside", "remark"), BESIDE, ids=[b.__name__ for b, _ in BESIDE])
def test_what_lies_beside_the_work_is_left_with_a_remark(
    work: Path, beside: Callable[[Path], None], remark: str
) -> None:
    beside(work)

    packed, checked = taken(work), taken(work, Scope.CODE)

    assert names(packed) == ["densenet.py", "densenet.weights.h5", "recipe.toml"]
    assert packed.weights == "densenet.weights.h5"
    assert any(each.startswith(remark) for each in packed.remarks), packed.remarks
    assert names(checked) == ["densenet.py"]
    assert checked.remarks == ()


def test_with_all_of_it_at_once_the_zip_is_the_one_without(work: Path, tmp_path: Path) -> None:
    plain = pack(work, tmp_path / "plain").read_bytes()
    for beside, _ in BESIDE:
        beside(work)

    path = pack(work, work)

    assert path.read_bytes() == plain
    assert pack(work, work).read_bytes() == plain
    assert len(read_receipt(path).remarks) < len(BESIDE)


def test_what_the_tools_put_there_is_left_without_a_word(work: Path) -> None:
    for name in (
        "README.md",
        "assignment.md",
        "test_densenet.py",
        "recipe.laptop.toml",
        "recipe.paper.toml",
        "training.json",
    ):
        put(work / name)
    put(work / "training.png")
    put(work / ".training" / "checkpoint.npz")
    put(work / "submission.zip", b"PK\3\4")

    submission = taken(work)

    assert names(submission) == ["densenet.py", "densenet.weights.h5", "recipe.toml"]
    assert submission.remarks == ()


@pytest.mark.parametrize(
    ("code", "needed"),
    [
        ("import sizes", ["sizes.py"]),
        ("from sizes import depth", ["sizes.py"]),
        ("if True:\n    import sizes as s", ["sizes.py"]),
        ("import chained", ["chained.py", "sizes.py"]),
        ("from blocks.dense import layer", ["blocks/__init__.py", "blocks/dense.py"]),
        ("import blocks", ["blocks/__init__.py", "blocks/dense.py"]),
        ("import importlib; importlib.import_module('sizes')", ["sizes.py"]),
        ("import sys; sys.path.append('lib'); import inner", ["lib/inner.py"]),
        ("import os, sys; sys.path.insert(0, os.path.join('a', 'lib')); import inner",
         ["lib/inner.py"]),
        ("open('numbers.json')", ["numbers.json"]),
        ("open('config/more.csv')", ["config/more.csv"]),
        ("X = 'sizes'", []),
        ("import keras, os", []),
    ],
)  # fmt: skip
def test_the_files_that_the_code_needs_are_taken(work: Path, code: str, needed: list[str]) -> None:
    put(work / "sizes.py", "depth = 10")
    put(work / "chained.py", "import sizes, densenet")
    put(work / "blocks" / "__init__.py", "")
    put(work / "blocks" / "dense.py", "from . import missing")
    put(work / "lib" / "inner.py")
    put(work / "numbers.json")
    put(work / "config" / "more.csv")
    put(work / "densenet.py", f"{code}\n".encode() + MODULE_SOURCE)

    found = names(taken(work, Scope.CODE))

    assert found == sorted(["densenet.py", *needed])


def test_a_notebook_stands_for_the_module_with_what_it_imports(work: Path) -> None:
    (work / "densenet.py").unlink()
    cell = (
        '{"cells": [{"cell_type": "code", "source": "%time x = 1\\nimport sizes"}], "nbformat": 4}'
    )
    put(work / "densenet.ipynb", cell)
    put(work / "sizes.py")

    assert names(taken(work, Scope.CODE)) == ["densenet.py", "sizes.py"]


def test_what_code_in_utf_16_imports_is_taken(work: Path) -> None:
    put(work / "densenet.py", "import sizes\n".encode("utf-16"))
    put(work / "sizes.py")

    assert names(taken(work, Scope.CODE)) == ["densenet.py", "sizes.py"]


def test_code_that_is_no_python_is_taken_as_it_is(work: Path) -> None:
    put(work / "densenet.py", "def broken(:\n")

    assert names(taken(work)) == ["densenet.py", "densenet.weights.h5", "recipe.toml"]


def test_the_one_folder_below_is_the_work(work: Path) -> None:
    put(work.parent / "notes.docx")
    put(work / "sizes.py")
    put(work / "densenet.py", b"import sizes\n" + MODULE_SOURCE)

    submission = collect(work.parent, work.parent.parent / "tree", scope=Scope.WORK)

    assert names(submission) == ["densenet.py", "densenet.weights.h5", "recipe.toml", "sizes.py"]


@pytest.mark.parametrize("name", ["densenet.py", "densenet.weights.h5", "sizes.py"])
def test_a_link_in_place_of_what_counts_is_never_passed_over(work: Path, name: str) -> None:
    put(work / "other.weights.h5", HDF5)
    put(work / "densenet.py", b"import sizes\n" + MODULE_SOURCE)
    put(work / "sizes.py")
    (work / name).rename(work.parent / "elsewhere")
    (work / name).symlink_to(work.parent / "elsewhere")

    with pytest.raises(SubmissionRejected, match=rf"{name}: a symbolic link"):
        taken(work)


def test_weights_that_count_and_are_too_large_are_refused_with_what_to_do(work: Path) -> None:
    with (work / "densenet.weights.h5").open("wb") as file:
        file.truncate(DEFAULT.weights_bytes + 1)
    put(work / "small.weights.h5", HDF5)

    with pytest.raises(SubmissionRejected, match=r"densenet.weights.h5: 128.0 MiB") as caught:
        taken(work)

    assert "save_weights" in caught.value.help


def test_several_weights_files_of_which_none_is_the_one_are_for_the_student_to_choose(
    work: Path,
) -> None:
    (work / "densenet.weights.h5").rename(work / "a.weights.h5")
    put(work / "b.weights.h5", HDF5)

    with pytest.raises(SubmissionRejected, match="several weights files: a"):
        taken(work)
    assert names(taken(work, Scope.CODE)) == ["densenet.py"]


def test_a_misnamed_module_is_told_whatever_lies_beside_it(work: Path) -> None:
    (work / "densenet.py").rename(work / "densenet (1).py")
    a_data_set(work)
    a_link_to_data(work)

    with pytest.raises(SubmissionRejected, match=r"exactly this name. Received: densenet \(1\).py"):
        taken(work, Scope.CODE)


@pytest.mark.parametrize("scope", [Scope.CODE, Scope.WORK])
@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "there is no file in the folder"),
        ({"notes.txt": b"x"}, "not in the folder"),
        ({"densenet (1).py": b"x=1"}, "Rename it to densenet.py."),
        ({"DenseNet.ipynb": b"{}", "test_densenet.py": b""}, "Rename it to densenet.ipynb."),
        ({"densenet (1).py": b"x=1", "densenet_old.py": b"x=1"}, "in the folder with densenet.py"),
        ({"densenet.py": b""}, "Save the file in your editor."),
    ],
)
def test_what_is_told_of_ones_own_folder_speaks_of_no_zip(
    files: dict[str, bytes], told: str, scope: Scope, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    for name, content in files.items():
        put(tmp_path / "mine" / name, content)

    with pytest.raises(SubmissionRejected) as refused:
        collect(tmp_path / "mine", tmp_path / "tree", scope=scope)

    said = f"{refused.value} {refused.value.help}"
    assert told in said
    assert re.search(r"zip|repack|submission", said) is None


def test_the_look_ends_in_a_folder_without_end(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(50):
        put(work / "many" / str(number) / "x.txt")
    monkeypatch.setattr(working, "SEEN", 20)

    submission = taken(work)

    assert names(submission) == ["densenet.py", "densenet.weights.h5", "recipe.toml"]
    assert "not looked at behind the first 20 files" in " ".join(submission.remarks)


def test_a_handed_in_folder_and_zip_are_still_refused_for_what_must_not_be_there(
    work: Path, tmp_path: Path
) -> None:
    a_data_set(work)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for path in work.iterdir():
            archive.write(path, path.name)

    for number, path in enumerate((work, tmp_path / "x.zip")):
        with pytest.raises(SubmissionRejected, match="an archive inside the submission"):
            collect(path, tmp_path / f"strict-{number}")
