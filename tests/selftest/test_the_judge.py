"""The judge itself, on real traces: each program loses exactly what is frozen of it.

`make test` judges 180 of the catalogue, spread over all checks; `make test-all` and
`grade selftest --all` judge the whole of it. Of every mutant that is left out here the text is
still checked in test_catalogue.py.
"""

import os
import sys

import pytest

from grader.assignment import load_assignment
from grader.errors import InfrastructureError
from grader.resources import assignment_dir
from grader.sandbox import open_sandbox
from grader.selftest.catalogue import catalogue
from grader.selftest.run import choose, sample, selftest

SIZES = {"wrong": 120, "right": 45, "remark": 15}
WHOLE = bool(os.environ.get("GRADER_TEST_ALL"))


@pytest.fixture(scope="module")
def judged():
    """The verdicts on the sample, or on everything, and on the folders that ship."""
    try:
        sandbox = open_sandbox("auto" if sys.platform == "linux" else "docker", warm=True)
    except InfrastructureError as lack:
        pytest.skip(lack.message)
    names = [mutant.name for mutant in sample(catalogue(), SIZES)]
    chosen = [] if WHOLE else ["reference-solution", "template", *names]
    cases = choose(chosen, everything=WHOLE)
    try:
        return selftest(cases, load_assignment(assignment_dir()), sandbox, jobs=2)
    finally:
        sandbox.close()


pytestmark = [pytest.mark.tensorflow, pytest.mark.slow, pytest.mark.timeout(6000)]


def test_every_wrong_network_loses_a_check_and_no_right_one_does(judged):
    misjudged = {v.name: (v.failed, v.skipped, v.errors) for v in judged.verdicts if not v.sound}

    assert misjudged == {}
    if not WHOLE:
        assert (judged.wrong_killed, judged.right_accepted) == (121, 61)


def test_each_loses_exactly_what_is_frozen_and_names_exactly_those_places(judged):
    changed = {v.name: v.changed for v in judged.verdicts if v.changed or v.changed is None}

    assert changed == {}


def test_a_mistake_in_one_place_is_found_in_that_place(judged):
    wrong = [v for v in judged.verdicts if v.should_be_refused]
    missed = {v.name: v.places for v in wrong if v.located is False}

    assert len(missed) <= 0.03 * judged.locatable, missed


def test_what_is_accepted_with_a_remark_is_remarked_on(judged):
    silent = {v.name for v in judged.verdicts if v.kind == "remark" and not v.remarks}

    assert silent == set()
