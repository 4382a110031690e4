"""One submission in: a clean tree out, or a refusal that leaves nothing behind."""

import hashlib
import io
import json
import os
import resource
import stat
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from grader.domain import Submission
from grader.errors import Cause, InfrastructureError, SubmissionRejected, UsageError
from grader.intake import DEFAULT, collect
from tests.intake.zips import MODULE_SOURCE, Part, made, module

HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(100)


def zipped(*files: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return buffer.getvalue()


class Desk:
    """A folder with submissions, and one for what is made of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.dest = root / "runs" / "tree"

    def zip(self, data: bytes, name: str = "s1234567.zip") -> Path:
        path = self.root / name
        path.write_bytes(data)
        return path

    def folder(self, files: dict[str, bytes], name: str = "s1234567") -> Path:
        for path, content in files.items():
            place = self.root / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        return self.root / name

    def take(self, path: Path) -> Submission:
        return collect(path, self.dest)

    def refused(self, path: Path) -> SubmissionRejected:
        with pytest.raises(SubmissionRejected) as caught:
            self.take(path)
        assert not any((self.root / "runs").glob("*")), "something was left behind"
        assert caught.value.help
        assert str(self.root) not in caught.value.message + caught.value.help
        assert caught.value.message.isprintable()
        return caught.value

    def written(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.dest)): path.read_bytes()
            for path in sorted(self.dest.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# --- what is taken ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "encoding"),
    [("densenet.py", "utf-16"), ("helpers/layers.PY", "latin-1"), ("recipe.toml", "utf-16")],
)
def test_a_text_file_is_written_as_utf_8_whatever_it_was_saved_as(desk, path, encoding):
    text = "# é\n" + MODULE_SOURCE.decode()

    submission = desk.take(
        desk.zip(zipped(("densenet.py", MODULE_SOURCE), (path, text.encode(encoding))))
        if path != "densenet.py"
        else desk.zip(zipped((path, text.encode(encoding))))
    )

    assert desk.written()[path].decode("utf-8") == text
    assert [r for r in submission.remarks if r.startswith(f"{path} is saved as ")]


@pytest.mark.parametrize("top", ["", "hw3/", "Jane Doe's DenseNet/", "./"])
def test_a_zip_with_one_top_folder_or_none_is_taken(desk: Desk, top: str) -> None:
    data = zipped(
        (f"{top}densenet.py", MODULE_SOURCE),
        (f"{top}layers/__init__.py", b""),
        (f"{top}recipe.toml", b"epochs = 3"),
        (f"{top}model.weights.h5", HDF5),
    )

    submission = desk.take(desk.zip(data))

    assert desk.written() == {
        "densenet.py": MODULE_SOURCE,
        "layers/__init__.py": b"",
        "model.weights.h5": HDF5,
        "recipe.toml": b"epochs = 3",
    }
    assert [file.path for file in submission.files] == sorted(desk.written())
    assert submission.weights == "model.weights.h5"
    assert submission.recipe == "recipe.toml"
    assert submission.student_id == "s1234567"
    assert submission.source == "s1234567.zip"
    assert submission.remarks == ()


def test_a_zip_is_named_by_its_bytes(desk: Desk) -> None:
    data = zipped(("densenet.py", MODULE_SOURCE))

    submission = desk.take(desk.zip(data))

    assert submission.sha256 == hashlib.sha256(data).hexdigest()


def test_a_folder_is_named_by_its_content_wherever_it_lies(desk: Desk, tmp_path: Path) -> None:
    first = desk.folder({"densenet.py": MODULE_SOURCE, "b.py": b"1"}, "one")
    second = desk.folder({"sub/b.py": b"1", "sub/densenet.py": MODULE_SOURCE}, "two")
    (second / "sub" / ".DS_Store").write_bytes(b"clutter")
    other = desk.folder({"densenet.py": MODULE_SOURCE, "b.py": b"2"}, "three")

    names = [
        collect(path, tmp_path / f"tree{index}").sha256
        for index, path in enumerate([first, second, other])
    ]

    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_tree_is_ours_in_modes_whatever_the_umask(desk: Desk, umask: int) -> None:
    path = desk.zip(made(module(mode=0o104777), Part("a/b.py", b"", mode=0o100000)))
    before = os.umask(umask)
    try:
        desk.take(path)
    finally:
        os.umask(before)

    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in [desk.dest, *desk.dest.rglob("*")]}

    assert modes == {"tree": 0o755, "densenet.py": 0o644, "a": 0o755, "b.py": 0o644}


def test_a_folder_is_taken_without_touching_it(desk: Desk) -> None:
    path = desk.folder({"densenet.py": MODULE_SOURCE, "venv/lib/x.py": b"", ".git/HEAD": b""})

    submission = desk.take(path)

    assert desk.written() == {"densenet.py": MODULE_SOURCE}
    assert submission.remarks == (
        "Ignored, they are not part of the work: a virtual environment (1), version control (1).",
    )
    assert sorted(os.listdir(path)) == [".git", "densenet.py", "venv"]


def test_clutter_is_counted_not_listed(desk: Desk) -> None:
    clutter = [(f"venv/lib/m{n}.py", b"") for n in range(100)]
    data = zipped(("hw/densenet.py", MODULE_SOURCE), ("__MACOSX/hw/._densenet.py", b"x"), *clutter)

    submission = desk.take(desk.zip(data))

    assert desk.written() == {"densenet.py": MODULE_SOURCE}
    assert submission.remarks == (
        "Ignored, they are not part of the work: a virtual environment (100), macOS files (1).",
    )


def test_code_that_python_would_run_unasked_is_dropped_with_a_remark(desk: Desk) -> None:
    names = ["sitecustomize.py", "conftest.py", "a.pth", "fast.so", "densenet.pyc"]
    data = zipped(("densenet.py", MODULE_SOURCE), *[(name, b"x") for name in names])

    submission = desk.take(desk.zip(data))

    assert desk.written() == {"densenet.py": MODULE_SOURCE}
    for name in names:
        assert name in " ".join(submission.remarks)


def test_files_of_unknown_kind_are_ignored_with_a_remark(desk: Desk) -> None:
    data = zipped(("densenet.py", MODULE_SOURCE), ("report.pdf", b"%PDF"), ("x.docx", b"PK\3\4"))

    submission = desk.take(desk.zip(data))

    assert submission.remarks == ("Ignored, of no use here: report.pdf, x.docx.",)


def test_modules_that_hide_known_ones_are_kept_with_a_remark(desk: Desk) -> None:
    data = zipped(("densenet.py", MODULE_SOURCE), ("json.py", b""), ("keras/__init__.py", b""))

    submission = desk.take(desk.zip(data))

    assert "json.py" in desk.written()
    assert "json, keras" in submission.remarks[0]


def test_a_package_that_hides_the_module_is_dropped(desk: Desk) -> None:
    data = zipped(("densenet.py", MODULE_SOURCE), ("densenet/__init__.py", b"evil = 1"))

    submission = desk.take(desk.zip(data))

    assert list(desk.written()) == ["densenet.py"]
    assert "hides densenet.py" in submission.remarks[0]


def test_a_notebook_stands_in_for_the_module(desk: Desk) -> None:
    cells = [{"cell_type": "code", "source": "%matplotlib inline\nx = 1"}]
    book = json.dumps({"nbformat": 4, "cells": cells}).encode()

    submission = desk.take(desk.zip(zipped(("hw/densenet.ipynb", book))))

    assert list(desk.written()) == ["densenet.py"]
    assert b"# cell 1\npass\nx = 1\n" in desk.written()["densenet.py"]
    assert submission.remarks == (
        "densenet.py was read from densenet.ipynb.",
        "cell 1: left out the magic %matplotlib.",
    )


def test_the_module_wins_over_the_notebook(desk: Desk) -> None:
    data = zipped(("densenet.py", MODULE_SOURCE), ("densenet.ipynb", b"not read"))

    submission = desk.take(desk.zip(data))

    assert desk.written() == {"densenet.py": MODULE_SOURCE}
    assert submission.remarks == (
        "Both densenet.py and densenet.ipynb were handed in; densenet.py counts.",
    )


@pytest.mark.parametrize(
    ("names", "winner"),
    [
        (["a.weights.h5"], "a.weights.h5"),
        (["sub/a.keras"], "sub/a.keras"),
        (["a.weights.h5", "densenet.weights.h5", "b.keras"], "densenet.weights.h5"),
        (["densenet.weights.h5", "model.weights.h5"], "densenet.weights.h5"),
        (["a/densenet.weights.h5", "b/model.weights.h5"], "a/densenet.weights.h5"),
        (["a.keras", "old/b.weights.h5", "old/c.weights.h5"], "a.keras"),
    ],
)
def test_one_weights_file_counts_by_the_rule(desk: Desk, names: list[str], winner: str) -> None:
    content = {"h5": HDF5, "keras": made(Part("config.json", b"{}"))}
    files = [(name, content[name.rsplit(".")[-1]]) for name in names]

    submission = desk.take(desk.zip(zipped(("densenet.py", MODULE_SOURCE), *files)))

    assert submission.weights == winner
    assert sorted(desk.written()) == sorted(["densenet.py", winner])
    assert ("another weights file counts" in " ".join(submission.remarks)) == (len(names) > 1)


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"", "an empty file"), (b"version https://git-lfs.github.com", "a Git LFS pointer")],
)
def test_weights_that_are_no_weights_are_remarked_on(desk: Desk, content: bytes, kind: str) -> None:
    data = zipped(("densenet.py", MODULE_SOURCE), ("model.weights.h5", content))

    submission = desk.take(desk.zip(data))

    assert f"expected an HDF5 file. Received: {kind}" in submission.remarks[0]


def test_backslashes_of_a_windows_tool_are_folders(desk: Desk) -> None:
    submission = desk.take(
        desk.zip(made(module(name="hw\\densenet.py", made_by=0), Part("hw\\a\\b.py", made_by=0)))
    )

    assert sorted(desk.written()) == ["a/b.py", "densenet.py"]
    assert submission.weights is None


def test_the_last_pack_in_a_folder_is_not_part_of_it(desk: Desk) -> None:
    path = desk.folder(
        {"densenet.py": MODULE_SOURCE, "submission.zip": b"PK", "submission.receipt.json": b"{}"}
    )

    desk.take(path)

    assert list(desk.written()) == ["densenet.py"]


def test_an_empty_destination_may_stand_there(desk: Desk) -> None:
    desk.dest.mkdir(parents=True)

    assert desk.take(desk.zip(made(module()))).root == str(desk.dest)


# --- who and when -------------------------------------------------------------------------


def test_a_file_time_is_all_there_is_for_a_plain_zip(desk: Desk) -> None:
    path = desk.zip(made(module()))
    os.utime(path, (1_800_000_000, 1_800_000_000))

    submission = desk.take(path)

    assert submission.received_from == "file-time"
    assert submission.received_at == datetime.fromtimestamp(1_800_000_000, UTC)


def test_a_platform_time_is_read_in_the_zone_given(desk: Desk) -> None:
    path = desk.zip(made(module()), "hw3_jdoe_attempt_2026-09-30-21-58-41_densenet.zip")

    submission = collect(path, desk.dest, zone=ZoneInfo("Asia/Kolkata"))

    assert submission.student_id == "jdoe"
    assert submission.received_from == "lms"
    assert str(submission.received_at) == "2026-09-30 21:58:41+05:30"


# --- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty (0 bytes)"),
        (b"Rar!\x1a\x07\x01\x00", "a RAR archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (b"\x1f\x8b\x08", "a gzip file"),
        (bytes(257) + b"ustar" + bytes(300), "a tar file"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b'{"cells": []}', "a notebook"),
        (b"version https://git-lfs", "a Git LFS pointer"),
        (b"PK\x07\x08PK", "one part of a split zip"),
        (b"MZ\x90", "a Windows program"),
        (bytes(4000), "only zero bytes"),
        (b"def dense_block(): ...", "a file of unknown kind"),
        (b"PK\x03\x04 cut", "cut off"),
    ],
)
def test_what_is_no_zip_is_called_by_its_name(desk: Desk, content: bytes, words: str) -> None:
    refused = desk.refused(desk.zip(content))

    assert refused.cause is Cause.SUBMISSION_BAD_ARCHIVE
    assert words in refused.message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a/b/densenet.py", "expected at the top. Received: a/b/densenet.py"),
        ("DenseNet.py", "exactly this name. Received: DenseNet.py"),
        ("densenet (1).py", "exactly this name. Received: densenet (1).py"),
        ("densenet.py.txt", "exactly this name. Received: densenet.py.txt"),
        ("hw/densenet_final.ipynb", "exactly this name. Received: hw/densenet_final.ipynb"),
        ("dense_net.py", "exactly this name. Received: dense_net.py"),
        ("main.py", "Its code files are main.py"),
        ("report.pdf", "nor any other Python file"),
        ("__MACOSX/._densenet.py", "no file in the submission"),
    ],
)
def test_a_missing_module_is_looked_for(desk: Desk, name: str, words: str) -> None:
    for path in (desk.zip(zipped((name, b"x"))), desk.folder({name: b"x"}, "folder")):
        refused = desk.refused(path)

        assert refused.cause is Cause.SUBMISSION_MISSING_FILE
        assert words in refused.message


def test_a_module_beside_the_top_folder_of_another_is_not_guessed_at(desk: Desk) -> None:
    data = zipped(("a/densenet.py", b"1"), ("b/densenet.py", b"2"))

    assert "a/densenet.py, b/densenet.py" in desk.refused(desk.zip(data)).message


def test_an_empty_module_is_missing(desk: Desk) -> None:
    refused = desk.refused(desk.zip(made(module(content=b" \n"))))

    assert refused.cause is Cause.SUBMISSION_MISSING_FILE


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_a_link_or_device_in_a_zip_is_refused(desk: Desk, kind: int) -> None:
    data = made(module(), Part("link.py", b"/etc/passwd", mode=kind | 0o777))

    assert desk.refused(desk.zip(data)).cause is Cause.SUBMISSION_BAD_ARCHIVE


def test_a_link_in_a_folder_is_refused_and_not_followed(desk: Desk) -> None:
    path = desk.folder({"densenet.py": MODULE_SOURCE})
    (path / "secret.txt").symlink_to("/etc/passwd")

    assert "a symbolic link" in desk.refused(path).message


def test_a_pipe_in_a_folder_is_refused_and_not_waited_for(desk: Desk) -> None:
    path = desk.folder({"densenet.py": MODULE_SOURCE})
    os.mkfifo(path / "pipe.py")

    assert "a device, pipe or socket" in desk.refused(path).message


def test_links_in_a_virtual_environment_are_clutter(desk: Desk) -> None:
    path = desk.folder({"densenet.py": MODULE_SOURCE, "venv/bin/x": b""})
    (path / "venv" / "bin" / "python").symlink_to("/usr/bin/python3")
    (path / ".venv").symlink_to("venv")

    desk.take(path)

    assert list(desk.written()) == ["densenet.py"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_hard_link_to_the_file_of_another_user_is_refused(desk: Desk) -> None:
    path = desk.folder({"densenet.py": MODULE_SOURCE})
    secret = desk.root / "labels.csv"
    secret.write_bytes(b"1,2,3")
    os.chown(secret, 65534, 65534)
    os.link(secret, path / "mine.csv")

    assert "hard link" in desk.refused(path).message


def test_an_archive_inside_is_refused(desk: Desk) -> None:
    inner = zipped(("densenet.py", MODULE_SOURCE))

    alone = desk.refused(desk.zip(zipped(("inner.zip", inner))))
    beside = desk.refused(desk.zip(zipped(("densenet.py", MODULE_SOURCE), ("x.tar.gz", b""))))
    disguised = desk.refused(desk.zip(zipped(("densenet.py", MODULE_SOURCE), ("a.py", inner))))

    assert alone.cause is beside.cause is disguised.cause is Cause.SUBMISSION_BAD_ARCHIVE
    assert "inner.zip" in alone.message
    assert "expected text. Received: a zip" in disguised.message


def test_several_weights_files_are_refused_with_the_rule(desk: Desk) -> None:
    data = zipped(("densenet.py", MODULE_SOURCE), ("a.keras", b"PK\3\4"), ("b.keras", b"PK\3\4"))

    refused = desk.refused(desk.zip(data))

    assert "a.keras, b.keras" in refused.message
    assert "densenet.weights.h5" in refused.help


@pytest.mark.parametrize(
    ("limits", "files"),
    [
        ({"archive_bytes": 100}, {}),
        ({"total_bytes": 100}, {}),
        ({"file_bytes": 100}, {}),
        ({"weights_bytes": 50}, {"model.weights.h5": HDF5}),
        ({"entries": 2}, {"a.py": b"", "b.py": b""}),
        ({"files": 2}, {"a.py": b"", "b.py": b""}),
    ],
)
def test_each_limit_has_its_refusal(
    desk: Desk, limits: dict[str, int], files: dict[str, bytes]
) -> None:
    path = desk.zip(zipped(("densenet.py", MODULE_SOURCE), *files.items()))

    with pytest.raises(SubmissionRejected) as caught:
        collect(path, desk.dest, policy=DEFAULT.model_copy(update=limits))

    assert caught.value.cause is Cause.SUBMISSION_TOO_LARGE
    assert not desk.dest.exists()


def test_a_late_refusal_leaves_nothing_behind(desk: Desk) -> None:
    data = made(module(), Part("zzz.py", b"good"), Part("zzzz.py", b"bad", crc=1, local_crc=1))

    assert "checksum" in desk.refused(desk.zip(data)).message


# --- the machine --------------------------------------------------------------------------


def test_a_path_that_is_not_there_is_an_error_of_usage(desk: Desk) -> None:
    with pytest.raises(UsageError, match="nothing of that name"):
        desk.take(desk.root / "missing.zip")


def test_a_destination_that_is_taken_is_not_overwritten(desk: Desk) -> None:
    desk.dest.mkdir(parents=True)
    (desk.dest / "precious.txt").write_text("1")

    with pytest.raises(InfrastructureError) as caught:
        desk.take(desk.zip(made(module())))

    assert caught.value.cause is Cause.INFRA_DISK
    assert os.listdir(desk.dest.parent) == ["tree"]
    assert os.listdir(desk.dest) == ["precious.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX's")
def test_a_full_disk_is_the_machines_fault_and_leaves_nothing(desk: Desk) -> None:
    path = desk.zip(made(Part("big.txt", os.urandom(200_000)), module()))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A limit on file size fails writes as a full disk does; Python ignores the signal.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(InfrastructureError) as caught:
            desk.take(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert caught.value.cause is Cause.INFRA_DISK
    assert not any((desk.root / "runs").iterdir())
