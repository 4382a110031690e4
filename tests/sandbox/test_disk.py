"""What a run's files take, and their removal: folders as no honest program makes them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from grader.inside import disk


def nest(folder: Path, name: str, depth: int) -> None:
    """Make folders in each other, deeper than any path reaches."""
    place = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=place)
        below = os.open(name, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=place))
    os.close(place)


@pytest.mark.parametrize(("name", "depth"), [("d", 3000), ("d" * 250, 30)])
def test_folders_deeper_than_any_path_are_removed(tmp_path: Path, name: str, depth: int) -> None:
    run = tmp_path / "run"
    run.mkdir()
    nest(run, name, depth)
    nest(tmp_path, "beside", 1)

    disk.remove(str(run))

    assert [path.name for path in tmp_path.iterdir()] == ["beside"]


def test_what_forbids_its_own_removal_is_removed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for mode in (0o000, 0o300, 0o500, 0o111):
        folder = run / f"{mode:o}" / "below"
        folder.mkdir(parents=True)
        (folder / "file").touch(mode=0)
        folder.chmod(mode)
        folder.parent.chmod(mode)
    run.chmod(0o300)

    disk.remove(str(run))

    assert list(tmp_path.iterdir()) == []


def test_a_link_is_removed_and_what_it_names_stays(tmp_path: Path) -> None:
    run, kept = tmp_path / "run", tmp_path / "kept"
    (run / "below").mkdir(parents=True)
    kept.mkdir(mode=0o750)
    (kept / "file").touch()
    (run / "link").symlink_to(kept)
    (run / "below" / "link").symlink_to("../../kept")
    os.link(kept / "file", run / "file")

    disk.remove(str(run))

    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (kept / "file").exists()
    assert kept.stat().st_mode & 0o777 == 0o750


def test_what_is_not_there_is_removed_already(tmp_path: Path) -> None:
    disk.remove(str(tmp_path / "never"))


def test_what_cannot_be_removed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "file").touch()

    def refuse(*_: object, **__: object) -> None:
        raise OSError("busy")

    monkeypatch.setattr(os, "unlink", refuse)

    with pytest.raises(OSError, match="busy"):
        disk.remove(str(tmp_path / "run"))


def test_every_file_counts_once_however_many_names_it_has(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(bytes(100_000))
    before = disk.use(str(tmp_path), [])
    os.link(tmp_path / "below" / "file", tmp_path / "again")

    assert disk.use(str(tmp_path), []) == before
    assert 100_000 <= before < 200_000


def test_a_file_that_is_large_and_empty_counts_its_size(tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(10**9)

    assert disk.use(str(tmp_path), []) >= 10**9


def test_what_cannot_be_counted_is_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nest(tmp_path, "d", disk.MAX_DEPTH + 2)
    assert disk.use(str(tmp_path), []) == sys.maxsize

    disk.clear(str(tmp_path))
    assert disk.use(str(tmp_path), []) == 0

    monkeypatch.setattr(disk, "MAX_ENTRIES", 5)
    for number in range(6):
        (tmp_path / f"{number}").touch()
    assert disk.use(str(tmp_path), []) == sys.maxsize


def test_a_long_path_counts(tmp_path: Path) -> None:
    nest(tmp_path, "d" * 250, 20)
    place = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        place = os.open("d" * 250, os.O_RDONLY, dir_fd=place)
    file = os.open("big", os.O_WRONLY | os.O_CREAT, dir_fd=place)
    os.truncate(file, 10**9)

    assert 10**9 <= disk.use(str(tmp_path), []) < sys.maxsize
    disk.clear(str(tmp_path))
