"""A check needs the answers of the functions that it names, and of no others."""

from dataclasses import replace

import pytest

from grader.checks import CHECKS, MODEL, asked_functions, run_checks
from grader.course import narrowed
from grader.errors import UsageError
from grader.run.reading import evidence_of
from tests.report.recorded import ASSIGNMENT, run_of

ANSWERED = {"dense_block", "transition", "build_densenet", "build_model"}


def only_asked(evidence, asks):
    return replace(
        evidence,
        networks=tuple(n for n in evidence.networks if n.name in asks),
        model=evidence.model if MODEL in asks else None,
    )


@pytest.mark.parametrize("name", ["deviating", "reference"])
def test_answers_that_a_check_does_not_ask_for_change_nothing_of_it(name, tmp_path):
    evidence = evidence_of(run_of(name, tmp_path))
    whole = {r.name: r for r in run_checks(CHECKS, evidence)}

    for check in CHECKS:
        (alone,) = run_checks([check], only_asked(evidence, check.asks))
        assert (alone.outcome, alone.score) == (whole[check.name].outcome, whole[check.name].score)
        assert [f.where for f in alone.findings] == [f.where for f in whole[check.name].findings]


def test_one_check_asks_for_its_own_functions_and_for_the_import():
    one = narrowed(ASSIGNMENT, "transition-shape")

    assert set(one.rubric) == {"module-contract", "transition-shape"}
    assert asked_functions(one) == {"transition"}
    assert asked_functions(ASSIGNMENT) == ANSWERED
    assert one.evaluation is None


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("transition_shape", "Did you mean transition-shape?"),
        ("dense-conectivity", "Did you mean dense-connectivity?"),
        ("xyz", "The checks are module-contract, block-shape,"),
    ],
)
def test_a_name_that_is_no_check_is_answered_with_the_one_that_was_meant(written, said):
    with pytest.raises(UsageError, match=f"{written}: there is no such check") as error:
        narrowed(ASSIGNMENT, written)

    assert said in str(error.value)
