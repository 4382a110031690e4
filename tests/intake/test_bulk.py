"""A learning platform's one zip of all submissions: told from a student's zip, and unpacked."""

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from grader.errors import UsageError
from grader.intake.bulk import holds_a_class, unpack
from grader.intake.policy import DEFAULT, IntakePolicy

ZONE = ZoneInfo("Asia/Kolkata")


def zipped(file: Path, *names: str, **infos: bytes) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo(name, (2027, 9, 30, 22, 58, 40))
            archive.writestr(info, b"x")
        for name, extra in infos.items():
            info = zipfile.ZipInfo(name)
            info.extra = extra
            archive.writestr(info, b"x")
    return file


CLASSES = {
    "canvas": ["doe_48213_991245_a.zip", "roe_LATE_48214_991246_densenet.py"],
    "one of canvas": ["doe_48213_991245_a.zip"],
    "moodle": ["Jane Doe_48213_assignsubmission_file_/densenet.py"],
    "moodle, flat": ["Jane Doe_4_assignsubmission_file_a.zip", "R_5_assignsubmission_file_a.zip"],
    "blackboard": ["HW_roe_attempt_2026-09-30-21-00-00_z.zip"],
    "brightspace": ["1-2 - Jane Doe - Sep 30, 2027 1058 PM/densenet.py", "index.html"],
    "sakai": ["Homework 1/Doe, Jane(jdoe)/Submission attachment(s)/densenet.py"],
    "gradescope": ["assignment_5_export/submission_metadata.yml", "assignment_5_export/s/a.py"],
    "github": [
        "d-submissions/d-jan/.git/HEAD",
        "d-submissions/d-mia/.git/HEAD",
        "d-submissions/d/x",
    ],
    "nbgrader": ["submitted/jan/densenet/densenet.ipynb"],
    "archives": ["class/jan.zip", "class/mia.zip", "class/list.csv"],
    "modules": ["jan_densenet.py", "mia_densenet.py", "tom-densenet.py", "tom-recipe.toml"],
    "folders with archives": ["jan/submission.zip", "mia/submission.zip"],
    "folders": ["jan/densenet.py", "mia/densenet.py", "tom/densenet.ipynb"],
}
SUBMISSIONS = {
    "flat": ["densenet.py", "densenet.weights.h5"],
    "one folder": ["hw/densenet.py", "hw/data/a.zip", "hw/data/b.zip"],
    "an archive in it": ["densenet-final/densenet.zip"],
    "three versions": ["densenet.py", "old_densenet.py", "older_densenet.py"],
    "two of them": ["old_densenet.py", "new_densenet.py", "densenet.weights.h5"],
    "old and new": ["old/densenet.py", "new/densenet.py"],
    "a platform's name deep in it": ["hw/x/doe_48213_991245_a.zip", "hw/densenet.py"],
    "without the module": ["model.py", "a.zip", "b.zip"],
    "empty": [],
}


@pytest.mark.parametrize("names", CLASSES.values(), ids=CLASSES)
def test_the_download_of_a_class_is_told_from_a_submission(
    tmp_path: Path, names: list[str]
) -> None:
    assert holds_a_class(zipped(tmp_path / "download.zip", *names), DEFAULT)


@pytest.mark.parametrize("names", SUBMISSIONS.values(), ids=SUBMISSIONS)
def test_a_students_zip_is_one_submission(tmp_path: Path, names: list[str]) -> None:
    assert not holds_a_class(zipped(tmp_path / "alice.zip", *names), DEFAULT)


def test_a_zip_that_bears_a_students_name_is_theirs_whatever_is_in_it(tmp_path: Path) -> None:
    names = CLASSES["canvas"]

    assert not holds_a_class(zipped(tmp_path / "mal_48215_991247_x.zip", *names), DEFAULT)
    assert not holds_a_class(zipped(tmp_path / "x.zip", *names), DEFAULT, "files")
    plain = zipped(tmp_path / "submission.zip", "a.zip", "b.zip")
    assert not holds_a_class(plain, DEFAULT)
    assert holds_a_class(plain, DEFAULT, "folders")
    (tmp_path / "no.zip").write_bytes(b"PK")
    assert not holds_a_class(tmp_path / "no.zip", DEFAULT)


def unpacked(file: Path, tmp_path: Path) -> tuple[dict[str, float], tuple[str, ...]]:
    found = unpack(file, tmp_path / "scratch", DEFAULT, ZONE)
    files = [path for path in found.folder.rglob("*") if path.is_file()]
    times = {path.relative_to(found.folder).as_posix(): path.stat().st_mtime for path in files}
    return times, found.left_out


def test_files_keep_their_times_and_hostile_names_are_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    instant = datetime(2027, 9, 30, 10, tzinfo=UTC).timestamp()
    file = zipped(
        tmp_path / "all.zip",
        "jan/submission.zip", "../evil.py", "/abs.py", "mia/../../up.py", "win\\dows.py",
        "jan/submission.zip/x.py", "__MACOSX/jan/x",
        **{"own.zip": b"UT\x05\x00\x01" + int(instant).to_bytes(4, "little")},
    )  # fmt: skip

    times, left = unpacked(file, tmp_path)

    local = datetime(2027, 9, 30, 22, 58, 40, tzinfo=ZONE).timestamp()
    assert times == {"jan/submission.zip": local, "own.zip": instant, "win/dows.py": local}
    assert set(left) == {"../evil.py", "/abs.py", "mia/../../up.py", "jan/submission.zip/x.py"}
    assert not (tmp_path / "evil.py").exists()


def test_a_link_is_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        info = zipfile.ZipInfo("jan.zip")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")

    assert unpacked(tmp_path / "all.zip", tmp_path) == ({}, ("jan.zip",))


def test_a_bomb_is_written_no_further_than_a_submission_may_measure(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    small = IntakePolicy(archive_bytes=1000, total_bytes=1000, weights_bytes=1000)
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("jan.zip", bytes(50_000))

    found = unpack(tmp_path / "all.zip", tmp_path / "scratch", small, ZONE)

    assert (found.folder / "jan.zip").stat().st_size == 1001


def test_a_disk_without_room_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grader.intake.bulk.FREE_BYTES", 2**80)

    with pytest.raises(UsageError, match="Set TMPDIR"):
        unpack(zipped(tmp_path / "all.zip", "a.zip"), tmp_path, DEFAULT, ZONE)


def test_names_in_utf8_that_do_not_say_so_are_read(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo("Jos\u00e9.zip"), b"x")
    data = bytearray(stream.getvalue())
    central = data.index(b"PK\x01\x02")
    data[7] &= ~0x08  # the flag that says UTF-8, in both headers
    data[central + 9] &= ~0x08
    (tmp_path / "all.zip").write_bytes(data)

    assert unpacked(tmp_path / "all.zip", tmp_path)[0].keys() == {"José.zip"}
