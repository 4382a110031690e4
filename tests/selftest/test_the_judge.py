"""The judge itself, on real traces: each program loses exactly what is frozen of it.

`make test` judges 180 of the catalogue, spread over checks and families; `make test-all` and
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
from grader.selftest.catalogue import catalogue, read_catalogue
from grader.selftest.run import case_of, choose, sample, selftest
from tests.selftest.test_parse import example_of_contributing

SIZES = {"wrong": 120, "right": 45, "remark": 15}
WHOLE = bool(os.environ.get("GRADER_TEST_ALL"))


@pytest.fixture(scope="module")
def sandbox():
    """One warm sandbox for all."""
    try:
        sandbox = open_sandbox("auto" if sys.platform == "linux" else "docker", warm=True)
    except InfrastructureError as lack:
        pytest.skip(lack.message)
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def judged(sandbox):
    """The verdicts on the sample, or on everything, and on the folders that ship."""
    names = [mutant.name for mutant in sample(catalogue(), SIZES)]
    chosen = [] if WHOLE else ["reference-solution", "template", *names]
    cases = choose(chosen, everything=WHOLE)
    return selftest(cases, load_assignment(assignment_dir()), sandbox, jobs=2)


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


def test_the_three_lines_of_contributing_lose_what_they_say(sandbox, tmp_path):
    (tmp_path / "of-your-own.txt").write_text(example_of_contributing(), encoding="utf-8")
    (mutant,) = read_catalogue(tmp_path)

    found = selftest([case_of(mutant)], load_assignment(assignment_dir()), sandbox)

    assert found.sound
    assert (found.wrong_killed, found.located, found.not_frozen) == (1, 1, 1)
