"""The doctor: every lack is named with a fix, and only what makes grading impossible ends in 3."""

import io
import json
import shutil
import subprocess
import types
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfoNotFoundError

import pytest
from rich.console import Console

from grader import doctor, resources
from grader.assignment import DataSource
from grader.doctor import Reading, show
from grader.errors import Cause, InfrastructureError
from grader.ledger import load_or_create_key


def shown(readings, as_json=False):
    console = Console(file=io.StringIO(), width=80)
    status = show(readings, console, as_json)
    return status, console.file.getvalue()


def test_this_machine_has_what_needs_no_other_library():
    readings = [doctor._python(), doctor._clock(), doctor._zones()]

    assert [reading.status for reading in readings] == ["ok"] * 3


def test_a_clock_in_1970_is_missing(monkeypatch):
    class Broken(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(1970, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(doctor, "datetime", Broken)

    assert doctor._clock().status == "missing"


def test_a_machine_without_zone_database_is_told_to_install_tzdata(monkeypatch):
    def no_zone(name):
        raise ZoneInfoNotFoundError(name)

    monkeypatch.setattr(doctor, "ZoneInfo", no_zone)

    reading = doctor._zones()
    assert (reading.status, "tzdata" in reading.fix) == ("missing", True)


def test_an_old_python_is_missing_and_the_right_ones_are_named(monkeypatch):
    monkeypatch.setattr(doctor.sys, "version_info", (3, 9, 1))

    reading = doctor._python()
    assert reading.status == "missing"
    assert "3.11" in reading.fix


def test_a_full_disk_is_a_note_with_the_way_out(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: types.SimpleNamespace(free=10**6))

    reading = doctor._disk()
    assert reading.status == "note"
    assert "--results" in reading.fix


def test_little_memory_is_a_note(monkeypatch):
    monkeypatch.setattr(doctor, "_memory_bytes", lambda: 2**30)

    reading = doctor._memory()
    assert (reading.status, reading.found) == ("note", "1.0 GiB")
    assert reading.fix


def test_tensorflow_that_cannot_be_imported_is_missing_with_its_last_line(monkeypatch):
    def fails(*_, **__):
        raise subprocess.CalledProcessError(
            1, "python", stderr="Traceback …\nModuleNotFoundError: No module named 'keras'\n"
        )

    monkeypatch.setattr(subprocess, "run", fails)

    (reading,) = doctor._tensorflow()
    assert reading.status == "missing"
    assert "No module named 'keras'" in reading.found
    assert "[cpu]" in reading.fix


def test_the_gpus_are_those_that_jax_sees(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr("grader.engine.devices.installed", lambda name: True)
    monkeypatch.setattr(doctor, "_ask", lambda program: (["NVIDIA H200"], ""))

    reading = doctor._gpus()
    assert (reading.status, reading.found) == ("ok", "NVIDIA H200")


def test_a_driver_without_a_visible_gpu_is_never_silent(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi")

    assert [doctor._gpu([], cuda).fix != "" for cuda in (True, False)] == [True, True]


def test_a_gpu_that_is_asked_for_and_not_there_makes_grading_impossible(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("NVIDIA_VISIBLE_DEVICES", raising=False)

    reading = doctor._gpu([], True, "gpu")
    assert (reading.status, "--gpus all" in reading.fix) == ("missing", True)
    assert doctor._gpu([], True, "auto").status == "note"
    assert doctor._gpu([], True, "cpu").status == "note"


def test_a_sandbox_that_is_not_there_says_what_it_needs(monkeypatch):
    def refuses(kind):
        raise InfrastructureError(Cause.INFRA_SANDBOX, "no Landlock.", "Use Docker.")

    monkeypatch.setattr("grader.sandbox.open_sandbox", refuses)

    reading = doctor._provider("jail")
    assert (reading.status, reading.fix) == ("note", "no Landlock. Use Docker.")


def test_images_that_are_nowhere_are_a_note_with_the_two_ways_to_have_them(tmp_path):
    reading = doctor._data(tmp_path, DataSource(name="cifar10"))

    assert reading.status == "note"
    assert "GRADER_DATA" in reading.fix


def test_a_wrong_assignment_is_missing_and_quoted(tmp_path):
    (tmp_path / "assignment.toml").write_text('title = ""\n')

    reading = doctor._assignment(tmp_path)
    assert reading.status == "missing"
    assert "title" in reading.found


def test_a_broken_list_of_extensions_is_missing_and_quoted(tmp_path):
    shutil.copytree(resources.assignment_dir(), tmp_path / "course")
    toml = tmp_path / "course" / "assignment.toml"
    toml.write_text(toml.read_text().replace("# extensions =", "extensions ="))
    (tmp_path / "course" / "extensions.csv").write_text("student_id,due\nchen,tomorrow\n")

    reading = doctor._assignment(tmp_path / "course")

    assert reading.status == "missing"
    assert "extensions.csv" in reading.found


@pytest.mark.parametrize(("status", "expected"), [("ok", 0), ("note", 0), ("missing", 3)])
def test_only_what_makes_grading_impossible_ends_in_3(status, expected):
    ended, _ = shown([Reading(name="disk", status=status, found="…", fix="…")])

    assert ended == expected


def test_the_table_fits_80_columns_and_says_the_status_in_words():
    reading = Reading(name="disk", status="missing", found="full " * 30, fix="Free it. " * 20)

    _, text = shown([reading])
    assert max(map(len, text.splitlines())) <= 80
    assert "missing" in text
    assert "cannot grade" in text


def test_paths_in_readings_are_not_read_as_markup():
    _, text = shown([Reading(name="CIFAR-10", status="ok", found="/data/[red]x[/red]")])

    assert "/data/[red]x[/red]" in text


def test_json_is_for_programs():
    reading = Reading(name="disk", status="note", found="1 GiB", fix="Free it.")

    _, text = shown([reading], as_json=True)
    assert json.loads(text) == {
        "schema_version": 1,
        "can_grade": True,
        "can_check_own_work": True,
        "readings": [{"name": "disk", "status": "note", "found": "1 GiB", "fix": "Free it."}],
    }


def test_the_memory_of_a_container_is_its_limit(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda self: "1073741824\n")

    assert doctor._memory_bytes() == 2**30


def test_where_the_course_key_lies_is_said_and_the_key_is_not(tmp_path, monkeypatch):
    place = tmp_path / "course.key"
    monkeypatch.setenv("GRADER_KEY_FILE", str(place))

    before = doctor._course_key()
    assert not place.exists()
    key = load_or_create_key()
    after = doctor._course_key()

    assert (before.status, after.status) == ("note", "ok")
    assert str(place) in before.found
    assert key.id in after.found
    assert str(place) in after.found
    assert key.secret.hex() not in after.found


def test_a_file_that_is_no_course_key_is_what_makes_grading_impossible(tmp_path, monkeypatch):
    (tmp_path / "course.key").write_text("no key")
    monkeypatch.setenv("GRADER_KEY_FILE", str(tmp_path / "course.key"))

    reading = doctor._course_key()

    assert reading.status == "missing"
    assert "64 hexadecimal digits" in reading.found


def test_a_laptop_s_processor_is_told_how_long_the_laptops_recipe_takes():
    reading = doctor._training(rate=1e11)

    assert reading.status == "ok"
    assert reading.found.startswith("about 25 min on the processor by recipe.laptop.toml")


def test_a_slow_processor_is_told_where_to_train():
    reading = doctor._training(rate=5e9)

    assert reading.status == "note"
    assert "about 8 hours" in reading.found
    assert "Colab" in reading.fix


def test_the_speed_of_the_processor_comes_with_tensorflow(monkeypatch):
    told = {"versions": "TensorFlow 2.21.0, Keras 3.15.1", "rate": 2e11}
    monkeypatch.setattr(doctor, "_ask", lambda program: (told, ""))

    assert [r.name for r in doctor._tensorflow()] == ["TensorFlow", "Training"]
