"""The judge itself, on real traces: each program loses exactly what is frozen of it.

`make test` judges a sample, some of every check and every family; `make test-all` and
`grade selftest --all` judge the whole catalogue. What is frozen of those that are left out here,
and their text, is still checked in test_catalogue.py.
"""

import sys
from collections import Counter

import pytest

from grader.assignment import load_assignment
from grader.errors import InfrastructureError
from grader.resources import assignment_dir
from grader.sandbox import open_sandbox
from grader.selftest.catalogue import read_catalogue
from grader.selftest.run import case_of, choose, selftest
from tests.selftest.test_parse import example_of_contributing

WHOLE = pytest.param(True, id="whole", marks=pytest.mark.exhaustive)


@pytest.fixture(scope="module")
def sandbox():
    """One warm sandbox for all."""
    try:
        sandbox = open_sandbox("auto" if sys.platform == "linux" else "docker", warm=True)
    except InfrastructureError as lack:
        pytest.skip(lack.message)
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module", params=[pytest.param(False, id="sample"), WHOLE])
def judged(request, sandbox):
    """The verdicts on the sample, or on everything, and on the folders that ship."""
    cases = choose(everything=request.param)
    found = selftest(cases, load_assignment(assignment_dir()), sandbox, jobs=2)
    return Counter(case.kind for case in cases), found


pytestmark = [pytest.mark.tensorflow, pytest.mark.slow, pytest.mark.timeout(6000)]


def test_every_wrong_network_loses_a_check_and_no_right_one_does(judged):
    kinds, found = judged
    misjudged = {v.name: (v.failed, v.skipped, v.errors) for v in found.verdicts if not v.sound}

    assert misjudged == {}
    assert found.wrong_killed == kinds["wrong"] + kinds["template"]
    assert found.right_accepted == kinds.total() - found.wrong_killed


def test_each_loses_exactly_what_is_frozen_and_names_exactly_those_places(judged):
    _, found = judged
    changed = {v.name: v.changed for v in found.verdicts if v.changed or v.changed is None}

    assert changed == {}


def test_what_is_accepted_with_a_remark_is_remarked_on(judged):
    _, found = judged
    silent = {v.name for v in found.verdicts if v.kind == "remark" and not v.remarks}

    assert silent == set()


def test_the_three_lines_of_contributing_lose_what_they_say(sandbox, tmp_path):
    (tmp_path / "of-your-own.txt").write_text(example_of_contributing(), encoding="utf-8")
    (mutant,) = read_catalogue(tmp_path)

    found = selftest([case_of(mutant)], load_assignment(assignment_dir()), sandbox)

    assert found.sound
    assert (found.wrong_killed, found.located, found.not_frozen) == (1, 1, 1)
