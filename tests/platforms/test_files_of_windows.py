"""What Windows does to files, tried without it: each was a hole, or could become one."""

import os
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from grader import doctor, files
from grader.engine import child
from grader.intake import members

CLOUD, JUNCTION, LINK = 0x9000601A, 0xA0000003, 0xA000000C


@pytest.mark.parametrize(
    ("attributes", "tag", "special"),
    [
        (0x20, 0, None),
        (0x420, CLOUD, None),
        (0x400, JUNCTION, "a symbolic link"),
        (0x400, LINK, "a symbolic link"),
        (0x400, 0, "a symbolic link"),
    ],
    ids=["plain", "kept by OneDrive", "junction", "link", "unknown"],
)
def test_a_file_that_onedrive_keeps_is_a_file(
    attributes: int, tag: int, special: str | None
) -> None:
    info = SimpleNamespace(
        st_mode=stat.S_IFREG | 0o644, st_nlink=1, st_file_attributes=attributes, st_reparse_tag=tag
    )

    assert members._special(Path("densenet.py"), info) == special  # type: ignore[arg-type]


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[float]]:
    """A system where a file is looked at by others for so many tries; the pauses between them."""
    as_it_is = os.replace

    def for_tries(count: int) -> list[float]:
        left, pauses = [count], list[float]()

        def replace(source: str, target: str) -> None:
            left[0] -= 1
            if left[0] >= 0:
                raise PermissionError(13, "Access is denied")
            as_it_is(source, target)

        monkeypatch.setattr(files.os, "replace", replace)
        monkeypatch.setattr(files.time, "sleep", pauses.append)
        return pauses

    return for_tries


def test_a_file_that_a_scanner_looks_at_is_written_a_moment_later(
    busy: Callable[[int], list[float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    pauses = busy(3)

    files.write_atomically(tmp_path / "densenet.weights.h5", b"trained")

    assert (tmp_path / "densenet.weights.h5").read_bytes() == b"trained"
    assert len(pauses) == 3


@pytest.mark.parametrize(("system", "tries"), [("win32", 6), ("linux", 1)])
def test_a_file_that_stays_forbidden_is_told(
    system: str, tries: int, busy: Callable[[int], list[float]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("sys.platform", system)
    pauses = busy(100)

    with pytest.raises(PermissionError):
        files.write_atomically(tmp_path / "x", b"new")

    assert len(pauses) == tries - 1
    assert list(tmp_path.iterdir()) == []


def test_a_child_that_the_system_ended_has_a_status_everywhere() -> None:
    assert -signal.SIGKILL == child.KILLED


def test_what_libraries_say_in_another_encoding_is_no_reason_to_miss_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A user called Ö, on a console of Windows: bytes that are no UTF-8."""
    as_it_is = subprocess.run

    def loud(command: list[str], **keywords: object) -> object:
        said = "import sys; sys.stderr.buffer.write(bytes([0x81, 0xd6])); print('[1]')"
        return as_it_is([*command[:-1], said], **keywords)  # type: ignore[call-overload]

    monkeypatch.setattr(doctor.subprocess, "run", loud)

    assert doctor._ask("") == ([1], "")
