"""The judge itself, on real traces: 120 wrong networks are found, 60 right ones are not harmed.

`grade selftest --all` judges the whole catalogue; here every mutant that another test run would
leave out still has its text checked in test_catalogue.py.
"""

import sys

import pytest

from grader.assignment import load_assignment
from grader.errors import InfrastructureError
from grader.resources import assignment_dir
from grader.sandbox import open_sandbox
from grader.selftest.catalogue import catalogue
from grader.selftest.run import choose, sample, selftest

SIZES = {"wrong": 120, "right": 45, "remark": 15}


@pytest.fixture(scope="module")
def judged():
    """The verdicts on the sample and on the folders that ship."""
    try:
        sandbox = open_sandbox("auto" if sys.platform == "linux" else "docker", warm=True)
    except InfrastructureError as lack:
        pytest.skip(lack.message)
    names = [mutant.name for mutant in sample(catalogue(), SIZES)]
    cases = choose(["reference-solution", "template", *names])
    try:
        return selftest(cases, load_assignment(assignment_dir()), sandbox, jobs=2)
    finally:
        sandbox.close()


pytestmark = [pytest.mark.tensorflow, pytest.mark.slow, pytest.mark.timeout(1500)]


def test_every_wrong_network_loses_a_check_and_no_right_one_does(judged):
    misjudged = {v.name: (v.failed, v.skipped, v.errors) for v in judged.verdicts if not v.sound}

    assert misjudged == {}
    assert (judged.wrong_killed, judged.right_accepted) == (121, 61)


def test_a_wrong_network_loses_one_of_the_checks_that_should_say_no(judged):
    elsewhere = {
        v.name: v.failed for v in judged.verdicts if v.refused and not v.killed_as_expected
    }

    assert elsewhere == {}


def test_a_mistake_in_one_place_is_found_in_that_place(judged):
    wrong = [v for v in judged.verdicts if v.should_be_refused]
    missed = {v.name: v.places for v in wrong if v.located is False}

    assert len(missed) <= 0.03 * judged.locatable, missed


def test_what_is_accepted_with_a_remark_is_remarked_on(judged):
    silent = {v.name for v in judged.verdicts if v.kind == "remark" and not v.remarks}

    assert silent == set()
