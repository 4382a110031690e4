"""`grade export --to html` of a results folder: the pages hold what the runs hold.

The sandbox answers from hand-written graphs: no student code runs, no TensorFlow is loaded.
"""

import pytest

from grader.cli import run
from grader.ledger import load_or_create_key
from grader.report.html.student import Beside
from grader.run.beside import LARGEST_PICTURE, MISTAKES, beside, picture_in
from grader.run.folder import RunFolder
from tests import examples
from tests.pipeline.test_pipeline import Replay, submission_zip
from tests.report.reading import Page

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A graded class of two."""
    sandbox = Replay()
    monkeypatch.setattr("grader.sandbox.open_sandbox", lambda *a, **k: sandbox)
    monkeypatch.chdir(tmp_path)
    for student in ("ada", "ben"):
        submission_zip(tmp_path / "in" / f"{student}.zip", student)
    run(["in", "--no-evaluation", "--submitted-at", "2026-09-01T12:00:00Z", "--quiet"])
    return tmp_path / "results"


def pages(folder):
    return {f.stem: Page(f.read_text("utf-8")) for f in (folder / "students").glob("*.html")}


def test_each_page_shows_the_network_of_its_run_beside_the_papers(results, capsys):
    status = run(["export", "results", "--to", "html", "--output", "out"])

    assert status == 0
    assert "out: 2 students' pages, and index.html" in capsys.readouterr().out
    found = pages(results.parent / "out")
    assert found.keys() == {"ada", "ben"}
    for page in found.values():
        assert "build_model() beside DenseNet" in page.text
        assert "transition 1" in page.text


def test_a_run_directory_alone_gives_its_own_page(results):
    run_dir = next(d for d in (results / "runs").iterdir() if (d / "run.json").is_file())

    assert run(["export", str(run_dir), "--to", "html", "--output", "one"]) == 0

    (page,) = pages(results.parent / "one").values()
    assert "beside the paper’s" in page.text


def test_no_frame_of_a_hidden_probe_is_read_for_a_page(results, monkeypatch):
    read = []
    frame = RunFolder.frame
    monkeypatch.setattr(
        RunFolder, "frame", lambda self, one: (read.append((self, one.name)), frame(self, one))[1]
    )

    run(["export", "results", "--to", "html", "--output", "out"])

    assert read
    for folder, name in read:
        hidden = {probe.id for probe in folder.record.probes if probe.hidden}
        assert name.partition(":")[2] not in hidden


def test_a_run_that_was_changed_by_another_hand_loses_its_picture_and_not_its_page(results):
    for run_dir in (results / "runs").iterdir():
        for frame in run_dir.glob("frame-*"):
            frame.write_bytes(b"{}")

    assert run(["export", "results", "--to", "html", "--output", "out"]) == 0

    found = pages(results.parent / "out")
    assert found.keys() == {"ada", "ben"}
    assert not [page for page in found.values() if "beside the paper" in page.text]


@pytest.mark.parametrize("content", [b"<svg onload=alert(1)>", PNG + b"\0" * LARGEST_PICTURE])
def test_a_page_carries_no_other_file_in_the_place_of_a_picture(tmp_path, content):
    file = tmp_path / MISTAKES
    file.write_bytes(content)
    assert picture_in(file) is None

    file.write_bytes(PNG)
    (tmp_path / "link.png").symlink_to(file)
    assert picture_in(file) == PNG
    assert picture_in(tmp_path / "link.png") is None
    assert picture_in(tmp_path / "none.png") is None


@pytest.mark.parametrize(
    ("mode", "seed", "folder"),
    [("weights", None, "evaluation"), ("retrain", 7, "retraining/seed-7")],
)
def test_the_worst_mistakes_are_those_of_the_measurement_that_counts(results, mode, seed, folder):
    run_dir = next(d for d in (results / "runs").iterdir() if (d / "run.json").is_file())
    for place, last in (("evaluation", b"w"), ("retraining/seed-7", b"r"), ("other", b"x")):
        (run_dir / place).mkdir(parents=True, exist_ok=True)
        (run_dir / place / MISTAKES).write_bytes(PNG + last)
    grade = examples.full_marks()
    details = grade.evaluation.details.model_copy(update={"pictures": (MISTAKES,), "seed": seed})
    made = grade.provenance.model_copy(update={"run": run_dir.name})
    measured = grade.evaluation.model_copy(update={"mode": mode, "details": details})

    found = beside(
        grade.model_copy(update={"evaluation": measured, "provenance": made}),
        results,
        load_or_create_key(),
    )

    assert found.mistakes == (run_dir / folder / MISTAKES).read_bytes()
    assert beside(examples.full_marks(), results, load_or_create_key()) == Beside()


def test_pseudonyms_are_drawn_from_the_course_key_and_from_no_other(
    results, monkeypatch, tmp_path, capsys
):
    words = ["export", "results", "--to", "html", "--pseudonyms", "--output"]
    assert run([*words, "first"]) == 0
    assert run([*words, "second"]) == 0

    first, second = pages(tmp_path / "first"), pages(tmp_path / "second")
    assert first.keys() == second.keys()
    assert not {"ada", "ben"} & first.keys()
    assert not [p for p in first.values() if "ada" in p.text.split() or "ben" in p.text.split()]
    assert load_or_create_key().id not in "".join(p.text for p in first.values())

    capsys.readouterr()
    other = tmp_path / "other.key"
    monkeypatch.setenv("GRADER_KEY_FILE", str(other))
    assert run([*words, "third"]) == 2
    assert "there is no course key here" in capsys.readouterr().err
    assert not other.exists()
    other.write_text("ab" * 32)
    assert run([*words, "third"]) == 2
    assert "were made with course key" in capsys.readouterr().err
    assert not (tmp_path / "third").exists()


def test_who_has_no_course_key_gets_pages_without_what_cannot_be_proved(
    results, monkeypatch, tmp_path
):
    monkeypatch.setenv("GRADER_KEY_FILE", str(tmp_path / "none.key"))

    assert run(["export", "results", "--to", "html", "--output", "out"]) == 0

    assert not (tmp_path / "none.key").exists()
    found = pages(tmp_path / "out")
    assert found.keys() == {"ada", "ben"}
    assert not [page for page in found.values() if "beside the paper" in page.text]
