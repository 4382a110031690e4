"""A class graded again, scores set by hand, and a student's history, from the command line."""

import json
import sqlite3
from html import unescape

import pytest

from grader.cli import run
from grader.errors import EXIT_USAGE
from grader.ledger import Ledger, counting_grades
from grader.run.audit import verify_results
from tests.pipeline.test_regrade import EDITS, QUESTIONS, Bench


@pytest.fixture
def bench(tmp_path, monkeypatch):
    bench = Bench(tmp_path, monkeypatch)
    bench.grade()
    return bench


def regraded(bench, *words, course=None):
    where = ["--assignment", str(course or bench.course)]
    return run(["regrade", str(bench.results), *where, *words])


def by_hand(bench, *words):
    who = ["--why", "the bus was late", "--by", "Dr. Rao"]
    return run(["override", str(bench.results), *words, *who])


def scores(bench):
    return {grade.student_id: grade.score for grade in counting_grades(bench.results)}


def line_of(bench, text):
    lines = (bench.course / "assignment.toml").read_text().splitlines()
    return next(n for n, line in enumerate(lines, start=1) if line.startswith(text))


# --- a folder graded again ----------------------------------------------------------------


def test_a_lowered_threshold_says_who_changed_and_by_which_line(bench, capsys):
    bench.change("threshold = 0.85 ", "threshold = 0.90 ")
    before = len(bench.sandbox.stages), bench.measures

    status = regraded(bench)

    out = capsys.readouterr().out
    assert status == 0
    assert "ada  100 / 100 → 82 / 100" in out
    assert f"assignment.toml, line {line_of(bench, 'threshold')}: threshold = 0.90" in out
    assert "(was: threshold = 0.85" in out
    assert "2 changed, 0 unchanged, 0 refused" in out
    assert scores(bench) == {"ada": 82, "ben": 82}
    assert (len(bench.sandbox.stages), bench.measures) == before
    assert verify_results(bench.results) == []


def test_a_rubric_and_a_late_policy_are_named_by_their_lines(bench, capsys):
    bench.change("stem = { points = 3", "stem = { points = 23")
    bench.change('due = "2027-09-30T23:00:00"', 'due = "2027-08-31T23:00:00"')
    policy = 'policy = "per_day"\ndeduction = 10'
    bench.change('policy = "reject"', policy)

    regraded(bench)

    out = capsys.readouterr().out
    assert "ada  100 / 100 → 110 / 120" in out
    for start in ("stem", "due", "policy", "deduction"):
        assert f"line {line_of(bench, start)}: {start}" in out
    assert "threshold" not in out


def test_the_same_regrade_again_changes_and_records_nothing(bench, capsys):
    bench.change("threshold = 0.85 ", "threshold = 0.90 ")
    regraded(bench)
    count = Ledger(bench.results).head().count

    regraded(bench)

    assert "0 changed, 2 unchanged, 0 refused" in capsys.readouterr().out
    assert Ledger(bench.results).head().count == count == 4


def test_a_dry_run_says_the_same_and_leaves_everything_as_it_was(bench, capsys):
    bench.change("threshold = 0.85 ", "threshold = 0.90 ")
    before = bench.state()

    regraded(bench, "--dry-run")
    tried = capsys.readouterr()
    unlocked = {k: v for k, v in bench.state().items() if not k.endswith("grading.lock")}
    regraded(bench)

    assert unlocked == before
    assert "Not recorded" in tried.err
    assert tried.out == capsys.readouterr().out


@pytest.mark.parametrize(("old", "new"), EDITS.values(), ids=EDITS)
def test_everything_that_decides_no_run_is_answered_from_disk(bench, capsys, old, new):
    bench.change(old, new)

    assert regraded(bench) == 0
    assert "0 refused" in capsys.readouterr().out
    assert len(bench.sandbox.stages) == 2


@pytest.mark.parametrize(("old", "new", "named"), QUESTIONS.values(), ids=QUESTIONS)
def test_what_no_run_was_asked_is_refused_by_name_and_keeps_its_grade(
    bench, capsys, old, new, named
):
    bench.change(old, new)

    status = regraded(bench)

    out = capsys.readouterr().out
    assert status == EXIT_USAGE
    assert "not graded again: ada (ada.zip): " in out
    assert named.replace("\\", "") in out
    assert "Grade the submission again" in out
    assert "0 changed, 0 unchanged, 2 refused" in out
    assert scores(bench) == {"ada": 100, "ben": 100}


def test_an_edited_run_is_refused_and_the_others_are_graded(bench, capsys):
    file = bench.run_of("ada") / "evaluation.json"
    file.write_text(file.read_text().replace("8573", "9999"))
    bench.change("threshold = 0.85 ", "threshold = 0.90 ")

    status = regraded(bench)

    assert status == EXIT_USAGE
    assert "not graded again: ada (ada.zip): evaluation.json" in capsys.readouterr().out
    assert scores(bench) == {"ada": 100, "ben": 82}


def test_what_was_rejected_unread_stays_rejected_by_the_new_maximum(bench, capsys):
    (bench.folder / "in" / "eve.zip").write_bytes(b"no zip")
    bench.words("in/eve.zip")
    bench.change("stem = { points = 3", "stem = { points = 23")
    capsys.readouterr()

    assert regraded(bench) == 0
    assert "2 changed, 1 unchanged, 0 refused" in capsys.readouterr().out
    assert {grade.max_score for grade in counting_grades(bench.results)} == {120}


def test_a_time_set_by_hand_stands_in_a_regrade(bench):
    bench.words("in/ada.zip", "--submitted-at", "2027-12-24T12:00:00Z")
    bench.change("threshold = 0.85 ", "threshold = 0.80 ")

    regraded(bench)

    ada = next(g for g in counting_grades(bench.results) if g.student_id == "ada")
    assert (ada.status.value, ada.submission.received_from) == ("rejected", "argument")


def test_what_the_checks_found_is_read_and_not_found_again(bench, monkeypatch):
    bench.change("threshold = 0.85 ", "threshold = 0.90 ")
    monkeypatch.setattr("grader.run.assessment.evidence_of", None)

    assert regraded(bench) == 0
    assert scores(bench) == {"ada": 82, "ben": 82}


def test_what_another_program_found_is_found_again(bench, monkeypatch):
    before = (bench.run_of("ada") / "judged.json").read_bytes()
    monkeypatch.setattr("grader.run.assessment.JUDGES", ("graph",))

    regraded(bench)

    assert (bench.run_of("ada") / "judged.json").read_bytes() != before
    assert verify_results(bench.results) == []


def test_an_edited_finding_is_found_and_never_read(bench, capsys):
    file = bench.run_of("ada") / "judged.json"
    file.write_text(file.read_text().replace('"passed"', '"failed"', 1))

    assert regraded(bench) == EXIT_USAGE
    assert "judged.json" in verify_results(bench.results)[0].message


def test_options_of_one_run_are_refused_for_a_folder(bench, capsys):
    assert regraded(bench, "--evaluate") == EXIT_USAGE
    assert "--evaluate: expected a run directory" in capsys.readouterr().err


def test_the_json_holds_the_new_grades(bench):
    file = bench.folder / "again.json"
    bench.change("threshold = 0.85 ", "threshold = 0.90 ")

    regraded(bench, "--json", str(file))

    grades = json.loads(file.read_text())["grades"]
    assert [(g["student_id"], g["score"], g["counts"]) for g in grades] == [
        ("ada", 82, True), ("ben", 82, True),
    ]  # fmt: skip


# --- set by hand --------------------------------------------------------------------------


def test_a_score_set_by_hand_is_shown_as_such_everywhere(bench, capsys):
    assert by_hand(bench, "ada", "--score", "70") == 0

    run(["report", str(bench.results), "ada"])
    report = capsys.readouterr().out
    run(["report", str(bench.results)])
    table = capsys.readouterr().out
    for kind in ("csv", "json"):
        run(["export", str(bench.results), "--to", kind, "--output", str(bench.folder / kind)])
    (ada, _) = json.loads((bench.folder / "json").read_text())["grades"]

    for text in (report, table):
        assert "by hand: 100 → 70 (Dr. Rao: the bus was late)" in text
    assert "70 / 100" in report
    assert ",70,100," in (bench.folder / "csv").read_text()
    assert "Dr. Rao,the bus was late" in (bench.folder / "csv").read_text()
    assert (ada["score"], ada["status"]) == (70, "graded")
    assert (ada["override"]["by"], ada["override"]["computed_score"]) == ("Dr. Rao", 100)
    assert verify_results(bench.results) == []


def test_a_student_reads_that_it_was_set_and_not_why(bench, capsys):
    by_hand(bench, "ada", "--score", "70")

    run(["export", str(bench.results), "--to", "feedback", "--output", str(bench.folder / "f")])

    (file,) = (bench.folder / "f").glob("ada.*")
    text = unescape(file.read_text())
    assert "The course's staff has set this score." in text
    assert "70" in text
    assert "bus" not in text
    assert "Rao" not in text


def test_it_survives_regrades_and_grading_again_until_it_is_lifted(bench, capsys):
    by_hand(bench, "ada", "--score", "70")
    bench.change("threshold = 0.85 ", "threshold = 0.90 ")

    regraded(bench)
    told = capsys.readouterr().out
    bench.grade()
    kept = scores(bench)
    by_hand(bench, "ada", "--lift")

    assert "ada  100 / 100 → 70 / 100 (set by hand)" in told
    assert kept == {"ada": 70, "ben": 82}
    assert scores(bench) == {"ada": 82, "ben": 82}


def test_it_settles_a_review_and_a_rejection(bench):
    bench.words("in/ada.zip", "--submitted-at", "2027-12-24T12:00:00Z")
    assert scores(bench)["ada"] == 0

    by_hand(bench, "ada", "--score", "55")

    ada = next(g for g in counting_grades(bench.results) if g.student_id == "ada")
    assert (ada.status.value, ada.score, ada.cause) == ("graded", 55, None)
    assert ada.override.computed_status.value == "rejected"
    assert "deadline" in ada.override.computed_message


WRONG = {
    "no score and no lift": (["ada"], "--score or --lift"),
    "both": (["ada", "--score", "1", "--lift"], "--score or --lift"),
    "too much": (["ada", "--score", "101"], "expected 0 to 100"),
    "below zero": (["ada", "--score=-1"], "expected 0 to 100"),
    "no number": (["ada", "--score", "nan"], "expected 0 to 100"),
    "nobody": (["ad", "--score", "1"], "no grade of that student_id is recorded. Received: ada"),
    "nothing to lift": (["ben", "--lift"], "nothing was set by hand for ben"),
}


@pytest.mark.parametrize(("words", "told"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_decided_is_refused_and_not_recorded(bench, capsys, words, told):
    count = Ledger(bench.results).head().count

    assert by_hand(bench, *words) == EXIT_USAGE
    assert told in capsys.readouterr().err
    assert Ledger(bench.results).head().count == count


def test_without_the_course_key_nothing_can_be_set(bench, capsys, monkeypatch):
    monkeypatch.setenv("GRADER_KEY_FILE", str(bench.folder / "other.key"))

    assert by_hand(bench, "ada", "--score", "70") == 3
    assert "GRADER_KEY_FILE" in capsys.readouterr().err


def test_a_change_of_what_was_set_is_found(bench):
    by_hand(bench, "ada", "--score", "70")
    connection = sqlite3.connect(bench.results / "ledger.sqlite")
    connection.execute("UPDATE event SET score = 100 WHERE kind = 'override'")
    connection.commit()
    connection.close()

    assert [(p.kind.value, p.seq) for p in verify_results(bench.results)] == [("changed", 3)]


# --- history ------------------------------------------------------------------------------


def test_a_history_tells_everything_in_order_and_what_counts(bench, capsys):
    by_hand(bench, "ada", "--score", "70")
    bench.change("threshold = 0.85 ", "threshold = 0.90 ")
    regraded(bench)
    capsys.readouterr()

    status = run(["history", str(bench.results), "ada"])
    lines = capsys.readouterr().out.splitlines()
    by_hand(bench, "ada", "--lift")
    capsys.readouterr()
    run(["history", str(bench.results), "ada"])
    after = capsys.readouterr().out.splitlines()

    assert status == 0
    assert [line.split()[0] for line in lines] == ["1", "3", "4"]
    assert "100 / 100  ada.zip, received 2027-09-01T12:00:00+00:00, assignment" in lines[0]
    assert "set by hand to 70 by Dr. Rao: the bus was late  ← counts" in lines[1]
    assert [line.endswith("← counts") for line in lines] == [False, True, False]
    assert "lifted by Dr. Rao" in after[3]
    assert [line.endswith("← counts") for line in after] == [False, False, True, False]


def test_a_history_of_nobody_names_who_is_there(bench, capsys):
    assert run(["history", str(bench.results), "al"]) == EXIT_USAGE
    assert "ada, ben" in capsys.readouterr().err
