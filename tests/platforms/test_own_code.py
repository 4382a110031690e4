"""One's own code on Windows and macOS, as far as it can be tried without them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grader import doctor
from grader.engine.data import NoData, find_images
from grader.resources import reference_dir
from grader.sandbox import sandbox_for_own_code
from tests.platforms.pretending import ROOT

NOWHERE = "tcp://127.0.0.1:9"
"""Where no Docker engine answers."""


def grade_on(system: str, *words: object, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    """`grade` in a Python that lacks what another system lacks, before a console of Windows."""
    settings = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252", "DOCKER_HOST": NOWHERE}
    return subprocess.run(
        [sys.executable, "-m", "tests.platforms.pretending", system, *map(str, words)],
        cwd=cwd,
        env=os.environ | settings | {"GRADER_KEY_FILE": str(cwd / "course.key")},
        capture_output=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The reference's code as an editor of Windows writes it, in a folder with any name."""
    place = tmp_path / "Übung 3 (θ)"
    place.mkdir()
    text = (reference_dir() / "densenet.py").read_text(encoding="utf-8")
    said = text + '\nprint("θ = ½, drücke →")\n'
    content = b"\xef\xbb\xbf" + said.replace("\n", "\r\n").encode()
    (place / "densenet.py").write_bytes(content)
    return place


WITH_LAUNCH = pytest.mark.tensorflow


@WITH_LAUNCH
@pytest.mark.parametrize("system", ["win32", pytest.param("darwin", marks=pytest.mark.exhaustive)])
def test_own_code_is_checked(system: str, folder: Path) -> None:
    told = grade_on(system, "check", folder, "--json", "grade.json", cwd=folder.parent)

    said = told.stdout.decode("cp1252") + told.stderr.decode("cp1252")
    assert told.returncode == 0, said
    (grade,) = json.loads((folder.parent / "grade.json").read_text(encoding="utf-8"))["grades"]
    assert "failed" not in {check["outcome"] for check in grade["checks"]}, said
    assert "82 of 82" in said


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_other_peoples_code_is_refused_and_the_way_is_named(system: str, folder: Path) -> None:
    packed = grade_on(system, "pack", folder, cwd=folder.parent)

    told = grade_on(system, folder / "submission.zip", cwd=folder.parent)

    assert packed.returncode == 0, packed.stderr
    assert told.returncode == 3
    said = " ".join(told.stderr.decode("cp1252").split())
    assert "Start Docker" in said or "Grade in WSL 2" in said
    assert not (folder.parent / "results" / "runs").exists()


@WITH_LAUNCH
@pytest.mark.exhaustive
def test_own_weights_are_tried_when_they_are_packed(folder: Path) -> None:
    shutil.copy(reference_dir() / "densenet.weights.h5", folder)

    told = grade_on("win32", "pack", folder, cwd=folder.parent)

    assert told.returncode == 0, told.stderr
    assert b", the weights that count" in told.stdout
    assert b"remark" not in told.stdout


def test_the_template_is_written_and_its_stub_is_packed_with_a_remark(tmp_path: Path) -> None:
    begun = grade_on("win32", "init", "densenet", cwd=tmp_path)
    again = grade_on("win32", "init", "densenet", cwd=tmp_path)
    packed = grade_on("win32", "pack", "densenet", cwd=tmp_path)
    repacked = grade_on("win32", "pack", "densenet", cwd=tmp_path)

    assert (begun.returncode, again.returncode) == (0, 2), begun.stderr
    assert (packed.returncode, repacked.returncode) == (0, 0), packed.stderr + repacked.stderr
    assert b"still to be written: dense_block and transition" in packed.stdout


@WITH_LAUNCH
@pytest.mark.exhaustive
@pytest.mark.data
@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_own_code_is_trained_twice(system: str, tmp_path: Path) -> None:
    """Checkpoints, weights and curve take the place of those that are there."""
    found = find_images()
    if isinstance(found, NoData):
        pytest.skip(found.reason)
    small = (
        "import keras\n\n\ndef build_model():\n    i = keras.Input((32, 32, 3))\n"
        "    x = keras.layers.GlobalAveragePooling2D()(i)\n"
        "    return keras.Model(i, keras.layers.Dense(10, activation='softmax')(x))\n\n\n"
        "def preprocess(images):\n    return keras.ops.cast(images, 'float32') / 255.0\n"
    )
    (tmp_path / "densenet.py").write_bytes(small.replace("\n", "\r\n").encode())
    for epochs in (1, 2):
        recipe = f"epochs = {epochs}\r\nbatch_size = 500\r\nvalidation = 0.1\r\n"
        (tmp_path / "recipe.toml").write_bytes(recipe.encode())
        told = grade_on(system, "train", ".", cwd=tmp_path)
        assert told.returncode == 0, told.stderr
        assert b"finished after epoch %d" % epochs in told.stdout
    assert (tmp_path / "densenet.weights.previous.h5").is_file()
    assert (tmp_path / "training.png").is_file()


def test_a_process_with_limits_is_refused_on_windows(folder: Path) -> None:
    told = grade_on("win32", folder, "--sandbox", "process", cwd=folder.parent)

    assert told.returncode == 3
    assert b"WSL 2" in told.stderr


# --- what is chosen, and what doctor says -------------------------------------------------


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_own_code_needs_no_sandbox_elsewhere(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", system)

    assert sandbox_for_own_code() == "plain"
    assert doctor._own_code().status == "ok"
    assert "needs no sandbox" in doctor._own_code().found


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("darwin", "x86_64", "Intel"),
        ("win32", "ARM64", "WSL 2"),
        ("darwin", "arm64", "densenet-grader[cpu]"),
        ("win32", "AMD64", "densenet-grader[cpu]"),
        ("linux", "x86_64", "densenet-grader[cpu]"),
    ],
)
def test_doctor_says_where_tensorflow_cannot_be_had(
    system: str, machine: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr(doctor.platform, "machine", lambda: machine)

    monkeypatch.setattr(doctor, "_ask", lambda program: (None, "No module named 'tensorflow'"))

    assert expected in doctor._tensorflow()[0].fix


@pytest.mark.parametrize(("system", "way"), [("win32", "WSL 2"), ("darwin", "Docker")])
def test_doctor_says_what_grading_others_needs(
    system: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)

    readings = doctor._isolation()

    assert [reading.name for reading in readings] == ["docker", "isolation"]
    assert readings[-1].status == "note"
    assert way in readings[-1].fix


@pytest.mark.parametrize(
    ("statuses", "verdict", "can_grade", "status"),
    [
        (("ok", "ok"), "This machine can grade.", True, 0),
        (("ok", "note"), "This machine can check, train and pack your own work", False, 0),
        (("missing", "note"), "This machine cannot grade yet.", False, 3),
    ],
)
def test_doctor_tells_own_work_from_grading(
    statuses: tuple[doctor.Status, doctor.Status],
    verdict: str,
    can_grade: bool,
    status: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from rich.console import Console

    names = ("TensorFlow", doctor.ISOLATION)
    readings = [
        doctor.Reading(name=name, status=found, found="")
        for name, found in zip(names, statuses, strict=True)
    ]

    assert doctor.show(readings, Console(), as_json=False) == status
    assert verdict in " ".join(capsys.readouterr().out.split())
    assert doctor.show(readings, Console(), as_json=True) == status
    assert json.loads(capsys.readouterr().out)["can_grade"] is can_grade
