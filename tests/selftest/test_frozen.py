"""The frozen verdicts: each program has one, and any difference to it is told."""

import pytest

from grader.assignment import load_assignment
from grader.checks import CHECKS
from grader.domain import CheckResult, Finding, Outcome
from grader.errors import UsageError
from grader.graph.probes import hidden_probes, public_probes
from grader.resources import assignment_dir
from grader.selftest import frozen
from grader.selftest.catalogue import catalogue
from grader.selftest.run import SEED, choose, freeze, summary, verdict_on

ASSIGNMENT = load_assignment(assignment_dir())
FROZEN = frozen.read()


def result(name, outcome, points=0.0, *findings):
    return CheckResult(name=name, group="architecture", title="", outcome=outcome, score=points,
                       findings=findings)  # fmt: skip


def finding(where, severity="deviation"):
    return Finding(where=where, message="a thing: expected X, received Y", severity=severity)


FAILED = result("stem", Outcome.FAILED, 1.5, finding("stem"))
REMARKED = result("head", Outcome.PASSED, 3.0, finding("head", "remark"))


@pytest.fixture
def file(tmp_path):
    """A file of its own, with one program frozen."""
    path = tmp_path / "verdicts.json"
    kept = frozen.Verdicts(asked="these", catalogue={"old": frozen.lines_of([FAILED])})
    path.write_text(frozen.text(kept))
    return path


def test_every_program_of_the_catalogue_is_frozen_and_no_other():
    assert set(FROZEN.catalogue) == {case.name for case in choose(everything=True)}


def test_they_were_frozen_with_the_probes_and_points_that_ship():
    probes = public_probes(ASSIGNMENT.probes) + hidden_probes(ASSIGNMENT.probes, SEED)

    assert FROZEN.asked == frozen.asked_by(ASSIGNMENT, probes), "grade selftest --all --freeze"


def test_every_frozen_line_is_of_a_check_and_within_its_points():
    known = {check.name: ASSIGNMENT.rubric[check.name].points for check in CHECKS}

    for name, program in FROZEN.catalogue.items():
        for check, line in program.items():
            assert 0 <= line.points <= known[check], (name, check)
            assert (line.points == known[check]) == (line.outcome is Outcome.PASSED), (name, check)


def test_no_check_is_frozen_as_broken():
    every = [*FROZEN.catalogue.items(), *FROZEN.gallery.items(), *FROZEN.comparisons.items()]

    broken = [name for name, p in every if any(i.outcome is Outcome.ERROR for i in p.values())]
    assert broken == []


def test_what_is_right_is_frozen_as_losing_nothing_and_what_is_wrong_as_losing_something():
    kinds = {mutant.name: mutant.kind for mutant in catalogue()}

    for name, kind in kinds.items():
        lost = [c for c, i in FROZEN.catalogue[name].items() if i.outcome is not Outcome.PASSED]
        assert bool(lost) == (kind == "wrong"), name


def test_the_file_is_what_the_command_writes():
    assert frozen.FILE.read_text(encoding="utf-8") == frozen.text(FROZEN)


def test_a_program_has_a_line_for_each_check_that_did_not_pass_in_silence():
    lines = frozen.lines_of([FAILED, REMARKED, result("growth", Outcome.PASSED, 4.0)])

    assert lines == {
        "stem": frozen.Line(outcome=Outcome.FAILED, points=1.5, places=("stem",)),
        "head": frozen.Line(outcome=Outcome.PASSED, points=3.0, remarks=("head",)),
    }


def test_places_that_one_finding_groups_are_each_named():
    grouped = finding("block 1, layer 2 (also block 1, layer 3; transition 1; 4 more)")

    line = frozen.line_of(Outcome.FAILED, [grouped, finding("block 1, layer 2")])

    assert line.places == ("block 1, layer 2", "block 1, layer 3", "transition 1")


@pytest.mark.parametrize(
    "changed",
    [
        [],
        [result("stem", Outcome.SKIPPED, 1.5, finding("stem"))],
        [result("stem", Outcome.FAILED, 0.0, finding("stem"))],
        [result("stem", Outcome.FAILED, 1.5, finding("head"))],
        [result("stem", Outcome.FAILED, 1.5, finding("stem"), finding("stem", "remark"))],
        [FAILED, REMARKED],
    ],
)
def test_another_outcome_points_place_remark_or_check_is_a_difference(changed):
    kept, found = frozen.lines_of([FAILED]), frozen.lines_of(changed)

    assert len(frozen.difference(kept, found)) == 1
    assert frozen.difference(kept, kept) == []


def test_a_difference_says_what_was_expected_and_what_came():
    kept, found = frozen.lines_of([FAILED]), frozen.lines_of([REMARKED])

    assert frozen.difference(kept, found) == [
        "stem: expected failed with 1.5 points at stem; received passed in silence",
        "head: expected passed in silence; "
        "received passed with 3 points, remarks at head",
    ]  # fmt: skip


def test_freezing_one_program_keeps_the_others_and_forgets_those_that_are_gone(file):
    frozen.freeze("catalogue", {"new": frozen.lines_of([REMARKED])}, file=file)

    assert set(frozen.read(file).catalogue) == {"old", "new"}

    frozen.freeze("catalogue", {}, known=["new"], file=file)

    assert set(frozen.read(file).catalogue) == {"new"}
    assert frozen.read(file).asked == "these"


def test_a_changed_verdict_is_a_failed_selftest_that_says_where():
    (case,) = choose(["reference-solution"])
    kept = frozen.lines_of([REMARKED])

    same = summary([verdict_on(case, [REMARKED], known=kept)])
    other = summary([verdict_on(case, [], known=kept)])
    new = summary([verdict_on(case, [REMARKED])])

    assert (same.sound, same.changed, same.not_frozen) == (True, 0, 0)
    assert (other.sound, other.changed, other.not_frozen) == (False, 1, 0)
    assert (new.sound, new.changed, new.not_frozen) == (True, 0, 1)


def test_other_probes_or_points_freeze_the_whole_catalogue_or_nothing(monkeypatch, file):
    monkeypatch.setattr(frozen, "FILE", file)
    found = summary([verdict_on(case, []) for case in choose(["template"])], asked="those")

    with pytest.raises(UsageError, match="--all"):
        freeze(found)
    assert frozen.read(file).asked == "these"
