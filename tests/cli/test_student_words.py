"""Words that students type: one check alone, its explanation, and what was meant by a slip."""

import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from grader.checks import CHECKS
from grader.cli import run
from grader.resources import assignment_dir
from grader.student.explain import explanation
from grader.student.explanations import EXPLANATIONS, LINKED
from tests.pipeline.test_pipeline import Replay, replayed

GOLDEN = Path(__file__).parents[1] / "report" / "golden"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    replay = Replay()
    monkeypatch.setattr("grader.sandbox.open_sandbox", lambda *a, **k: replay)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "densenet.py").write_text("# mine\n")
    monkeypatch.chdir(tmp_path)
    return replay


def test_one_check_alone_asks_its_function_and_shows_itself(folder, capsys):
    status = run(["check", "--only", "transition-shape", "--sandbox", "process"])

    told = capsys.readouterr().out
    (stage,) = folder.stages
    assert status == 0
    assert {probe["function"] for probe in stage.request["probes"]} == {"transition"}
    assert stage.request["model"] is None
    assert "✓ shape transition-shape" in told
    assert "Next: `grade check`, which makes all checks." in told
    assert "growth" not in told


FAILED = {
    "failure": {"type": "NameError", "message": "name 'y' is not defined",
                "where": "densenet.py, line 9, in dense_block", "line": "return y",
                "through": "line 20, in half"},
    "printed": "maps: 17",
}  # fmt: skip


def failing_block(stage):
    result = replayed(stage)
    told = json.dumps(FAILED).encode()
    frames = {n: told if n.startswith("probe:block") else f for n, f in result.json_frames.items()}
    return replace(result, json_frames=frames)


def test_one_check_alone_shows_what_its_function_raised_and_printed_and_nothing_else(
    folder, capsys
):
    folder.effects["# mine"] = failing_block

    status = run(["check", "--only", "bottleneck", "--sandbox", "process"])

    told = capsys.readouterr().out
    assert status == 1
    assert " 1  densenet.py, line 9, in dense_block: NameError: name 'y' is" in told
    assert "called in line 20, in half" in told
    assert "it printed:\n    │ maps: 17\n" in "\n".join(map(str.rstrip, told.splitlines())) + "\n"
    assert "1 further check follows from this: bottleneck" in told
    assert "then `grade check --only bottleneck` again." in told
    assert "head" not in told


def test_a_conclusion_alone_is_told_with_what_is_wrong_in_the_table_that_it_is_read_from(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    unit = assignment_dir() / "units" / "05-residual"
    for name in ("residual.py", "experiment.py", "answers.toml"):
        Path(name).write_text((unit / "reference" / name).read_text())
    whole = (unit / "reference" / "degradation.csv").read_text()
    Path("degradation.csv").write_text(whole.replace("plain,20,1,", "plain,20,7,", 1))

    status = run(
        ["check", "--only", "plain-degradation", "--assignment", str(unit), "--sandbox", "process"]
    )

    told = " ".join(capsys.readouterr().out.split())
    assert status == 1
    assert "degradation.csv, line 2: epoch: expected 1, the next one of kind" in told
    assert "1 further check follows from this: plain-degradation" in told
    assert "residual-degradation" not in told


def test_a_check_that_is_none_is_said_before_anything_runs(folder, capsys):
    assert run(["check", "--only", "transition_shap"]) == 2

    assert "Did you mean transition-shape?" in capsys.readouterr().err
    assert folder.stages == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["chek", "mine"],
            "chek: there is no such command, and no such file. Did you mean grade",
        ),
        (["pakc"], "Did you mean grade pack?"),
        (["check", "a", "b"], "grade: b: nothing more was expected here.\nSee grade check --help."),
        (["check", "--dif"], "Did you mean --diff?\nSee grade check --help."),
        (["explain", "dense-conectivity"], "Did you mean dense-connectivity?"),
        ([], "grade: expected a submission, such as submission.zip."),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(folder, words, said, capsys):
    assert run(words) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_is_named_nearly_like_a_command_is_a_file(folder, capsys):
    Path("chek").write_text("no zip")

    run(["chek", "--no-evaluation"])

    assert "no such command" not in capsys.readouterr().err


def test_every_check_of_a_densenet_is_explained():
    assert set(EXPLANATIONS) == {check.name for check in CHECKS}
    assert set(EXPLANATIONS) > LINKED


@pytest.mark.parametrize("name", ["dense-connectivity", "transition-layer", "module-contract"])
def test_an_explanation_is_what_was_agreed(name):
    (check,) = (c for c in CHECKS if c.name == name)
    console = Console(file=io.StringIO(), width=80)
    console.print(explanation(check, 5))
    shown = "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"
    kept = GOLDEN / f"explain.{name}.80.txt"
    if os.environ.get("GOLDEN") == "write":
        kept.write_text(shown, encoding="utf-8")

    assert shown == kept.read_text(encoding="utf-8")


def test_without_a_name_all_checks_are_listed(folder, capsys):
    assert run(["explain"]) == 0

    told = capsys.readouterr().out
    assert all(check.name in told for check in CHECKS)
