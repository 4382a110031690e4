"""The course key is made once, kept from others, and never shown."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from grader.errors import Cause, InfrastructureError, UsageError
from grader.ledger.key import CourseKey, default_key_path, load_or_create_key

KEY = CourseKey.of(bytes(range(32)))


def test_a_missing_key_is_made_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "course.key"

    key = load_or_create_key(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_or_create_key(path) == key
    assert os.listdir(path.parent) == ["course.key"]


def test_many_that_make_it_at_once_have_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(load_or_create_key, [tmp_path / "course.key"] * 16))

    assert len({key.secret for key in keys}) == 1


def test_a_key_that_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "course.key"
    load_or_create_key(path)
    path.chmod(0o644)

    load_or_create_key(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"short", b"g" * 64, b"0" * 65, b"0" * 64 + b"x"])
def test_a_file_that_holds_no_key_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "course.key"
    path.write_bytes(content)

    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        load_or_create_key(path)

    assert path.read_bytes() == content


def test_a_key_that_cannot_be_made_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(InfrastructureError) as caught:
        load_or_create_key(tmp_path / "file" / "course.key")

    assert caught.value.cause is Cause.INFRA_DISK


def test_the_environment_names_the_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GRADER_KEY_FILE", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    assert default_key_path() == tmp_path / "densenet-grader" / "course.key"

    monkeypatch.setenv("GRADER_KEY_FILE", str(tmp_path / "k"))

    assert default_key_path() == tmp_path / "k"


def test_the_key_is_not_shown() -> None:
    assert KEY.secret.hex() not in repr(KEY)
    assert "secret" not in repr(KEY)
    assert KEY.id not in KEY.secret.hex()


def test_what_is_derived_depends_on_key_submission_and_purpose_and_repeats() -> None:
    other = CourseKey.of(bytes(32))
    derived = {
        KEY.derive("a", "probes"),
        KEY.derive("b", "probes"),
        KEY.derive("a", "ledger"),
        other.derive("a", "probes"),
    }

    assert len(derived) == 4
    assert KEY.derive("a", "probes") in derived
    assert all(len(value) == 32 for value in derived)


def test_a_short_key_is_no_key() -> None:
    with pytest.raises(ValueError, match="expected 32 bytes"):
        CourseKey.of(b"short")
